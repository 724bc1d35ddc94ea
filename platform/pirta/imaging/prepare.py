"""From the bytes of a DWI/ADC pair to the encoder's volume: every step in the paper's order.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+, 2x2x4 mm once prepared).
Skull strip, resample and pad, N4, normalise (paper, section 2.2). The paper strips with
SynthSeg, this with deepbet; N4 is for the DWI, and for the ADC by setting only, because an
ADC is a ratio in which the coil's shading cancels. The quality gate stands behind the strip and
before the costly rest. Nothing is written to disk here.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import PurePath

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.quality import GateResult
from pirta.contracts.study import PreparedStudy, StudyImages
from pirta.errors import IntensityError
from pirta.imaging.adc_units import AdcReading, find_adc_unit
from pirta.imaging.bias import fit_log_field
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.nifti import read_nifti
from pirta.imaging.normalise import clip_adc, normalise_dwi
from pirta.imaging.pair import check_not_swapped, check_pair, check_same_grid
from pirta.imaging.quality.judge import check_gates, judge
from pirta.imaging.read_pair import read_pair
from pirta.imaging.resample import (
    MIN_FRACTION,
    grid_affine,
    mask_fraction,
    resample_inside,
    resample_labels,
)
from pirta.imaging.strip import Stripper, check_brain
from pirta.imaging.volume import Volume, slice_axis
from pirta.settings import DEFAULT_QUALITY, PreprocessingSettings, QualitySettings

ALGORITHM_VERSION = "2"
"""Raise it with every change that changes prepared numbers: stored volumes stop comparing."""

_NO_NUMBERS = {"strip_timeout_s"}  # settings that decide whether, not what


@dataclass(frozen=True)
class PreparedCaseVolumes:
    """A prepared study with its label maps on the same grid.

    Attributes:
        mask_XYZ: uint8, 1 = lesion; None where the case has no mask.
        territory_XYZ: uint8, labels as they came; None where the case has none.
    """

    study: PreparedStudy
    mask_XYZ: NDArray[np.uint8] | None
    territory_XYZ: NDArray[np.uint8] | None


def fingerprint(settings: PreprocessingSettings) -> str:
    """Return a short name of everything that decides a prepared volume's numbers.

    Settings enter where they differ from the defaults, so that a new setting leaves the names
    of what was prepared before as they are; a changed default raises `ALGORITHM_VERSION`.
    """
    program = PurePath(settings.strip_command[0]).name if settings.strip_command else ""
    named = (program, *settings.strip_command[1:]) if program else ()  # wherever it is installed
    settings = settings.model_copy(update={"strip_command": named})
    content = settings.model_dump_json(exclude_defaults=True, exclude=_NO_NUMBERS)
    return "prep-" + hashlib.sha256(f"{ALGORITHM_VERSION}\n{content}".encode()).hexdigest()[:12]


def prepare_study(
    images: StudyImages,
    *,
    settings: PreprocessingSettings,
    quality: QualitySettings = DEFAULT_QUALITY,
    stripper: Stripper,
) -> PreparedStudy:
    """Return the encoder's volume of a study's images.

    Raises:
        QualityError: a quality gate refuses the study; every gate's result is with it.
        InputError: another of its kinds, saying which file cannot be used, why, and the remedy.
    """
    return prepare_case(images, settings=settings, quality=quality, stripper=stripper).study


def prepare_case(
    images: StudyImages,
    *,
    mask: bytes | None = None,
    territory: bytes | None = None,
    settings: PreprocessingSettings,
    quality: QualitySettings = DEFAULT_QUALITY,
    stripper: Stripper,
) -> PreparedCaseVolumes:
    """Return a prepared study together with its lesion mask and territory labels.

    Raises:
        InputError: as `prepare_study`, and where a label map is not on the DWI's grid.
    """
    pair = read_pair(images)
    check_pair(pair.dwi, pair.adc)
    labels = [
        None if data is None else _read_labels(data, role, pair.dwi)
        for data, role in ((mask, "mask"), (territory, "territory"))
    ]
    study, target = _prepare(pair, settings, quality, stripper)
    mask_XYZ, territory_XYZ = (
        None if one is None else resample_labels(one, pair.dwi.affine, target) for one in labels
    )
    return PreparedCaseVolumes(study=study, mask_XYZ=mask_XYZ, territory_XYZ=territory_XYZ)


@dataclass(frozen=True)
class _Judged:
    """What is known of a study once it is stripped and let through.

    Attributes:
        brain_XYZ: at native resolution.
        target: affine of the encoder's grid around this brain.
    """

    brain_XYZ: NDArray[np.bool_]
    brain_ml: float
    adc: AdcReading
    target: NDArray[np.float64]
    gates: tuple[GateResult, ...]


def _prepare(
    pair: DiffusionPair,
    settings: PreprocessingSettings,
    quality: QualitySettings,
    stripper: Stripper,
) -> tuple[PreparedStudy, NDArray[np.float64]]:
    judged = _judge(pair, quality, stripper)
    volume_CXYZ = _to_grid(pair, judged, settings)
    facts: dict[str, float | str | bool] = {
        **{f"read_{name}": value for name, value in pair.provenance.items()},
        "adc_unit": judged.adc.unit,
        "adc_unit_from": judged.adc.source,
        "adc_median": round(judged.adc.median, 4),
        "stripper": stripper.method(pair.dwi),
        "brain_ml": round(judged.brain_ml, 1),
        "warnings": "\n".join(one.reason for one in judged.gates if one.verdict == "warn"),
        **_geometry_facts(pair, judged.target),
    }
    study = PreparedStudy(volume_CXYZ, fingerprint(settings), facts, judged.gates)
    return study, judged.target


def _judge(pair: DiffusionPair, quality: QualitySettings, stripper: Stripper) -> _Judged:
    """Find the brain, and refuse what is none, not a pair, or below the site's limits."""
    brain_XYZ = stripper.strip(pair.dwi)
    brain_ml = check_brain(brain_XYZ, pair.dwi)
    check_not_swapped(pair.dwi, pair.adc, brain_XYZ)
    reading = find_adc_unit(pair.adc.data_XYZ, brain_XYZ, stated=pair.adc_unit)
    target = grid_affine(brain_XYZ, pair.dwi.affine)
    gates = judge(
        pair,
        brain_XYZ,
        adc_factor=reading.factor,
        adc_median=reading.median,
        grid=target,
        settings=quality,
    )
    check_gates(gates)
    return _Judged(brain_XYZ, brain_ml, reading, target, gates)


