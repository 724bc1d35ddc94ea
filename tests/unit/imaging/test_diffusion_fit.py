"""Trace, ADC and b0 from diffusion volumes, against np.polyfit, known decay and a real case."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pirta.errors import ChannelMismatchError, SeriesError
from pirta.imaging.diffusion_fit import pair_from_volumes
from pirta.imaging.nifti import read_nifti_file
from pirta.imaging.volume import Volume

SHAPE = (6, 7, 8)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


def _volumes(
    b_values: list[float], *, adc: float = 0.8, noise: float = 0.0, seed: int = 0
) -> list[Volume]:
    """Decay of a random S0; `adc` in 10⁻³ mm²/s."""
    rng = np.random.default_rng(seed)
    s0 = rng.uniform(200, 900, SHAPE)
    return [
        Volume((s0 * np.exp(-b * adc * 1e-3) * rng.lognormal(0, noise, SHAPE)).astype("f4"), AFFINE)
        for b in b_values
    ]


def test_the_adc_is_np_polyfits_slope_in_every_voxel() -> None:
    b_values = [0.0, 0.002, 5.0, 400.0, 700.0, 995.0, 1000.0, 1005.0, 2000.0]
    volumes = _volumes(b_values, noise=0.1)
    pair = pair_from_volumes(volumes, b_values)
    logs = np.log(np.stack([one.data_XYZ for one in volumes]).astype(np.float64))
    slopes = np.polyfit(b_values, logs.reshape(len(b_values), -1), 1)[0]
    np.testing.assert_allclose(pair.adc.data_XYZ.ravel(), -1e3 * slopes, atol=1e-5)
    assert pair.adc.data_XYZ.dtype == np.float32
    assert pair.adc_unit == "10⁻³ mm²/s"


def test_the_trace_is_the_geometric_mean_of_the_highest_shell_up_to_1000() -> None:
    b_values = [0.0, 500.0, 990.0, 1000.0, 1010.0, 1500.0]
    volumes = _volumes(b_values, noise=0.2)
    pair = pair_from_volumes(volumes, b_values)
    expected = np.prod([one.data_XYZ.astype(np.float64) for one in volumes[2:5]], axis=0) ** (1 / 3)
    np.testing.assert_allclose(pair.dwi.data_XYZ, expected, rtol=1e-5)
    assert pair.b_value_s_mm2 == 1000.0
    assert pair.provenance["dwi"] == "geometric mean of 3 volumes at b 990, 1000, 1010"


def test_philips_near_zero_b_values_are_b0() -> None:
    b_values = [0.0, 0.001, 0.004, 1000.0]
    volumes = _volumes(b_values, noise=0.2)
    pair = pair_from_volumes(volumes, b_values)
    assert pair.b0 is not None
    expected = np.mean([one.data_XYZ for one in volumes[:3]], axis=0)
    np.testing.assert_allclose(pair.b0.data_XYZ, expected, rtol=1e-6)
    np.testing.assert_array_equal(pair.dwi.data_XYZ, volumes[3].data_XYZ)


def test_two_weighted_shells_make_an_adc_without_a_b0() -> None:
    pair = pair_from_volumes(_volumes([100, 1000], adc=1.1), [100, 1000])
    assert pair.b0 is None
    np.testing.assert_allclose(pair.adc.data_XYZ, 1.1, atol=1e-5)


def test_voxels_at_or_below_zero_end_finite_and_an_empty_background_stays_zero() -> None:
    volumes = _volumes([0, 1000, 1000])
    for volume in volumes:
        volume.data_XYZ[0] = 0.0
    volumes[1].data_XYZ[3, 3, 3] = -4.0
    volumes[2].data_XYZ[3, 3, 3] = 0.0
    volumes[0].data_XYZ[4, 4, 4] = 0.0
    pair = pair_from_volumes(volumes, [0, 1000, 1000])
    assert np.isfinite(pair.adc.data_XYZ).all()
    assert not pair.adc.data_XYZ[0].any()
    assert not pair.dwi.data_XYZ[0].any()
    assert pair.dwi.data_XYZ[3, 3, 3] == 0
    assert pair.adc.data_XYZ[3, 3, 3] > 3.0
    assert pair.adc.data_XYZ[4, 4, 4] < 0


@pytest.mark.parametrize(
    ("b_values", "words"),
    [
        ([0, 0, 0], "from 500 to 1000 s/mm²; found: 0"),
        ([0, 300], "found: 0, 300"),
        ([0, 1500, 2000], "found: 0, 1500, 2000"),
        ([800, 1000], "800, 1000 s/mm² lie too close"),
        ([0, -1], "the first is -1"),
        ([0, float("nan")], "1 of 2 b values cannot be one"),
        ([0, 1e6], "cannot be one"),
    ],
)
def test_b_values_that_give_no_trace_or_no_adc_are_told(b_values: list[float], words: str) -> None:
    with pytest.raises(SeriesError, match=words):
        pair_from_volumes(_volumes([0.0] * len(b_values)), b_values)


def test_another_number_of_b_values_and_empty_volumes_are_refused() -> None:
    with pytest.raises(SeriesError, match="2 diffusion volumes and 3 b values"):
        pair_from_volumes(_volumes([0, 1000]), [0, 1000, 1000])
    with pytest.raises(SeriesError, match="0 diffusion volumes"):
        pair_from_volumes([], [])
    black = [Volume(np.zeros(SHAPE, np.float32), AFFINE)] * 2
    with pytest.raises(SeriesError, match="None of 2 diffusion volumes"):
        pair_from_volumes(black, [0, 1000])


def test_directions_that_do_not_cover_the_sphere_make_no_trace() -> None:
    b_values = [0.0, 1000.0, 1000.0, 1000.0]
    volumes = _volumes(b_values, noise=0.1)
    orthogonal = [(0, 0, 0), (1, 0, 0), (0, -1, 0), (0, 0, 1)]
    with_directions = pair_from_volumes(volumes, b_values, orthogonal)
    without = pair_from_volumes(volumes, b_values)
    np.testing.assert_array_equal(with_directions.dwi.data_XYZ, without.dwi.data_XYZ)
    pair_from_volumes(volumes, b_values, [(0, 0, 0)] * 4)  # the scanner's own trace
    for flat in ([(0, 0, 0), *[(1, 0, 0)] * 3], [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0.7, 0.7, 0)]):
        with pytest.raises(SeriesError, match="3 diffusion directions leave a part"):
            pair_from_volumes(volumes, b_values, flat)
    with pytest.raises(SeriesError, match="4 diffusion volumes and 3 directions"):
        pair_from_volumes(volumes, b_values, orthogonal[1:])


def test_b_values_in_another_order_than_the_volumes_are_found_out() -> None:
    with pytest.raises(SeriesError, match="signal grows with the b value"):
        pair_from_volumes(_volumes([0, 1000]), [1000, 0])


def test_a_volume_on_another_grid_is_named_by_its_number() -> None:
    volumes = _volumes([0, 1000, 1000])
    moved = AFFINE.copy()
    moved[2, 3] = 4.0
    volumes[2] = Volume(volumes[2].data_XYZ, moved)
    with pytest.raises(ChannelMismatchError, match=r"volume 3 lie 4\.0 mm apart"):
        pair_from_volumes(volumes, [0, 1000, 1000])


def test_the_adc_of_a_real_case_equals_the_shipped_one(shared_data: Path) -> None:
    folder = shared_data / "jhu-ads-subject02"
    b0, dwi, adc = (
        read_nifti_file(folder / f"Subject02_{one}.nii.gz", role=one)
        for one in ("b0", "DWI", "ADC")
    )
    pair = pair_from_volumes([b0, dwi], [0, 1000])
    head_XYZ = (b0.data_XYZ > 100) & (dwi.data_XYZ > 20)
    shipped = adc.data_XYZ[head_XYZ] * 1e3
    fitted = pair.adc.data_XYZ[head_XYZ]
    assert head_XYZ.sum() > 100_000
    assert np.corrcoef(fitted, shipped)[0, 1] > 0.999
    assert np.abs(fitted - shipped).max() < 1e-3
