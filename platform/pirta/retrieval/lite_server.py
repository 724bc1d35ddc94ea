"""Runs milvus-lite's server on loopback, for the demo and for tests.

milvus-lite takes one process a data folder, so every user connects to this server by its URI.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from pirta.errors import SettingsError, UnavailableError

_LOOPBACK = "127.0.0.1"
_READY_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 10.0


class LiteServer:
    """A running server. Ends with its `with` block, or by `stop`."""

    def __init__(self, process: subprocess.Popen[bytes], port: int) -> None:
        self._process = process
        self.uri = f"http://{_LOOPBACK}:{port}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self._process.pid

    def stop(self) -> None:
        """End the server; harmless when it has ended already."""
        if self._process.poll() is None:
            self._process.terminate()
            try:
                self._process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self._process.kill()
        self._process.wait()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


def start_lite_server(data_dir: Path, port: int) -> LiteServer:
    """Return a server over `data_dir` on loopback, ready to answer.

    Its output goes to a file beside the folder, `<data_dir>.log`.

    Raises:
        SettingsError: the port is taken, or milvus-lite is not installed beside this Python.
        UnavailableError: the server ended at once, or was not ready in time.
    """
    program = Path(sys.executable).with_name("milvus-lite")
    if not program.is_file():
        raise SettingsError(
            f"There is no {program.name} beside {sys.executable}.",
            remedy="Install the project into this environment (make setup).",
        )
    _check_port(port)
    data_dir.mkdir(parents=True, exist_ok=True)
    log_path = data_dir.with_name(data_dir.name + ".log")
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [program, "server", "--data-dir", data_dir, "--host", _LOOPBACK, "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            # A Ctrl-C in the terminal is for the one who started the server, who then stops it.
            start_new_session=True,
        )
    server = LiteServer(process, port)
    try:
        _wait_until_ready(process, port, log_path)
    except BaseException:
        server.stop()
        raise
    return server


def _check_port(port: int) -> None:
    # gRPC shares a listening port silently (SO_REUSEPORT), so a plain bind has to find out.
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((_LOOPBACK, port))
        except OSError:
            raise SettingsError(
                f"Port {port} on loopback is taken, so milvus-lite cannot listen there.",
                remedy="End what runs there, or name another port in index.uri.",
            ) from None


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log_path: Path) -> None:
    deadline_s = time.monotonic() + _READY_TIMEOUT_S
    while time.monotonic() < deadline_s:
        if process.poll() is not None:
            raise UnavailableError(
                f"milvus-lite ended at once with exit code {process.returncode}.",
                remedy=f"See {log_path}; another server may hold the same data folder.",
            )
        with socket.socket() as probe:
            probe.settimeout(0.5)
            if probe.connect_ex((_LOOPBACK, port)) == 0:
                return
        time.sleep(0.05)
    raise UnavailableError(
        f"milvus-lite was not ready within {_READY_TIMEOUT_S:g} s.", remedy=f"See {log_path}."
    )
