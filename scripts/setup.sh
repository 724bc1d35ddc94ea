#!/usr/bin/env bash
# Make .venv ready: Python 3.11, every version of constraints.txt, the project in editable mode.
#
# Called by each target of the Makefile. A stamp made from the files that decide the outcome
# lets a second call end at once. Not for GPU machines: there, install the extra `gpu` by hand
# (CONTRIBUTING.md).
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

VENV=.venv
LOG=$VENV/setup.log
STAMP=$VENV/setup-stamp
CPU_WHEELS=https://download.pytorch.org/whl/cpu
# vLLM asks for these three, nothing here uses them, and the builds that fit the CPU torch are
# not everywhere: a torchvision that does not load breaks the import of transformers.
UNUSED=(torchvision torchaudio torchcodec)

say() { printf 'set-up: %s\n' "$*"; }
fail() { printf 'set-up: %s\n' "$*" >&2; exit 1; }

find_python() {
    local candidate
    for candidate in "${PYTHON:-}" python3.11 python3 /usr/bin/python3.11; do
        [ -n "$candidate" ] || continue
        if "$candidate" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null; then
            printf '%s\n' "$candidate"
            return
        fi
    done
    fail "Python 3.11 is missing. Install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv), or name one: make PYTHON=/path/to/python3.11 ..."
}

make_venv() {
    local python
    python=$(find_python)
    "$python" -c 'import venv, ensurepip' 2>/dev/null ||
        fail "Python's venv module is missing. Install it: apt-get install python3.11-venv"
    say "making $VENV with $("$python" --version)"
    "$python" -m venv "$VENV" || fail "$VENV could not be made; see the lines above."
}

# Run pip with the log as its only output, and a line on the terminal now and then.
quiet_pip() {
    printf '\n$ pip %s\n' "$*" >>"$LOG"
    "$VENV/bin/python" -m pip --disable-pip-version-check "$@" >>"$LOG" 2>&1 &
    local pid=$! waited=0
    while kill -0 "$pid" 2>/dev/null; do
        sleep 1
        waited=$((waited + 1))
        if [ $((waited % 20)) -eq 0 ]; then
            say "  ${waited} s: $(grep -vE '^ |WARNING|^$' "$LOG" | tail -n 1 | cut -c1-90)"
        fi
    done
    wait "$pid"
}

install_all() {
    local extra=("$@")
    # The build tool first, pinned like the rest, so that pip fetches no other for the project.
    quiet_pip install --prefer-binary -c constraints.txt "${extra[@]}" hatchling editables &&
        quiet_pip install --prefer-binary --no-build-isolation -c constraints.txt \
            "${extra[@]}" -e '.[cpu,dev]'
}

report_failure() {
    grep -E '^ *(ERROR|error|WARNING: Retrying)' "$LOG" | tail -n 8 >&2 || tail -n 8 "$LOG" >&2
    fail "the packages could not be installed, neither from the configured package indexes nor with $CPU_WHEELS beside them. Check the network and the free disk space (5 GB); the whole log is $LOG."
}

stamp_now() { cat pyproject.toml constraints.txt scripts/setup.sh | sha256sum | cut -d' ' -f1; }

main() {
    local stamp started=$SECONDS
    exec 9<constraints.txt # one set-up at a time: a second one waits for the first
    flock 9
    stamp=$(stamp_now)
    if [ -x "$VENV/bin/python" ] && [ "$(cat "$STAMP" 2>/dev/null)" = "$stamp" ]; then
        return
    fi
    [ -x "$VENV/bin/python" ] || make_venv
    "$VENV/bin/python" -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' 2>/dev/null ||
        fail "$VENV is not a Python 3.11 environment. Remove it and repeat."
    if "$VENV/bin/python" scripts/check_installed.py >>"$LOG" 2>&1; then
        say "$VENV already holds every pinned version"
        # What pyproject.toml says of the project itself, its commands for one, may be new.
        quiet_pip install --no-deps --no-build-isolation -e . || report_failure
        printf '%s\n' "$stamp" >"$STAMP"
        return
    fi
    say "installing the pinned versions, about 4 GB; some minutes (log: $LOG)"
    if ! install_all; then
        say "the configured package indexes do not have everything; adding $CPU_WHEELS"
        install_all --extra-index-url "$CPU_WHEELS" || report_failure
    fi
    quiet_pip uninstall -y "${UNUSED[@]}" || true # absent is as good
    say "looking whether it all imports"
    HF_HUB_OFFLINE=1 "$VENV/bin/python" -c 'import transformers, vllm, pirta' >>"$LOG" 2>&1 ||
        { tail -n 8 "$LOG" >&2; fail "the packages are installed but do not import; the whole log is $LOG."; }
    "$VENV/bin/python" scripts/check_installed.py || fail "the versions differ from constraints.txt."
    printf '%s\n' "$stamp" >"$STAMP"
    say "ready after $((SECONDS - started)) s"
}

main "$@"
