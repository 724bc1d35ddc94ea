"""The one judge: every measure of a study against its limits, with a reason for the reader.

Axis suffixes: X Y Z voxels (RAS+). What a measure is stands in its own module; the limits are
`QualitySettings`. A reason names numbers and never a person, a file or a device.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.quality import GateResult, Verdict
from pirta.errors import QualityError
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.quality.adc import outside_percent
from pirta.imaging.quality.coverage import (
    cut_percent,
    extents_mm,
    gap_percent,
    num_blank_slices,
    off_grid_percent,
)
from pirta.imaging.quality.gates import Gate, pass_through
from pirta.imaging.quality.left_out import left_out_percent
from pirta.imaging.quality.motion import shift_mm
from pirta.imaging.quality.noise import measure_snr
from pirta.imaging.quality.sampling import gap_between_percent, in_plane_mm, step_mm
from pirta.imaging.quality.signal import clipped_percent, darkest_percent
from pirta.settings import QualitySettings

WIDTH = Gate("brain_width", "mm", "The brain's width in the volume")
LENGTH = Gate("brain_length", "mm", "The brain's length in the volume")
HEIGHT = Gate("brain_extent", "mm", "The brain's height in the volume")
CUT = Gate("brain_cut", "%", "The brain's area where the volume ends, of its largest,")
BRAIN_VOLUME = Gate("brain_volume", "ml", "The brain's volume")
GAP = Gate("brain_gap", "%", "The share of brain missing between slices that hold it")
BLANK = Gate("blank_slices", "", "The number of empty slices between others")
OFF_GRID = Gate("off_grid", "%", "The share of brain outside the encoder's grid")
LEFT_OUT = Gate("left_out", "%", "The share of brain that the skull strip left out")
SPACING = Gate("slice_spacing", "mm", "The step from slice to slice")
SLICE_GAP = Gate("slice_gap", "%", "The gap between slices, of their thickness,")
IN_PLANE = Gate("in_plane", "mm", "The pixel's side")
CLIPPED = Gate("clipped", "%", "The brain at one and the same maximum in the worst slice")
DROPOUT = Gate("dropout", "%", "The darkest slice's signal, of its neighbours',")
MOTION = Gate("motion", "mm", "The shift between b0 and DWI")
B_LOW = Gate("b_value_low", "s/mm²", "The DWI's b value")
B_HIGH = Gate("b_value_high", "s/mm²", "The DWI's b value")
ADC_LOW = Gate("adc_low", "10⁻³ mm²/s", "The brain's median ADC")
ADC_HIGH = Gate("adc_high", "10⁻³ mm²/s", "The brain's median ADC")
ADC_OUTSIDE = Gate("adc_outside", "%", "The share of brain whose ADC no tissue or fluid has")

SNR = {
    "air": Gate("snr", "", "The DWI's signal over the noise in the air", " (noise of the air)"),
    "brain": Gate(
        "snr", "", "The DWI's signal over the noise inside the brain", " (noise inside the brain)"
    ),
}


def judge(
    pair: DiffusionPair,
    brain_XYZ: NDArray[np.bool_],
    *,
    adc_factor: float,
    adc_median: float,
    grid: NDArray[np.float64],
    settings: QualitySettings,
) -> tuple[GateResult, ...]:
    """Return every gate's result for a study at native resolution.

    What a study does not hold (a b0, a b value, a slice thickness) has no gate. What its reader
    warns of is the gate "reading", once a sentence.

    Args:
        adc_factor: brings the pair's ADC to 10⁻³ mm²/s.
        adc_median: of the brain, in 10⁻³ mm²/s.
        grid: the affine of the encoder's grid, as it will be laid around this brain.
    """
    dwi = pair.dwi
    snr = measure_snr(dwi, brain_XYZ)
    outside = outside_percent(pair.adc.data_XYZ, brain_XYZ, factor=adc_factor)
    measured: list[tuple[Gate, float | None]] = [
        *zip((WIDTH, LENGTH, HEIGHT), extents_mm(brain_XYZ, dwi), strict=True),
        (CUT, cut_percent(brain_XYZ)),
        (BRAIN_VOLUME, float(np.count_nonzero(brain_XYZ)) * dwi.voxel_ml),
        (GAP, gap_percent(brain_XYZ, dwi)),
        (BLANK, float(num_blank_slices(dwi))),
        (OFF_GRID, off_grid_percent(brain_XYZ, dwi.affine, grid)),
        (LEFT_OUT, left_out_percent(dwi, brain_XYZ)),
        (SPACING, step_mm(dwi)),
        (IN_PLANE, in_plane_mm(dwi)),
        (SNR[snr.source], snr.value),
        (CLIPPED, clipped_percent(dwi, brain_XYZ)),
        (DROPOUT, darkest_percent(dwi, brain_XYZ)),
        (ADC_LOW, adc_median),
        (ADC_HIGH, adc_median),
        (ADC_OUTSIDE, outside),
    ]
    if pair.slice_thickness_mm is not None:
        measured.append((SLICE_GAP, gap_between_percent(dwi, pair.slice_thickness_mm)))
    if pair.b_value_s_mm2 is not None:
        measured += [(B_LOW, pair.b_value_s_mm2), (B_HIGH, pair.b_value_s_mm2)]
    if pair.b0 is not None:
        measured.append((MOTION, shift_mm(dwi, pair.b0, brain_XYZ)))
    return (
        _judge_side(pair, settings),
        *(GateResult(gate="reading", value=None, verdict="warn", reason=x) for x in pair.warnings),
        *(pass_through(gate, value, settings) for gate, value in measured),
    )


def check_gates(gates: Sequence[GateResult]) -> None:
    """Refuse a study that any gate refuses.

    Raises:
        QualityError: with every gate's result, and the refusing ones' reasons in its message.
    """
    reasons = [one.reason for one in gates if one.verdict == "refuse"]
    if reasons:
        raise QualityError(
            f"{len(reasons)} of {len(gates)} quality gates refuse the study: {' '.join(reasons)}",
            remedy="Look at the images in a viewer, and export or acquire them again; a site's "
            "own limits are settings (quality, site_quality).",
            gates=gates,
        )


def _judge_side(pair: DiffusionPair, settings: QualitySettings) -> GateResult:
    """Judge whether left can be told from right: by the headers, never by the brain.

    Two forms of orientation that turn the volume a little against each other ("disputed") agree
    on the sides; readers refuse those that do not.
    """
    stated = {one.provenance.get("orientation") for one in (pair.dwi, pair.adc)}
    verdict: Verdict = "pass"
    reason = ""
    if "disputed" in stated:
        verdict = "warn"
        reason = "The header states two orientations that differ a little; the first was taken."
    if "assumed" in stated:
        verdict = settings.unknown_side
        reason = "The header states no orientation: left and right are assumed."
    return GateResult(
        gate="unknown_side",
        value=None,
        limit="an orientation in the header",
        verdict=verdict,
        reason=reason,
    )
