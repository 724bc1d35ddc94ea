"""A real little program as the skull stripper: what it may leave, and each way it can fail."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pirta.errors import BrainNotFoundError, StripperError
from pirta.imaging.prepare import fingerprint
from pirta.imaging.strip import make_stripper
from pirta.imaging.strip_external import ExternalStripper
from pirta.imaging.volume import Volume
from pirta.settings import PreprocessingSettings

Program = Callable[..., ExternalStripper]

READ = """
import gzip, sys
import numpy as np
source, target = sys.argv[1:3]
raw = bytearray(gzip.open(source).read())
shape = np.frombuffer(raw, "<i2", 3, 42)
data = np.frombuffer(raw, "<f4", int(shape.prod()), int(np.frombuffer(raw, "<f4", 1, 108)[0]))
def write(values, header=None):
    start = int(np.frombuffer(raw, "<f4", 1, 108)[0])
    head = bytes(raw[:start]) if header is None else header
    open(target, "wb").write(gzip.compress(head + values.astype("<f4").tobytes()))
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Make a stripper of a program with this body; it knows `data` and `write`."""

    def make(body: str, *, timeout_s: float = 20.0) -> ExternalStripper:
        path = tmp_path / "tiny_strip"
        path.write_text(f"#!{sys.executable}\n{READ}\n{body}\n", encoding="utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)
        return ExternalStripper((str(path), "{input}", "{output}"), timeout_s=timeout_s)

    return make


def test_a_mask_a_stripped_image_and_a_probability_mean_the_same_brain(
    brain, program: Program
) -> None:
    for body in (
        "write((data > 0) * 1.0)",
        "write((data > 0) * 255.0)",
        "write(data * (data > 0))",
        "write(np.where(data > 0, 0.9, 0.2))",
    ):
        stripper = program(body)
        np.testing.assert_array_equal(stripper.strip(brain.dwi), brain.mask_XYZ)
        assert stripper.method(brain.dwi) == "external:tiny_strip"


def test_the_program_sees_the_dwi_on_its_grid_and_none_of_our_variables(
    brain, program: Program, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIRTA_GATEWAY__TOKENS", '["a-secret"]')
    monkeypatch.setenv("FREESURFER_HOME", "somewhere")
    median = float(np.median(brain.dwi.data_XYZ[brain.mask_XYZ]))
    body = (
        "import os\n"
        f"assert abs(np.median(data[data > 0]) - {median!r}) < 1e-3\n"
        "assert not [name for name in os.environ if name.startswith('PIRTA_')]\n"
        "assert os.environ['FREESURFER_HOME'] == 'somewhere'\n"
        "write((data > 0) * 1.0)"
    )
    assert program(body).strip(brain.dwi).any()


def test_a_failing_program_is_told_by_name_and_exit_code_and_never_by_its_words(
    brain, program: Program
) -> None:
    body = "print('Jane Doe'); print('Jane Doe', file=sys.stderr); sys.exit(3)"
    with pytest.raises(StripperError, match="tiny_strip ended with exit code 3") as caught:
        program(body).strip(brain.dwi)
    assert "Jane" not in str(caught.value)
    assert os.sep not in caught.value.message


def test_a_program_that_left_nothing_or_nonsense_is_told(brain, program: Program) -> None:
    with pytest.raises(StripperError, match="left no output"):
        program("pass").strip(brain.dwi)
    with pytest.raises(StripperError, match="cannot be used: The mask file is no NIfTI"):
        program("open(target, 'w').write('what? ' * 100)").strip(brain.dwi)


def test_an_output_on_another_grid_is_refused_with_both_shapes(brain, program: Program) -> None:
    body = (
        "head = bytearray(raw[:352]); head[42:48] = np.array([10, 10, 10], '<i2').tobytes()\n"
        "write(np.ones(1000), bytes(head))"
    )
    with pytest.raises(StripperError, match="DWI has 48x56x40 voxels, mask has 10x10x10"):
        program(body).strip(brain.dwi)


def test_an_empty_mask_is_no_brain(brain, program: Program) -> None:
    with pytest.raises(BrainNotFoundError, match="No brain"):
        program("write(data * 0)").strip(brain.dwi)


def test_a_missing_program_is_told_by_its_name(brain, tmp_path: Path) -> None:
    command = (str(tmp_path / "no_such_strip"), "{input}", "{output}")
    with pytest.raises(StripperError, match="no_such_strip cannot be started") as caught:
        ExternalStripper(command, timeout_s=1).strip(brain.dwi)
    assert str(tmp_path) not in str(caught.value)


def test_a_program_over_its_time_is_ended_with_all_that_it_started(
    brain, program: Program, tmp_path: Path
) -> None:
    note = tmp_path / "child"
    body = (
        "import subprocess, time\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(note)!r}, 'w').write(str(child.pid))\n"
        "time.sleep(60)"
    )
    started_s = time.monotonic()
    with pytest.raises(StripperError, match=r"not done within 0\.7 s"):
        program(body, timeout_s=0.7).strip(brain.dwi)
    assert time.monotonic() - started_s < 10
    assert not _runs(int(note.read_text()))


def _runs(pid: int) -> bool:
    for _ in range(50):
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
        except FileNotFoundError:
            return False
        if state == "Z":
            return False
        time.sleep(0.02)
    return True


def test_nothing_stays_in_the_temporary_folder(
    brain, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(scratch))
    program("write((data > 0) * 1.0)").strip(brain.dwi)
    with pytest.raises(StripperError):
        program("sys.exit(1)").strip(brain.dwi)
    assert list(scratch.iterdir()) == []


def test_the_settings_name_the_program_and_it_enters_the_fingerprint() -> None:
    command = ("/opt/one/mri_synthstrip", "-i", "{input}", "-m", "{output}")
    settings = PreprocessingSettings(stripper="external", strip_command=command)
    volume = Volume(np.zeros((5, 5, 5), np.float32), np.eye(4))
    assert make_stripper(settings).method(volume) == "external:mri_synthstrip"
    assert fingerprint(settings) != fingerprint(PreprocessingSettings())
    slow = settings.model_copy(update={"strip_timeout_s": 5.0})
    moved = settings.model_copy(update={"strip_command": ("mri_synthstrip", *command[1:])})
    assert fingerprint(settings) == fingerprint(slow) == fingerprint(moved)
    other = settings.model_copy(update={"strip_command": ("hd-bet", *command[1:])})
    assert fingerprint(settings) != fingerprint(other)


def test_what_a_killed_process_left_of_a_patient_is_removed_by_the_next_stripper(
    program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    gone = subprocess.Popen(["true"])
    gone.wait()
    left, used = (tmp_path / f"pirta-strip-{pid}-x" for pid in (gone.pid, os.getpid()))
    for folder in (left, used):
        folder.mkdir()
        (folder / "input.nii.gz").write_bytes(b"a patient's brain")
    program("write(data)")
    assert not left.exists()
    assert used.exists()
