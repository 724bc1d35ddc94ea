"""Scan a head: sample its signals on the scanner's grid, with the faults that scanners have.

Axis suffixes: X Y Z voxels of the scanner's grid before storing (right, anterior, superior,
tilted with the slices), xyz voxels of the head's own 2 mm grid. Simulated: slice profile, head
position, slice tilt, EPI distortion along Y, coil shading, signal pile-up at the skull base,
half-field ghost, Rician noise. Signals come from `tissue`; units and orientation of the files
are `phantom`'s matter.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from pirta.cohort.scanner import Scanner
from pirta.cohort.smooth_field import smooth_field
from pirta.cohort.template import SPACING_MM

_HEAD_CENTRE_MM = (0.0, -18.0, 8.0)
_TURN_STD_DEG, _SHIFT_STD_MM = 3.0, 2.5
# Where air meets the skull base: frontal sinus and the two petrous bones. MNI mm, reach in mm.
_AIR_MNI_MM = ((0.0, 46.0, -22.0), (46.0, -16.0, -30.0), (-46.0, -16.0, -30.0))
_AIR_REACH_MM = 15.0
_PILE_UP = 0.45
_TRACE_DIRECTIONS = 3  # the trace-weighted image is a mean over these, its noise less by the root


@dataclass(frozen=True)
class Placement:
    """Where each voxel of the scanner's grid lies in the head's grid.

    Attributes:
        index_3XYZ: position in voxels of the head's grid, distortion included.
        near_air_XYZ: 1 at the air-filled cavities of the skull base, fading to 0.
        affine: voxel to the scanner's millimetres (RAS+), slices tilted.
    """

    index_3XYZ: NDArray[np.float32]
    near_air_XYZ: NDArray[np.float32]
    affine: NDArray[np.float64]


def place_head(
    rng: np.random.Generator, scanner: Scanner, head_affine: NDArray[np.float64]
) -> Placement:
    """Lay the head into the scanner: turned and shifted a little, slices tilted, EPI bent."""
    tilt = _rotation(np.array([scanner.tilt_deg, 0.0, 0.0]))
    turn = _rotation(rng.normal(0, _TURN_STD_DEG, 3))
    centre_mm = np.asarray(_HEAD_CENTRE_MM)
    shift_mm = rng.normal(0, _SHIFT_STD_MM, 3)
    spacing = np.asarray(scanner.spacing_mm)
    middle = (np.asarray(scanner.shape) - 1) / 2
    affine = np.eye(4)
    affine[:3, :3] = tilt * spacing
    affine[:3, 3] = centre_mm - affine[:3, :3] @ middle
    # Scanner mm to head mm: undo the shift and the turn about the head's centre.
    to_head = turn.T @ affine[:3, :3]
    start_mm = turn.T @ (affine[:3, 3] - shift_mm - centre_mm) + centre_mm
    x, y, z = np.ogrid[tuple(slice(0, n) for n in scanner.shape)]
    position = [
        np.asarray(to_head[i, 0] * x + to_head[i, 1] * y + to_head[i, 2] * z + start_mm[i])
        for i in range(3)
    ]
    at_mm = np.stack(position).astype(np.float32)
    near_air = _near_air(at_mm)
    phase = (turn.T @ tilt[:, 1] * scanner.distortion_mm).astype(np.float32)
    at_mm -= phase[:, None, None, None] * near_air
    origin_mm = head_affine[:3, 3].astype(np.float32)[:, None, None, None]
    return Placement((at_mm - origin_mm) / np.float32(SPACING_MM), near_air, affine)


def sample(
    values_xyz: NDArray[np.floating], placement: Placement, scanner: Scanner
) -> NDArray[np.float32]:
    """Return a map of the head on the scanner's grid, averaged over each slice's thickness."""
    through_vox = round(scanner.slice_mm / SPACING_MM)
    thick = values_xyz.astype(np.float32)
    if through_vox > 1:
        thick = ndimage.uniform_filter1d(thick, through_vox, axis=2, mode="nearest")
    if scanner.in_plane_mm > SPACING_MM:
        sigma_vox = 0.35 * scanner.in_plane_mm / SPACING_MM
        thick = ndimage.gaussian_filter(thick, (sigma_vox, sigma_vox, 0), mode="nearest")
    sampled = ndimage.map_coordinates(thick, placement.index_3XYZ, order=1, mode="constant")
    return np.asarray(sampled, np.float32)


def sample_labels(labels_xyz: NDArray[np.uint8], placement: Placement) -> NDArray[np.uint8]:
    """Return a label map on the scanner's grid, by nearest neighbour."""
    sampled = ndimage.map_coordinates(labels_xyz, placement.index_3XYZ, order=0, mode="constant")
    return np.asarray(sampled, np.uint8)


def receive(
    rng: np.random.Generator,
    b0_XYZ: NDArray[np.float32],
    dwi_XYZ: NDArray[np.float32],
    scanner: Scanner,
    placement: Placement,
    *,
    tissue_dwi: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return b0 and DWI as the coil hears them: shaded, ghosted, noisy.

    Args:
        tissue_dwi: the DWI signal of brain tissue, on which the noise is scaled.
    """
    shading = np.exp(
        np.float32(scanner.bias_strength)
        * smooth_field(rng, scanner.shape, spacing_mm=scanner.spacing_mm, scale_mm=90.0)
    )
    pile_up = np.float32(_PILE_UP * scanner.distortion_mm / 5.0 * rng.uniform(0.3, 1.3))
    shading *= 1 + pile_up * placement.near_air_XYZ
    sigma = tissue_dwi / scanner.snr
    heard = []
    for signal_XYZ, share in ((b0_XYZ, 1.0), (dwi_XYZ, _TRACE_DIRECTIONS**-0.5)):
        shaded_XYZ = signal_XYZ * shading
        if scanner.ghost > 0:
            half = np.roll(shaded_XYZ, scanner.matrix // 2, axis=1)
            shaded_XYZ = shaded_XYZ + np.float32(scanner.ghost) * half
        heard.append(_rician(rng, shaded_XYZ, sigma * share))
    return heard[0], heard[1]


def _rician(
    rng: np.random.Generator, signal_XYZ: NDArray[np.float32], sigma: float
) -> NDArray[np.float32]:
    real = signal_XYZ + np.float32(sigma) * rng.standard_normal(signal_XYZ.shape, np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(signal_XYZ.shape, np.float32)
    return np.asarray(np.hypot(real, imaginary), np.float32)


def _near_air(at_mm: NDArray[np.float32]) -> NDArray[np.float32]:
    """1 at the air-filled cavities of the skull base, fading within a few centimetres."""
    near = np.zeros(at_mm.shape[1:], np.float32)
    for cavity_mm in _AIR_MNI_MM:
        square = sum(
            (axis - np.float32(middle)) ** 2 for axis, middle in zip(at_mm, cavity_mm, strict=True)
        )
        near += np.exp(square * np.float32(-0.5 / _AIR_REACH_MM**2))
    return near


def _rotation(degrees_3: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rotation about x, then y, then z."""
    turned = np.eye(3)
    for axis, angle in enumerate(np.deg2rad(degrees_3)):
        a, b = [i for i in range(3) if i != axis]
        step = np.eye(3)
        step[a, a] = step[b, b] = np.cos(angle)
        step[a, b], step[b, a] = -np.sin(angle), np.sin(angle)
        turned = step @ turned
    return turned
