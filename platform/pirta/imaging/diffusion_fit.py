"""From diffusion volumes of known b values to trace DWI, ADC map and b0.

Axis suffixes: X Y Z voxels (RAS+). The trace is the geometric mean of the shell with the highest
b value up to 1000 s/mm²; the ADC is the slope of a log-linear least-squares fit over every
volume, each with its own b value, so that directions average in the logarithm as they should.
A shell is told apart from its neighbours by more than its scatter: scanners write 995 to 1010
where 1000 was asked for. Nothing is masked, smoothed or registered here.

Source: Stejskal and Tanner, J. Chem. Phys. 42, 1965 (S = S0 exp(-b D)); mean diffusivity from
the mean of logarithms, Mori and van Zijl, NMR Biomed. 8, 1995.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pirta.errors import SeriesError
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.pair import check_same_grid
from pirta.imaging.volume import Volume

NEAR_B0_S_MM2 = 50.0
"""Below: no diffusion weighting (Philips writes 0.001 to 0.004, others 5)."""

MAX_TRACE_B_S_MM2 = 1000.0
MIN_TRACE_B_S_MM2 = 500.0
B_JITTER_S_MM2 = 50.0
"""How far a volume's b value may lie from its shell's nominal one."""

MIN_B_SPREAD_S_MM2 = 400.0
"""Between lowest and highest b value: an ADC from less is noise."""

MAX_B_S_MM2 = 20_000.0

FLOOR_SHARE = 1e-4
"""Of the brightest voxel: what is zero or negative is taken as this before the logarithm."""


MIN_COVER = 0.1
"""Smallest eigenvalue of the directions' mean outer product: 1/3 covers the sphere evenly."""


def pair_from_volumes(
    volumes: Sequence[Volume],
    b_values_s_mm2: Sequence[float],
    directions: Sequence[Sequence[float]] | None = None,
    *,
    has_adc_map: bool = False,
) -> DiffusionPair:
    """Return trace DWI, fitted ADC (10⁻³ mm²/s) and mean b0 of one acquisition.

    The trace shell is every volume from the highest b value up to 1000 (1050 with jitter) down
    to 100 below it. Its DWI is 0 only where every volume of it is zero or less. ADC values that
    no tissue has (noise, air) stay what the fit gives; all are finite.

    Args:
        directions: the gradient of each volume where known, in any frame; zeros for a b0 and for
            a trace that the scanner made.
        has_adc_map: the caller has the scanner's map and leaves the fitted one: the b values
            need not span one, and it is 0 where they are all alike.

    Raises:
        SeriesError: another number of b values than volumes, a b value that cannot be, no shell
            between 500 and 1000, b values too close together for an ADC, directions that leave
            the sphere uncovered, or a signal that grows with the b value.
        ChannelMismatchError: the volumes lie on different grids.
    """
    b_values = _checked(volumes, b_values_s_mm2)
    shell = _trace_shell(b_values)
    spread = float(b_values[shell].max() - b_values.min())
    if not has_adc_map:
        _check_spread(spread, b_values)
    for number, volume in enumerate(volumes[1:], start=2):
        check_same_grid(volumes[0], volume, "volume 1", f"volume {number}")
    if directions is not None:
        _check_directions(directions, len(volumes), shell)
    peak = max(float(volume.data_XYZ.max()) for volume in volumes)
    if not peak > 0:
        raise SeriesError(
            f"None of {len(volumes)} diffusion volumes has a voxel above zero.",
            remedy="Export the magnitude images again and look at them in a viewer.",
        )
    near_b0 = np.flatnonzero(b_values < NEAR_B0_S_MM2)
    adc_XYZ, trace_XYZ = _fit(volumes, b_values, shell, floor=peak * FLOOR_SHARE)
    if spread >= MIN_B_SPREAD_S_MM2:
        _check_decay(adc_XYZ, volumes, b_values)
    first = volumes[0]
    return DiffusionPair(
        dwi=Volume(trace_XYZ, first.affine, first.provenance),
        adc=Volume(adc_XYZ, first.affine, first.provenance),
        b0=Volume(_mean(volumes, near_b0), first.affine, first.provenance)
        if near_b0.size
        else None,
        b_value_s_mm2=round(float(b_values[shell].mean()), 1),
        adc_unit="10⁻³ mm²/s",
        provenance={
            "dwi": _trace_words(b_values, shell),
            "adc": f"fitted over b {describe_b_values(b_values)} ({len(volumes)} volumes)",
            "b0": f"mean of {near_b0.size}" if near_b0.size else "none",
        },
    )


def describe_b_values(b_values_s_mm2: Sequence[float] | NDArray[np.float64]) -> str:
    """Return the distinct b values as text, rounded to 5 and at most eight of them."""
    distinct = sorted({5 * round(float(b) / 5) for b in b_values_s_mm2 if np.isfinite(b)})
    shown = ", ".join(map(str, distinct[:8])) or "none"
    return shown + (f" and {len(distinct) - 8} more" if len(distinct) > 8 else "")


def _checked(volumes: Sequence[Volume], b_values_s_mm2: Sequence[float]) -> NDArray[np.float64]:
    b_values = np.asarray(b_values_s_mm2, dtype=np.float64)
    if len(volumes) != b_values.size or not len(volumes):
        raise SeriesError(
            f"There are {len(volumes)} diffusion volumes and {b_values.size} b values.",
            remedy="Send one b value for each volume, in the volumes' order.",
        )
    bad = b_values[~(np.isfinite(b_values) & (b_values >= 0) & (b_values <= MAX_B_S_MM2))]
    if bad.size:
        raise SeriesError(
            f"{bad.size} of {b_values.size} b values cannot be one, the first is {bad[0]:g}.",
            remedy=f"B values are numbers from 0 to {MAX_B_S_MM2:.0f} s/mm².",
        )
    return b_values


