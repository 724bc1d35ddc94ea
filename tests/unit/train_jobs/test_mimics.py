"""What looks like an infarct and is none: never bright and restricted at one place."""

from __future__ import annotations

import numpy as np

from train_jobs.augment import NoiseBank, Strength, vary
from train_jobs.mimics import add_blobs, add_texture, dropout_box, slab

SHAPE = (96, 112, 48)


def _brain() -> tuple[np.ndarray, np.ndarray]:
    inside = np.zeros(SHAPE, np.float32)
    inside[10:86, 10:100, 6:42] = 1
    return inside.copy(), 0.8 * inside


def test_no_blob_alone_is_bright_on_dwi_and_dark_on_adc() -> None:
    for seed in range(30):
        dwi, adc = _brain()
        before = dwi.copy()
        add_blobs(np.random.default_rng(seed), dwi, adc)
        assert ((dwi > 0) == (before > 0)).all()
        assert np.isfinite(dwi).all()
        assert np.isfinite(adc).all()
        # Two blobs may overlap, but each alone keeps the rule: most voxels must.
        restricted = (dwi > 1.12) & (adc < 0.7)
        assert restricted.mean() < 0.01
        assert not np.array_equal(dwi, before)


def test_blobs_of_an_empty_volume_are_none() -> None:
    empty = np.zeros(SHAPE, np.float32)
    add_blobs(np.random.default_rng(0), empty, empty)
    assert not empty.any()


def test_texture_is_as_strong_as_asked_and_twice_as_strong_on_dwi() -> None:
    spreads = []
    for seed in range(40):
        dwi, adc = _brain()
        add_texture(np.random.default_rng(seed), dwi, adc, strength=0.12)
        spreads.append((dwi[dwi > 0].std(), (adc[adc > 0] / 0.8).std()))
    largest_dwi, largest_adc = np.max(spreads, axis=0)
    assert 0.08 < largest_dwi < 0.14
    assert 0.04 < largest_adc < 0.07
    assert np.mean(spreads, axis=0)[0] > 1.5 * np.mean(spreads, axis=0)[1]


def test_a_slab_never_cuts_the_lesion_away() -> None:
    low, high = np.zeros(SHAPE, np.uint8), np.zeros(SHAPE, np.uint8)
    low[40:50, 40:50, 6:10] = 1
    high[40:50, 40:50, 30:34] = 1
    cut = 0
    for seed in range(50):
        for lesion in (low, high):
            first, last = slab(np.random.default_rng(seed), lesion)
            assert lesion[:, :, first:last].sum() >= 0.9 * lesion.sum()
            cut += (first, last) != (0, SHAPE[2])
    assert cut > 25


def test_a_lost_box_never_hides_the_lesion() -> None:
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[40:56, 40:70, 18:30] = 1
    boxes = [dropout_box(np.random.default_rng(seed), lesion) for seed in range(60)]
    found = [box for box in boxes if box is not None]
    assert 20 < len(found) < 60
    assert not any(lesion[box].any() for box in found)


def test_varied_volumes_keep_their_lesion_in_view() -> None:
    lesion = np.zeros(SHAPE, np.uint8)
    lesion[40:52, 40:52, 20:26] = 1
    bank = NoiseBank(0)
    contrast = []
    for seed in range(20):
        dwi, adc = _brain()
        dwi[lesion > 0], adc[lesion > 0] = 2.2, 0.45
        varied = vary(
            np.random.default_rng(seed), np.stack([dwi, adc]), lesion, bank, Strength(mimics=0.0)
        )
        healthy = (varied[0] > 0) & (lesion == 0)
        assert (varied[0][lesion > 0] > 0).mean() >= 0.9
        contrast.append(
            (
                varied[0][lesion > 0].mean() / varied[0][healthy].mean(),
                varied[1][lesion > 0].mean() / varied[1][healthy].mean(),
            )
        )
    assert min(dwi for dwi, _ in contrast) > 1.2
    assert max(adc for _, adc in contrast) < 0.85
