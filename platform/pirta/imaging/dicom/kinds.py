"""What one image is: a trace, an ADC map, a raw diffusion image, or none of these.

Told by ImageType (an Enhanced frame's FrameType), the diffusion directionality, vendors' private
flags and, last, the series' description. Maps that look like an ADC (exponential ADC, FA, phase,
tensor) are named by their words and are never taken for one. Nothing is decided by pixels here.

Sources: DICOM PS3.3 C.8.13.3 and C.8.13.5.9; Philips (2001,xx04) "I" is isotropic; GE's combined
image carries COMBINED in ImageType.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from pydicom.dataset import Dataset

from pirta.imaging.dicom.private import PHILIPS, private_value, text_of

Kind = Literal["trace", "adc", "raw", "other"]

_NEVER = frozenset(
    {
        "EADC",
        "EXP",
        "EXPONENTIAL",
        "FA",
        "RA",
        "VR",
        "TENSOR",
        "EIGENVALUE",
        "EIGENVECTOR",
        "COLFA",
        "PHASE",
        "P",
        "REAL",
        "R",
        "IMAGINARY",
        "I",
        "LOCALIZER",
        "MPR",
        "MIP",
        "PROJECTION",
        "CSA",
        "FIELDMAP",
        "CALC",
        "CALCULATED",
        "SYNTHETIC",
    }
)
"""Words of ImageType beyond the first two that rule an image out, whatever else it says."""

_TRACE = frozenset({"TRACEW", "TRACE", "ISOTROPIC"})
_TRACE_WITH_B_VALUE = frozenset({"COMBINED", "ISO"})
"""GE's words for a trace, which other images carry too."""

_NEVER_SAID = re.compile(
    r"(?i)\be-?adc|exponential|\bexp\b|fractional|\bfa\b|anisotropy|colou?r|phase|localizer"
    r"|\bscout|tensor|\bcdwi\b|synthetic|calculated"
)
_DIFFUSION_SAID = re.compile(r"(?i)dwi|diff|dti|trace|adc|\bb ?= ?\d|\bb0")
_EXPONENTIAL_SAID = re.compile(r"(?i)\be-?adc|exponential|\bexp\b")
_ADC_SAID = re.compile(r"(?i)(?:^|[^a-z])adc(?:[^a-z]|$)|apparent diffusion coeff")
_TRACE_SAID = re.compile(r"(?i)trace|isotropic|(?:^|[^a-z])iso(?:[^a-z]|$)")


def kind_of(
    dataset: Dataset,
    *,
    image_type: Iterable[str],
    diffusion: Dataset | None,
    complex_component: str,
    b_value: float | None,
) -> Kind:
    """Return what an image is.

    Args:
        image_type: ImageType, or the frame's FrameType.
        diffusion: the frame's MR Diffusion item.
        complex_component: MAGNITUDE, PHASE, …, or empty where the header is silent.
        b_value: as the header has it. Philips and GE write 0 into every MR image: a 0 alone makes
            no diffusion image, see `says_diffusion`; EPI does for now, and `series` demands a
            weighted image beside it.
    """
    words = _words(image_type)
    meaning = set(words[2:])
    said = text_of(dataset.get("SeriesDescription"))
    if not _is_grey(dataset) or complex_component not in ("", "MAGNITUDE"):
        return "other"
    if meaning & _NEVER or "LOCALIZER" in words:
        return "other"
    if "ADC" in meaning:
        return "other" if _EXPONENTIAL_SAID.search(said) else "adc"
    is_diffusion = bool(b_value) or says_diffusion(dataset, words) or _is_epi(dataset)
    if meaning & _TRACE and is_diffusion:
        return "trace"
    if b_value and (meaning & _TRACE_WITH_B_VALUE or _is_isotropic(dataset, diffusion)):
        return "trace"
    if words[:1] == ["DERIVED"]:
        if _NEVER_SAID.search(said):
            return "other"
        if _ADC_SAID.search(said):
            return "adc"
        if b_value and _TRACE_SAID.search(said):
            return "trace"
    return "raw" if b_value is not None and is_diffusion else "other"


def says_diffusion(dataset: Dataset, image_type: Iterable[str]) -> bool:
    """Return whether a header says diffusion by a word or by the technique, not by a b value."""
    technique = text_of(private_value(dataset, 0x2001, PHILIPS, 0x20)).upper()
    contrast = text_of(dataset.get("AcquisitionContrast")).upper()
    return (
        "DIFFUSION" in _words(image_type)[2:]
        or contrast == "DIFFUSION"
        or technique.startswith("DWI")
        or _DIFFUSION_SAID.search(text_of(dataset.get("SeriesDescription"))) is not None
    )


def is_corrected(image_type: Iterable[str]) -> bool:
    """Return whether the scanner corrected the image for gradient distortion (Siemens DIS2D)."""
    return bool({"DIS2D", "DIS3D"} & {word.upper() for word in image_type})


def _is_grey(dataset: Dataset) -> bool:
    samples = dataset.get("SamplesPerPixel")
    photometric = text_of(dataset.get("PhotometricInterpretation")).upper()
    return samples in (None, 1) and photometric in ("", "MONOCHROME1", "MONOCHROME2")


def _words(image_type: Iterable[str]) -> list[str]:
    return [part for value in image_type for part in re.split(r"[_\s]+", value.upper()) if part]


def _is_epi(dataset: Dataset) -> bool:
    """Return whether the sequence is echo planar: diffusion is, and perfusion and fMRI too."""
    return "EP" in re.findall("[A-Z]+", text_of(dataset.get("ScanningSequence")).upper())


def _is_isotropic(dataset: Dataset, diffusion: Dataset | None) -> bool:
    said = text_of((diffusion or dataset).get("DiffusionDirectionality")).upper()
    philips = text_of(private_value(dataset, 0x2001, PHILIPS, 0x04)).upper()
    return said == "ISOTROPIC" or philips == "I"