def _trace_shell(b_values: NDArray[np.float64]) -> NDArray[np.intp]:
    """Return which volumes make the trace."""
    usable = b_values[b_values <= MAX_TRACE_B_S_MM2 + B_JITTER_S_MM2]
    top = float(usable.max()) if usable.size else 0.0
    found = describe_b_values(b_values)
    if top < MIN_TRACE_B_S_MM2 - B_JITTER_S_MM2:
        raise SeriesError(
            f"No volume has a b value from {MIN_TRACE_B_S_MM2:.0f} to {MAX_TRACE_B_S_MM2:.0f} "
            f"s/mm²; found: {found}.",
            remedy="Send the whole diffusion series; a b value near 1000 is expected.",
        )
    return np.flatnonzero((b_values <= top) & (b_values >= top - 2 * B_JITTER_S_MM2))


def _check_spread(spread_s_mm2: float, b_values: NDArray[np.float64]) -> None:
    if spread_s_mm2 < MIN_B_SPREAD_S_MM2:
        raise SeriesError(
            f"The b values {describe_b_values(b_values)} s/mm² lie too close together for an ADC.",
            remedy="Send the b0 volumes too, or the scanner's ADC map beside the DWI.",
        )


def _check_directions(
    directions: Sequence[Sequence[float]], num_volumes: int, shell: NDArray[np.intp]
) -> None:
    vectors = np.asarray(directions, dtype=np.float64).reshape(-1, 3)
    if len(vectors) != num_volumes:
        raise SeriesError(
            f"There are {num_volumes} diffusion volumes and {len(vectors)} directions.",
            remedy="Send one direction for each volume, in the volumes' order.",
        )
    lengths = np.linalg.norm(vectors, axis=1)
    used = vectors[shell][lengths[shell] > 0.1] / lengths[shell][lengths[shell] > 0.1, None]
    if not len(used):
        return  # a trace that the scanner made
    cover = float(np.linalg.eigvalsh(used.T @ used / len(used))[0])
    if not cover >= MIN_COVER:
        raise SeriesError(
            f"{len(used)} diffusion directions leave a part of the sphere unseen (cover "
            f"{cover:.2f}, at least {MIN_COVER} of 0.33 is needed).",
            remedy="Send all directions of the shell, or the scanner's trace image and ADC map.",
        )


def _check_decay(
    adc_XYZ: NDArray[np.float32], volumes: Sequence[Volume], b_values: NDArray[np.float64]
) -> None:
    """Refuse a signal that grows with the b value where it is brightest: no tissue does that."""
    bright_XYZ = np.maximum(
        volumes[int(b_values.argmin())].data_XYZ, volumes[int(b_values.argmax())].data_XYZ
    )
    limit = float(np.percentile(bright_XYZ[bright_XYZ > 0], 90)) if (bright_XYZ > 0).any() else 0.0
    median = float(np.median(adc_XYZ[bright_XYZ >= limit]))
    if median < 0:
        raise SeriesError(
            f"The signal grows with the b value (median ADC {median:.2f} ·10⁻³ mm²/s).",
            remedy="Check that b0 and DWI are not swapped and that b values follow the volumes.",
        )


def _fit(
    volumes: Sequence[Volume],
    b_values: NDArray[np.float64],
    shell: NDArray[np.intp],
    *,
    floor: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return ADC and trace in one pass: one volume's logarithm is in memory at a time."""
    centred = b_values - b_values.mean()
    weights = -1e3 * centred / (float(centred @ centred) or 1.0)  # 0 where all are alike
    in_shell = set(shell.tolist())
    shape = volumes[0].data_XYZ.shape
    adc_XYZ = np.zeros(shape, dtype=np.float32)
    log_trace_XYZ = np.zeros(shape, dtype=np.float32)
    signal_XYZ = np.zeros(shape, dtype=np.bool_)
    shell_signal_XYZ = np.zeros(shape, dtype=np.bool_)
    for place, volume in enumerate(volumes):
        positive_XYZ = volume.data_XYZ > 0
        log_XYZ = np.log(np.maximum(volume.data_XYZ, np.float32(floor)))
        adc_XYZ += np.float32(weights[place]) * log_XYZ
        signal_XYZ |= positive_XYZ
        if place in in_shell:
            log_trace_XYZ += log_XYZ
            shell_signal_XYZ |= positive_XYZ
    adc_XYZ[~signal_XYZ] = 0.0
    if len(shell) == 1:  # a trace already, or all there is: exp(log) would only round it
        return adc_XYZ, volumes[int(shell[0])].data_XYZ
    trace_XYZ = np.exp(log_trace_XYZ / np.float32(len(shell)))
    trace_XYZ[~shell_signal_XYZ] = 0.0
    return adc_XYZ, trace_XYZ


def _mean(volumes: Sequence[Volume], places: NDArray[np.intp]) -> NDArray[np.float32]:
    total_XYZ = np.zeros(volumes[0].data_XYZ.shape, dtype=np.float32)
    for place in places:
        total_XYZ += volumes[int(place)].data_XYZ
    return total_XYZ / np.float32(places.size)


def _trace_words(b_values: NDArray[np.float64], shell: NDArray[np.intp]) -> str:
    b_text = describe_b_values(b_values[shell])
    if len(shell) == 1:
        return f"the one volume at b {b_text}"
    return f"geometric mean of {len(shell)} volumes at b {b_text}"
