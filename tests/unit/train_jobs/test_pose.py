"""Moved heads: against scipy's affine transform, and where labels and borders must go."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from train_jobs.pose import Pose, draw_pose, move

STILL = Pose(mirrored=False, zoom_3=(1, 1, 1), shift_mm_3=(0, 0, 0), pitch_deg=0)
SHAPE = (96, 112, 48)


@pytest.fixture(scope="module")
def volume() -> np.ndarray:
    """A smooth brain-like blob with structure, DWI and ADC."""
    rng = np.random.default_rng(3)
    x, y, z = (np.linspace(-1.3, 1.3, side) for side in SHAPE)
    inside = (x[:, None, None] ** 2 + y[:, None] ** 2 + z**2) < 1
    rough = ndimage.gaussian_filter(rng.normal(size=SHAPE), 3)
    both = np.stack([1 + 5 * rough, 0.8 + 2 * rough]) * inside
    return np.clip(both, 0, None).astype(np.float32)


def test_standing_still_changes_nothing_and_a_mirror_is_a_mirror(volume: np.ndarray) -> None:
    label = (volume[0] > 1).astype(np.uint8)
    same, (label_same,) = move(STILL, volume, [label])
    np.testing.assert_allclose(same, volume, atol=1e-6)
    np.testing.assert_array_equal(label_same, label)
    mirror = Pose(True, STILL.zoom_3, STILL.shift_mm_3, 0)
    flipped, (label_flipped,) = move(mirror, volume, [label])
    np.testing.assert_allclose(flipped, volume[:, ::-1], atol=1e-6)
    np.testing.assert_array_equal(label_flipped, label[::-1])


def test_a_pose_is_what_scipys_affine_transform_makes_of_it(volume: np.ndarray) -> None:
    pose = Pose(True, (1.08, 0.95, 1.04), (3.0, -5.0, 6.0), 7.0)
    moved, _ = move(pose, volume, [])
    spacing = np.array([2.0, 2.0, 4.0])
    angle = np.deg2rad(pose.pitch_deg)
    turn = np.array(
        [[1, 0, 0], [0, np.cos(angle), np.sin(angle)], [0, -np.sin(angle), np.cos(angle)]]
    )
    mirror = np.diag([-1.0, 1.0, 1.0])
    # Millimetres from the centre: turned, then divided by the zoom, then shifted, then mirrored.
    matrix_mm = mirror @ np.diag(1 / np.asarray(pose.zoom_3)) @ turn
    matrix = np.diag(1 / spacing) @ matrix_mm @ np.diag(spacing)
    centre = (np.asarray(SHAPE) - 1) / 2
    offset = centre - matrix @ centre + mirror @ np.asarray(pose.shift_mm_3) / spacing
    share = ndimage.affine_transform((volume[0] > 0).astype(float), matrix, offset, order=1)
    for channel, before in zip(moved, volume, strict=True):
        drawn = ndimage.affine_transform(before.astype(float), matrix, offset, order=1)
        expected = np.where(share > 0.5, drawn / np.maximum(share, 0.5), 0)
        # The half-way border may fall on either side in float32.
        sure = np.abs(share - 0.5) > 1e-3
        np.testing.assert_allclose(channel[sure], expected[sure], atol=2e-4)


def test_what_leaves_the_grid_is_gone_and_nothing_is_smeared(volume: np.ndarray) -> None:
    moved, _ = move(Pose(False, (1, 1, 1), (0, 0, 120.0), 0), volume, [])
    np.testing.assert_allclose(moved[:, :, :, :18], volume[:, :, :, 30:], atol=1e-6)
    assert not moved[:, :, :, 18:].any()


def test_labels_stay_inside_the_moved_brain_and_keep_their_size(volume: np.ndarray) -> None:
    label = np.zeros(SHAPE, np.uint8)
    label[30:40, 50:60, 20:26] = 3
    rng = np.random.default_rng(0)
    for _ in range(5):
        moved, (there,) = move(draw_pose(rng, zoom=0.1, shift_mm=8, pitch_deg=8), volume, [label])
        assert set(np.unique(there)) == {0, 3}
        assert 0.6 < (there > 0).sum() / (label > 0).sum() < 1.5
        assert (moved[0][there > 0] > 0).all()
