"""Find the brain in a DWI: a network for heads, the support itself for stripped volumes, or
another program (`strip_external`).

Axis suffixes: X Y Z voxels (RAS+). A stripper returns a boolean mask on the volume's own
grid and changes nothing. Whether the mask can be a brain is judged by `check_brain`.

Source: deepbet (Fisch et al., 2024), weights inside its wheel. It was trained on T1-weighted
heads; on DWI it was checked by eye, and its known failure is a volume that is no head at all,
which `check_brain` refuses.
"""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pirta.errors import BrainNotFoundError
from pirta.imaging.volume import Volume
from pirta.settings import PreprocessingSettings

if TYPE_CHECKING:  # torch takes seconds to import and only deepbet needs it
    from deepbet.bet import BrainExtraction

BRAIN_RANGE_ML = (300.0, 2500.0)
"""Below: a few slices, or no brain; above: the head, not the brain."""

MIN_ZERO_SHARE = 0.3
MIN_ONE_PIECE_SHARE = 0.9
MIN_RIM_SIGNAL = 0.4
RIM_MM = 6.0

HEAD_HEIGHT_MM = 150.0
"""deepbet knows whole heads. Where a volume cuts one off it lost a third of the brain (795 of
1075 ml of a real slab of 64 mm); with empty slices up to this height it finds it."""

_REMEDY = (
    "Look at the DWI in a viewer: it has to show a head, or a brain stripped with its "
    "background exactly 0; set preprocessing.stripper where the detection is wrong."
)


class Stripper(Protocol):
    """Finds the brain in a DWI."""

    def strip(self, dwi: Volume) -> NDArray[np.bool_]:
        """Return the brain's mask on the volume's grid.

        Raises:
            BrainNotFoundError: nothing in it looks like a brain.
        """

    def method(self, dwi: Volume) -> str:
        """Return the name of what `strip` uses for this volume."""


class DeepbetStripper:
    """deepbet in this process, on one thread; the weights are loaded once an object."""

    def __init__(self) -> None:
        from deepbet.bet import BrainExtraction

        with warnings.catch_warnings():
            # deepbet's weights are TorchScript, which torch 2.13 still reads but calls deprecated.
            warnings.filterwarnings("ignore", message=r"`torch\.jit\.", category=DeprecationWarning)
            self._network: BrainExtraction = BrainExtraction(no_gpu=True)

    def strip(self, dwi: Volume) -> NDArray[np.bool_]:
        """Return the largest connected piece of the network's mask, holes filled."""
        import torch

        margin = _missing_slices(dwi)
        num_threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            whole_XYZ = np.pad(dwi.data_XYZ, ((0, 0), (0, 0), (margin, margin)))
            found_XYZ = self._network.run_model(whole_XYZ) > 0.5
            if not found_XYZ.any():
                raise no_brain()
            mask_XYZ = self._network.postprocess(found_XYZ)
        except (AssertionError, ValueError):
            # Its bounding-box network found no foreground (an assert, or an argmax of nothing).
            raise no_brain() from None
        finally:
            torch.set_num_threads(num_threads)
        inside_XYZ = np.asarray(mask_XYZ, dtype=np.bool_)[
            :, :, margin : margin + dwi.data_XYZ.shape[2]
        ]
        if not inside_XYZ.any():
            raise no_brain()
        return inside_XYZ

    def method(self, dwi: Volume) -> str:
        """Return "deepbet"."""
        del dwi
        return "deepbet"


class AlreadyStrippedStripper:
    """For volumes whose background is exactly zero: the brain is what is left."""

    def strip(self, dwi: Volume) -> NDArray[np.bool_]:
        """Return the largest connected piece of the nonzero voxels, holes filled."""
        if not dwi.data_XYZ.any():
            raise no_brain()
        return largest_piece(np.asarray(ndimage.binary_fill_holes(dwi.data_XYZ != 0)))

    def method(self, dwi: Volume) -> str:
        """Return "already-stripped"."""
        del dwi
        return "already-stripped"


