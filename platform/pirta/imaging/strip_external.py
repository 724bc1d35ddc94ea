"""Skull stripping by another program: SynthStrip, HD-BET, or whatever takes in and out paths.

Axis suffixes: X Y Z voxels (RAS+). The DWI is written as NIfTI into a folder of its own, the
program runs there without a shell, and its mask or stripped image is read back. What it prints
is thrown away and never repeated: it may name what it should not. It is not given this
service's own PIRTA_* variables. Nothing that it starts outlives its time. Where this process is
itself killed, the program goes on to its own end, and the next stripper on the machine removes
what was left of the study.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path, PurePath

import nibabel as nib
import numpy as np
import psutil
from numpy.typing import NDArray
from scipy import ndimage

from pirta.errors import InputError, StripperError
from pirta.imaging.nifti import read_nifti
from pirta.imaging.pair import check_same_grid
from pirta.imaging.strip import largest_piece, no_brain
from pirta.imaging.volume import Volume

MIN_COPIED_SHARE = 0.99
COPY_TOLERANCE = 1e-3

_PREFIX = "pirta-strip-"

_REMEDY = (
    "Run preprocessing.strip_command by hand on one DWI and look at what it writes; {input} and "
    "{output} in it stand for the two NIfTI files."
)


class ExternalStripper:
    """Runs one command a study."""

    def __init__(self, command: tuple[str, ...], *, timeout_s: float) -> None:
        """Keep the command: program and arguments, with {input} and {output} among them."""
        assert command, "the settings refuse an empty command"
        self._command = command
        self._timeout_s = timeout_s
        self._name = PurePath(command[0]).name
        _remove_what_the_killed_left()

    def strip(self, dwi: Volume) -> NDArray[np.bool_]:
        """Return the largest piece of the program's mask, holes filled.

        Raises:
            StripperError: the program is missing, failed, took too long, left nothing, or left
                something on another grid.
            BrainNotFoundError: its mask is empty.
        """
        with tempfile.TemporaryDirectory(prefix=f"{_PREFIX}{os.getpid()}-") as folder:
            source, target = Path(folder, "input.nii.gz"), Path(folder, "output.nii.gz")
            nib.save(nib.Nifti1Image(dwi.data_XYZ, dwi.affine), source)
            self._run(source, target, folder)
            output = self._read(target, dwi)
        mask_XYZ = _mask_of(output.data_XYZ, dwi.data_XYZ)
        if not mask_XYZ.any():
            raise no_brain()
        return largest_piece(np.asarray(ndimage.binary_fill_holes(mask_XYZ)))

    def method(self, dwi: Volume) -> str:
        """Return "external:" and the program's name."""
        del dwi
        return f"external:{self._name}"

    def _run(self, source: Path, target: Path, folder: str) -> None:
        arguments = [
            part.replace("{input}", str(source)).replace("{output}", str(target))
            for part in self._command
        ]
        try:
            process = subprocess.Popen(
                arguments,
                cwd=folder,
                env={k: v for k, v in os.environ.items() if not k.upper().startswith("PIRTA_")},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            raise self._error(f"cannot be started ({error.strerror})") from None
        try:
            code = process.wait(self._timeout_s)
        except subprocess.TimeoutExpired:
            raise self._error(f"was not done within {self._timeout_s:g} s") from None
        finally:
            # The group outlives its leader where a child was left behind.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        if code != 0:
            raise self._error(f"ended with exit code {code}")

    def _read(self, target: Path, dwi: Volume) -> Volume:
        if not target.is_file():
            raise self._error("left no output")
        try:
            output = read_nifti(target.read_bytes(), role="mask")
            check_same_grid(dwi, output, "DWI", "mask")
        except InputError as error:
            raise self._error(f"left an output that cannot be used: {error.message[:-1]}") from None
        return output

    def _error(self, what: str) -> StripperError:
        return StripperError(f"The skull stripper {self._name} {what}.", remedy=_REMEDY)


def _mask_of(output_XYZ: NDArray[np.float32], dwi_XYZ: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return the mask that a program meant: the support of a stripped copy, or a half."""
    support_XYZ = output_XYZ != 0
    kept = np.isclose(output_XYZ[support_XYZ], dwi_XYZ[support_XYZ], rtol=COPY_TOLERANCE)
    is_copy = kept.size > 0 and float(kept.mean()) >= MIN_COPIED_SHARE
    return support_XYZ if is_copy else output_XYZ > 0.5


def _remove_what_the_killed_left() -> None:
    """Remove the folders of processes that are gone: each holds a patient's DWI."""
    for folder in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
        owner = folder.name.removeprefix(_PREFIX).split("-")[0]
        if owner.isdigit() and not psutil.pid_exists(int(owner)):
            shutil.rmtree(folder, ignore_errors=True)
