"""Signal to noise against noise of known sigma, from the air and from inside the brain."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pirta.imaging.quality.noise import TRIMMED_MEAN_SQUARE, measure_snr
from pirta.imaging.volume import Volume


def _signal(head: Any) -> float:
    return float(np.median(head.clean_XYZ[head.brain_XYZ]))


@pytest.mark.parametrize("sigma", [3.0, 10.0, 25.0])
def test_both_ways_find_the_sigma_that_was_put_in(
    head: Any, stripped: Any, noisy: Any, sigma: float
) -> None:
    data = noisy(head.clean_XYZ, sigma, seed=5)
    whole = measure_snr(replace(head.pair.dwi, data_XYZ=data), head.brain_XYZ)
    inside = measure_snr(
        replace(head.pair.dwi, data_XYZ=np.where(head.brain_XYZ, data, 0)), head.brain_XYZ
    )
    assert (whole.source, inside.source) == ("air", "brain")
    assert whole.value == pytest.approx(_signal(head) / sigma, rel=0.05)
    assert inside.value == pytest.approx(_signal(head) / sigma, rel=0.1)


def test_more_noise_never_improves_either_measure(head: Any, noisy: Any) -> None:
    for mask in (np.ones_like(head.brain_XYZ), head.brain_XYZ):
        found = []
        for sigma in (2, 4, 8, 16, 32, 64, 128, 256, 512):
            data = np.where(mask, noisy(head.clean_XYZ, sigma, seed=sigma), 0)
            found.append(measure_snr(Volume(data, head.pair.dwi.affine), head.brain_XYZ).value)
        assert found == sorted(found, reverse=True)


def test_the_scale_of_the_file_does_not_matter(head: Any, stripped: Any) -> None:
    for one in (head, stripped):
        plain = measure_snr(one.pair.dwi, one.brain_XYZ).value
        scaled = replace(one.pair.dwi, data_XYZ=one.pair.dwi.data_XYZ * np.float32(1e-4))
        assert measure_snr(scaled, one.brain_XYZ).value == pytest.approx(plain, rel=1e-4)


def test_a_blanked_background_is_not_taken_for_noise(head: Any) -> None:
    data = head.pair.dwi.data_XYZ.copy()
    data[head.clean_XYZ == 0] = 0
    assert measure_snr(replace(head.pair.dwi, data_XYZ=data), head.brain_XYZ).source == "brain"


def test_a_ghost_in_the_air_hardly_counts_as_noise(head: Any) -> None:
    plain = measure_snr(head.pair.dwi, head.brain_XYZ).value
    data = head.pair.dwi.data_XYZ.copy()
    data[:3, 30:70] += 40
    ghosted = measure_snr(replace(head.pair.dwi, data_XYZ=data), head.brain_XYZ)
    assert ghosted.source == "air"
    assert ghosted.value == pytest.approx(plain, rel=0.15)


def test_the_trimmed_mean_square_is_that_of_drawn_rayleigh_noise() -> None:
    drawn = np.random.default_rng(0).rayleigh(1.0, 1_000_000)
    kept = drawn[drawn <= np.quantile(drawn, 0.9)]
    assert np.mean(kept**2) == pytest.approx(TRIMMED_MEAN_SQUARE, rel=5e-3)


def test_what_has_no_noise_or_no_brain_has_no_ratio(head: Any) -> None:
    flat = replace(head.pair.dwi, data_XYZ=np.where(head.brain_XYZ, np.float32(300), 0))
    assert measure_snr(flat, head.brain_XYZ).value is None
    few = np.zeros_like(head.brain_XYZ)
    few[40:43, 50:53, 20] = True
    assert measure_snr(flat, few).value is None
    assert measure_snr(flat, np.zeros_like(few)).value is None