class AutoStripper:
    """Takes a stripped volume as it is, and loads deepbet when the first head comes."""

    def __init__(self) -> None:
        self._stripped = AlreadyStrippedStripper()
        self._deepbet: DeepbetStripper | None = None

    def strip(self, dwi: Volume) -> NDArray[np.bool_]:
        """Return the brain's mask, by the method that `method` names."""
        return self._choose(dwi).strip(dwi)

    def method(self, dwi: Volume) -> str:
        """Return "already-stripped" or "deepbet"."""
        return "already-stripped" if is_stripped(dwi) else "deepbet"

    def _choose(self, dwi: Volume) -> Stripper:
        if is_stripped(dwi):
            return self._stripped
        if self._deepbet is None:
            self._deepbet = DeepbetStripper()
        return self._deepbet


def make_stripper(settings: PreprocessingSettings) -> Stripper:
    """Return the stripper that the settings name."""
    if settings.stripper == "external":
        from pirta.imaging.strip_external import ExternalStripper  # it builds on this module

        return ExternalStripper(settings.strip_command, timeout_s=settings.strip_timeout_s)
    if settings.stripper == "deepbet":
        return DeepbetStripper()
    if settings.stripper == "already-stripped":
        return AlreadyStrippedStripper()
    return AutoStripper()


def is_stripped(dwi: Volume) -> bool:
    """Say whether someone has taken the skull away already.

    A background of exact zeros is not enough: some scanners blank the air around a head. The
    rest must be one solid piece of a brain's size, and its outermost millimetres must shine
    like cortex, where a head's are dark fat and bone.
    """
    support_XYZ = dwi.data_XYZ != 0
    if 1 - support_XYZ.mean() < MIN_ZERO_SHARE or not support_XYZ.any():
        return False
    piece_XYZ = largest_piece(np.asarray(ndimage.binary_fill_holes(support_XYZ)))
    if not BRAIN_RANGE_ML[0] <= piece_XYZ.sum() * dwi.voxel_ml <= BRAIN_RANGE_ML[1]:
        return False
    if (support_XYZ & piece_XYZ).sum() < MIN_ONE_PIECE_SHARE * support_XYZ.sum():
        return False
    box = ndimage.find_objects(piece_XYZ.astype(np.uint8))[0]
    return _rim_signal(dwi.data_XYZ[box], piece_XYZ[box], dwi.spacing_mm) >= MIN_RIM_SIGNAL


def check_brain(mask_XYZ: NDArray[np.bool_], volume: Volume) -> float:
    """Return the brain's volume in ml.

    Raises:
        BrainNotFoundError: it is outside what a brain, or most of one, can have.
    """
    brain_ml = float(mask_XYZ.sum()) * volume.voxel_ml
    low, high = BRAIN_RANGE_ML
    if not low <= brain_ml <= high:
        raise BrainNotFoundError(
            f"What was found as the brain has {brain_ml:.0f} ml; {low:.0f} to {high:.0f} ml is "
            "possible.",
            remedy=_REMEDY,
        )
    return brain_ml


def _missing_slices(dwi: Volume) -> int:
    """Return how many empty slices on either end make a low volume as high as a head."""
    step_mm = dwi.spacing_mm[2]
    missing_mm = HEAD_HEIGHT_MM - dwi.data_XYZ.shape[2] * step_mm
    return max(0, int(np.ceil(missing_mm / 2 / step_mm)))


def _rim_signal(
    data_XYZ: NDArray[np.float32],
    piece_XYZ: NDArray[np.bool_],
    spacing_mm: tuple[float, float, float],
) -> float:
    """Return the median signal of the outer rim over that of the inside."""
    padded_XYZ = np.pad(piece_XYZ, 1)  # the depth counts from outside the box
    depth_mm = ndimage.distance_transform_edt(padded_XYZ, sampling=spacing_mm)[1:-1, 1:-1, 1:-1]
    core_XYZ = depth_mm > RIM_MM
    inside = float(np.median(data_XYZ[core_XYZ])) if core_XYZ.any() else 0.0
    return float(np.median(data_XYZ[piece_XYZ & ~core_XYZ])) / inside if inside > 0 else 0.0


def largest_piece(mask_XYZ: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the largest connected piece of a mask; an empty one stays empty."""
    pieces_XYZ, _ = ndimage.label(mask_XYZ)
    sizes = np.bincount(pieces_XYZ.ravel())
    sizes[0] = 0
    largest_XYZ: NDArray[np.bool_] = (pieces_XYZ == int(sizes.argmax())) & mask_XYZ
    return largest_XYZ


def no_brain() -> BrainNotFoundError:
    """Return the error for a volume without a brain."""
    return BrainNotFoundError("No brain was found in the DWI.", remedy=_REMEDY)