def _to_grid(
    pair: DiffusionPair, judged: _Judged, settings: PreprocessingSettings
) -> NDArray[np.float32]:
    """Return both channels on the encoder's grid, corrected and normalised."""
    affine, brain_XYZ, target = pair.dwi.affine, judged.brain_XYZ, judged.target
    fraction_XYZ = mask_fraction(brain_XYZ, affine, target)
    inside_XYZ = fraction_XYZ >= MIN_FRACTION

    def resample(scan_XYZ: NDArray[np.float32], *, corrected: bool) -> NDArray[np.float32]:
        """Bring a channel onto the grid, then divide it by the field fitted on its own voxels."""
        grid_XYZ = resample_inside(scan_XYZ, brain_XYZ, fraction_XYZ, affine, target)
        if not corrected:
            return grid_XYZ
        log_field_XYZ = fit_log_field(
            scan_XYZ,
            brain_XYZ,
            pair.dwi.spacing_mm,
            fit_spacing_mm=settings.n4_fit_spacing_mm,
            iterations=settings.n4_iterations,
        )
        field_XYZ = resample_inside(log_field_XYZ, brain_XYZ, fraction_XYZ, affine, target)
        return np.asarray(grid_XYZ / np.exp(field_XYZ), dtype=np.float32)

    dwi_XYZ = resample(pair.dwi.data_XYZ, corrected=True)
    scaled_XYZ = pair.adc.data_XYZ * np.float32(judged.adc.factor)
    adc_XYZ = resample(scaled_XYZ, corrected=settings.n4_on_adc)
    return np.stack([normalise_dwi(dwi_XYZ, inside_XYZ), clip_adc(adc_XYZ, inside_XYZ)])


def _geometry_facts(
    pair: DiffusionPair, target: NDArray[np.float64]
) -> dict[str, float | str | bool]:
    """Return the input's spacing and the prepared grid's origin, to find the way back."""
    dwi = pair.dwi
    facts: dict[str, float | str | bool] = {
        f"spacing_{axis}_mm": round(side, 3)
        for axis, side in zip("xyz", dwi.spacing_mm, strict=True)
    }
    facts |= {
        f"grid_origin_{axis}_mm": round(float(place), 3)
        for axis, place in zip("xyz", target[:3, 3], strict=True)
    }
    thickness_mm = pair.slice_thickness_mm or dwi.spacing_mm[slice_axis(dwi.spacing_mm)]
    facts["slice_thickness_mm"] = round(thickness_mm, 3)
    if pair.b_value_s_mm2 is not None:
        facts["b_value_s_mm2"] = round(pair.b_value_s_mm2, 1)
    return facts


def _read_labels(data: bytes, role: str, dwi: Volume) -> NDArray[np.uint8]:
    volume = read_nifti(data, role=role)
    check_same_grid(dwi, volume, "DWI", role)
    rounded_XYZ = np.rint(volume.data_XYZ)
    low, high = float(rounded_XYZ.min()), float(rounded_XYZ.max())
    if low < 0 or high > 255 or not np.allclose(rounded_XYZ, volume.data_XYZ, atol=1e-3):
        raise IntensityError(
            f"The {role} holds values that are no labels (range {low:g} to {high:g}).",
            remedy="Labels are whole numbers from 0 to 255; 0 is background.",
        )
    return rounded_XYZ.astype(np.uint8)
