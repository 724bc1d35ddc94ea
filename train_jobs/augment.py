"""Cheap random variation of a prepared volume: contrast, coil, resolution, noise, faults.

Written in plain numpy: MONAI's transforms of the same kind take several times as long on one
thread (`python -m bench augmentation`). Every function draws from the generator it is given, so
that a step of training is the same after a resume. How a head lies is `pose`'s matter, what
looks like an infarct and is none `mimics`'s.

Axis suffixes: C channels (0 DWI in brain medians, 1 ADC in 10⁻³ mm²/s, background 0), X Y Z
voxels (RAS+, 2x2x4 mm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from train_jobs.mimics import add_blobs, add_texture, dropout_box, slab

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
        pitch_deg: nodding, about X.
        b_value: change of b in 10³ s/mm², acting through the ADC.
        gamma: exponent on the DWI, relative.
        bias: standard deviation of the coil field's logarithm, at most.
        adc_gain: relative.
        noise: standard deviation at most, in brain medians (DWI); the ADC gets 0.8 of it.
        blur: weight that a voxel gives to each of its two neighbours, at most.
        texture: standard deviation of the tissue's DWI from region to region, at most.
        mimics: share of the volumes with regions that look like an infarct and are none.
        ghost: share of the signal in a ghost, at most; one volume in four has one.
        faults: share of the volumes cut to a slab, and of those that lose a box of signal.
    """

    zoom: float = 0.08
    shift_mm: float = 8.0
    pitch_deg: float = 8.0
    b_value: float = 0.45
    gamma: float = 0.2
    bias: float = 0.18
    adc_gain: float = 0.15
    noise: float = 0.14
    blur: float = 0.25
    texture: float = 0.12
    mimics: float = 0.6
    ghost: float = 0.05
    faults: float = 0.1


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


def vary(
    rng: np.random.Generator,
    volume_CXYZ: Volume,
    lesion_XYZ: Labels,
    bank: NoiseBank,
    strength: Strength,
) -> Volume:
    """Change what differs between scanners, and normalise again; the background stays 0.

    Args:
        lesion_XYZ: 1 where lesion shows: faults that would hide it are not put there.
    """
    box = _brain_box(volume_CXYZ[_DWI])
    varied = np.zeros_like(volume_CXYZ)
    varied[(slice(None), *box)] = _vary_brain(
        rng, volume_CXYZ[(slice(None), *box)], lesion_XYZ[box], bank, strength
    )
    return varied


def _vary_brain(
    rng: np.random.Generator,
    volume_CXYZ: Volume,
    lesion_XYZ: Labels,
    bank: NoiseBank,
    strength: Strength,
) -> Volume:
    dwi, adc = volume_CXYZ[_DWI].copy(), volume_CXYZ[_ADC].copy()
    brain_XYZ = _seen(rng, dwi, lesion_XYZ, strength)
    add_texture(rng, dwi, adc, strength=strength.texture)
    if rng.random() < strength.mimics:
        add_blobs(rng, dwi, adc)
    dwi *= np.exp(-np.float32(_spread(rng, strength.b_value)) * (adc - np.float32(0.8)))
    np.power(dwi, np.float32(1 + _spread(rng, strength.gamma)), out=dwi)
    field_XYZ = _smooth_field(rng, dwi.shape)
    dwi *= np.exp(np.float32(rng.uniform(0, strength.bias)) * field_XYZ)
    adc *= np.float32(1 + _spread(rng, strength.adc_gain))
    if rng.random() < 0.25:
        dwi += np.float32(rng.uniform(0, strength.ghost)) * np.roll(dwi, dwi.shape[1] // 2, axis=1)
    if rng.random() < 0.6:
        axis = int(rng.integers(3))
        weight = rng.uniform(0, strength.blur)
        dwi, adc = _blur(dwi, axis, weight), _blur(adc, axis, weight)
    noise = np.float32(rng.uniform(0, strength.noise))
    # Rician: the noise of the magnitude has two channels.
    dwi = np.hypot(dwi + noise * bank.window(rng, dwi.shape), noise * bank.window(rng, dwi.shape))
    adc += np.float32(0.8) * noise * bank.window(rng, adc.shape)
    varied = np.stack([dwi, np.clip(adc, 0, _ADC_LIMIT)])
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


def _brain_box(dwi: Volume) -> tuple[slice, slice, slice]:
    """The box that holds all signal; the whole volume where there is none."""
    signal = dwi > 0
    spans = []
    for axis in range(3):
        others = tuple(other for other in range(3) if other != axis)
        held = np.flatnonzero(signal.any(axis=others))
        spans.append(slice(int(held[0]), int(held[-1]) + 1) if held.size else slice(None))
    return spans[0], spans[1], spans[2]


def _seen(
    rng: np.random.Generator, dwi: Volume, lesion_XYZ: Labels, strength: Strength
) -> NDArray[np.bool_]:
    """Return the brain that the scan holds: all of it, or without what a fault took."""
    brain_XYZ = dwi > 0
    if rng.random() < strength.faults:
        first, last = slab(rng, lesion_XYZ)
        brain_XYZ[:, :, :first] = False
        brain_XYZ[:, :, last:] = False
    if rng.random() < strength.faults:
        box = dropout_box(rng, lesion_XYZ)
        if box is not None:
            dwi[box] *= np.float32(rng.uniform(0.1, 0.6))
    return brain_XYZ


def _spread(rng: np.random.Generator, width: float) -> float:
    return float(rng.uniform(-width, width))


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
