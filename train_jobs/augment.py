"""Cheap random variation of a prepared volume: pose, contrast, coil, resolution, noise.

Written in plain numpy: MONAI's transforms of the same kind take 3.5 times as long on one
thread (`python -m bench augmentation`: 17 ms against 60 ms a volume). Every function draws
from the generator it is given, so that a step of training is the same after a resume.

Axis suffixes: C channels (0 DWI in brain medians, 1 ADC in 10⁻³ mm²/s, background 0), X Y Z
voxels (RAS+, 2x2x4 mm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.study import GRID_SPACING_MM

Volume = NDArray[np.float32]
Labels = NDArray[np.uint8]

_DWI, _ADC = 0, 1
_DWI_LIMIT, _ADC_LIMIT = 12.0, 4.0


@dataclass(frozen=True)
class Strength:
    """How far each step may go. Ranges are symmetric around no change unless said otherwise.

    Attributes:
        zoom: relative, an axis.
        shift_mm: along each axis.
        b_value: change of b in 10³ s/mm², acting through the ADC.
        gamma: exponent on the DWI, relative.
        bias: standard deviation of the coil field's logarithm, at most.
        adc_gain: relative.
        noise: standard deviation at most, in brain medians (DWI); the ADC gets 0.8 of it.
        blur: weight that a voxel gives to each of its two neighbours, at most.
    """

    zoom: float = 0.07
    shift_mm: float = 8.0
    b_value: float = 0.3
    gamma: float = 0.2
    bias: float = 0.18
    adc_gain: float = 0.1
    noise: float = 0.14
    blur: float = 0.25


class NoiseBank:
    """Standard normal values drawn once; a volume's noise is a window at a random place.

    Drawing a million normals for each volume costs more than the network's step.
    """

    def __init__(self, seed: int, *, num_values: int = 1 << 22) -> None:
        rng = np.random.default_rng(seed)
        self._values = rng.standard_normal(num_values, dtype=np.float32)

    def window(self, rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
        """Return `shape` values; overlapping windows share values, never aligned ones."""
        count = int(np.prod(shape))
        start = int(rng.integers(len(self._values) - count))
        return self._values[start : start + count].reshape(shape)


def move(
    rng: np.random.Generator, volume_CXYZ: Volume, labels: list[Labels], strength: Strength
) -> tuple[Volume, list[Labels]]:
    """Mirror left and right at random, zoom and shift; label maps move along (nearest)."""
    if rng.random() < 0.5:
        volume_CXYZ = volume_CXYZ[:, ::-1]
        labels = [label_XYZ[::-1] for label_XYZ in labels]
    sides = volume_CXYZ.shape[1:]
    sources = [
        _source_positions(rng, side, step_mm, strength)
        for side, step_mm in zip(sides, GRID_SPACING_MM, strict=True)
    ]
    moved = np.ascontiguousarray(volume_CXYZ)
    brain_XYZ = (moved[_DWI] > 0).astype(np.float32)
    stack = np.concatenate([moved, brain_XYZ[None]])
    for axis, source in enumerate(sources):
        stack = _interpolate(stack, source, axis + 1)
    inside_XYZ = stack[2] > 0.5
    # Dividing by the brain's share keeps the rim from fading into the background.
    moved = stack[:2] * (inside_XYZ / np.maximum(stack[2], 0.5))
    picks = [np.rint(source).astype(int) for source in sources]
    return moved, [_pick(label_XYZ, picks) * inside_XYZ for label_XYZ in labels]


def vary(
    rng: np.random.Generator, volume_CXYZ: Volume, bank: NoiseBank, strength: Strength
) -> Volume:
    """Change what differs between scanners, and normalise again; the background stays 0."""
    dwi, adc = volume_CXYZ[_DWI].copy(), volume_CXYZ[_ADC].copy()
    brain_XYZ = dwi > 0
    dwi *= np.exp(-np.float32(_spread(rng, strength.b_value)) * (adc - np.float32(0.8)))
    np.power(dwi, np.float32(1 + _spread(rng, strength.gamma)), out=dwi)
    field_XYZ = _smooth_field(rng, dwi.shape)
    dwi *= np.exp(np.float32(rng.uniform(0, strength.bias)) * field_XYZ)
    adc *= np.float32(1 + _spread(rng, strength.adc_gain))
    if rng.random() < 0.6:
        axis = int(rng.integers(3))
        weight = rng.uniform(0, strength.blur)
        dwi, adc = _blur(dwi, axis, weight), _blur(adc, axis, weight)
    noise = np.float32(rng.uniform(0, strength.noise))
    dwi += noise * bank.window(rng, dwi.shape)
    adc += np.float32(0.8) * noise * bank.window(rng, adc.shape)
    varied = np.stack([np.abs(dwi), np.clip(adc, 0, _ADC_LIMIT)])
    return normalise(varied * brain_XYZ)


def normalise(volume_CXYZ: Volume) -> Volume:
    """Divide the DWI by the brain's median again: a large bright lesion shifts it.

    A volume without any brain stays as it is.
    """
    sample = volume_CXYZ[_DWI, ::2, ::2, ::2]
    inside = sample[sample > 0]
    median = float(np.median(inside)) if inside.size else 1.0
    volume_CXYZ[_DWI] = np.minimum(volume_CXYZ[_DWI] / max(median, 1e-3), _DWI_LIMIT)
    return volume_CXYZ


def _spread(rng: np.random.Generator, width: float) -> float:
    return float(rng.uniform(-width, width))


def _source_positions(
    rng: np.random.Generator, side: int, step_mm: float, strength: Strength
) -> NDArray[np.float64]:
    """Where along an axis each voxel's value comes from."""
    centre = (side - 1) / 2
    scale = 1 / (1 + _spread(rng, strength.zoom))
    shift = _spread(rng, strength.shift_mm) / step_mm
    positions = (np.arange(side) - centre) * scale + centre + shift
    return np.clip(positions, 0, side - 1)


def _interpolate(stack: Volume, source: NDArray[np.float64], axis: int) -> Volume:
    low = np.floor(source).astype(int)
    high = np.minimum(low + 1, stack.shape[axis] - 1)
    shape = [1] * stack.ndim
    shape[axis] = len(source)
    weight = (source - low).astype(np.float32).reshape(shape)
    first, second = np.take(stack, low, axis), np.take(stack, high, axis)
    second -= first
    second *= weight
    first += second
    return np.asarray(first)


def _pick(labels_XYZ: Labels, picks: list[NDArray[np.int_]]) -> Labels:
    return np.asarray(labels_XYZ[np.ix_(*picks)])


def _smooth_field(rng: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A sum of three slow plane waves: smooth, of about unit variance, and cheap (separable)."""
    total = np.zeros(shape, np.float32)
    for _ in range(3):
        waves = [
            np.exp(1j * (rng.uniform(0.3, 1.2) * np.pi * np.linspace(0, 1, side))) for side in shape
        ]
        phase = np.exp(1j * rng.uniform(0, 2 * np.pi))
        plane_XY = (phase * waves[0][:, None] * waves[1][None, :]).astype(np.complex64)
        third_Z = waves[2].astype(np.complex64)
        # Real part of a product of phases, without a complex volume.
        total += plane_XY.real[..., None] * third_Z.real - plane_XY.imag[..., None] * third_Z.imag
    return total * np.float32(np.sqrt(2 / 3))


def _blur(values_XYZ: Volume, axis: int, weight: float) -> Volume:
    """Share `weight` with both neighbours along an axis (thicker slices, coarser pixels)."""
    first = [slice(None)] * 3
    last = [slice(None)] * 3
    first[axis], last[axis] = slice(None, -1), slice(1, None)
    blurred = values_XYZ * np.float32(1 - 2 * weight)
    blurred[tuple(first)] += np.float32(weight) * values_XYZ[tuple(last)]
    blurred[tuple(last)] += np.float32(weight) * values_XYZ[tuple(first)]
    return np.asarray(blurred)
