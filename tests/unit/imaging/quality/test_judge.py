"""Every gate on a healthy toy head and on damaged copies of it: the verdict and the reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from pirta.errors import QualityError
from pirta.imaging.quality.judge import check_gates
from pirta.settings import DEFAULT_QUALITY, QualitySettings

SIGMA = 10.0


def test_a_healthy_head_passes_every_gate(head: Any, stripped: Any, judged: Any) -> None:
    for one in (head, stripped):
        results = judged(one)
        assert {result.verdict for result in results.values()} == {"pass"}
        assert {result.reason for result in results.values()} == {""}
    assert judged(head)["snr"].limit.endswith("(noise of the air)")
    assert judged(stripped)["snr"].limit.endswith("(noise inside the brain)")


def test_what_a_study_does_not_hold_has_no_gate(head: Any, judged: Any) -> None:
    bare = replace(head.pair, b0=None, slice_thickness_mm=None, b_value_s_mm2=None)
    gone = set(judged(head)) - set(judged(replace(head, pair=bare)))
    assert gone == {"motion", "slice_gap", "b_value_low", "b_value_high"}


def test_every_gate_has_its_limits_and_every_limit_its_gate(head: Any, judged: Any) -> None:
    def gate_of(name: str) -> str:
        return name.split("_warn")[0].split("_refuse")[0]

    assert set(judged(head)) == {gate_of(name) for name in QualitySettings.model_fields}


def _noise(head: Any, factor: float) -> Any:
    real, imaginary = np.random.default_rng(9).normal(0, factor * SIGMA, (2, *head.clean_XYZ.shape))
    return head.with_dwi(np.hypot(head.clean_XYZ + real, imaginary))


def _clip(head: Any, percentile: float) -> Any:
    data = head.pair.dwi.data_XYZ
    return head.with_dwi(np.minimum(data, np.percentile(data[head.brain_XYZ], percentile)))


def _dim(head: Any, factor: float) -> Any:
    data = head.pair.dwi.data_XYZ.copy()
    data[:, :, 20] *= factor
    return head.with_dwi(data)


def _hole(head: Any, share: float) -> Any:
    data = head.pair.dwi.data_XYZ.copy()
    data[: int(share * data.shape[0]), :, 14:26] = 0
    return head.with_dwi(data)


def _moved_b0(head: Any, voxels: int) -> Any:
    b0 = head.pair.b0
    moved = replace(b0, data_XYZ=np.roll(b0.data_XYZ, voxels, axis=1))
    return replace(head, pair=replace(head.pair, b0=moved))


def _bad_adc(head: Any, every: int) -> Any:
    data = head.pair.adc.data_XYZ.copy()
    data[::every] = 7.0
    return head.with_adc(data)


def _short_mask(head: Any, voxels: int) -> Any:
    brain_XYZ = head.brain_XYZ.copy()
    brain_XYZ[: 18 + voxels] = False
    return replace(head, brain_XYZ=brain_XYZ)


def _narrow(head: Any, axis: int, end: int) -> Any:
    brain_XYZ = head.brain_XYZ.copy()
    np.moveaxis(brain_XYZ, axis, 0)[end:] = False
    return replace(head, brain_XYZ=brain_XYZ)


def _b_value(head: Any, value: float) -> Any:
    return replace(head, pair=replace(head.pair, b_value_s_mm2=value))


def _thin_slices(head: Any, thickness_mm: float) -> Any:
    return replace(head, pair=replace(head.pair, slice_thickness_mm=thickness_mm))


def _unoriented(head: Any, orientation: str) -> Any:
    adc = replace(head.pair.adc, provenance={"orientation": orientation})
    return replace(head, pair=replace(head.pair, adc=adc))


DAMAGES: list[tuple[str, Callable[[Any], Any], Callable[[Any], Any]]] = [
    # gate, what is warned about, what is refused
    ("brain_extent", lambda h: h.with_slices(7, 33), lambda h: h.with_slices(13, 27)),
    ("brain_width", lambda h: _narrow(h, 0, 58), lambda h: _narrow(h, 0, 44)),
    ("brain_length", lambda h: _narrow(h, 1, 64), lambda h: _narrow(h, 1, 50)),
    ("brain_cut", lambda h: h.with_slices(0, 30), lambda h: h.with_slices(0, 22)),
    ("brain_volume", lambda h: h.with_slices(0, 20), lambda h: h.with_slices(0, 15)),
    ("brain_gap", lambda h: _hole(h, 0.33), lambda h: _hole(h, 0.5)),
    ("left_out", lambda h: _short_mask(h, 8), lambda h: _short_mask(h, 20)),
    ("slice_spacing", lambda h: h.with_spacing((2.5, 2.5, 8)),
     lambda h: h.with_spacing((2.5, 2.5, 11))),
    ("slice_gap", lambda h: _thin_slices(h, 2.5), lambda h: _thin_slices(h, 1.9)),
    ("in_plane", lambda h: h.with_spacing((2.5, 4, 4)), lambda h: h.with_spacing((5.5, 5.5, 5.5))),
    ("snr", lambda h: _noise(h, 5), lambda h: _noise(h, 11)),
    ("clipped", lambda h: _clip(h, 98.5), lambda h: _clip(h, 90)),
    ("dropout", lambda h: _dim(h, 0.6), lambda h: _dim(h, 0.3)),
    ("motion", lambda h: _moved_b0(h, 2), lambda h: _moved_b0(h, -4)),
    ("adc_low", lambda h: h.with_adc(0.7 * h.pair.adc.data_XYZ),
     lambda h: h.with_adc(0.55 * h.pair.adc.data_XYZ)),
    ("adc_high", lambda h: h.with_adc(1.7 * h.pair.adc.data_XYZ),
     lambda h: h.with_adc(2.4 * h.pair.adc.data_XYZ)),
    ("adc_outside", lambda h: _bad_adc(h, 10), lambda h: _bad_adc(h, 3)),
    ("b_value_low", lambda h: _b_value(h, 600), lambda h: _b_value(h, 300)),
    ("b_value_high", lambda h: _b_value(h, 2500), lambda h: _b_value(h, 4000)),
    ("unknown_side", lambda h: _unoriented(h, "disputed"), lambda h: _unoriented(h, "assumed")),
]  # fmt: skip


@pytest.mark.parametrize(("gate", "worse", "worst"), DAMAGES, ids=[one[0] for one in DAMAGES])
def test_a_damage_is_warned_about_and_a_greater_one_refused(
    head: Any, judged: Any, gate: str, worse: Any, worst: Any
) -> None:
    for damage, verdict in ((worse, "warn"), (worst, "refuse")):
        result = judged(damage(head))[gate]
        assert result.verdict == verdict, result
        assert result.reason.endswith(".")


def test_an_empty_slice_between_others_is_refused(head: Any, judged: Any) -> None:
    data = head.pair.dwi.data_XYZ.copy()
    data[:, :, 20] = 0
    results = judged(head.with_dwi(data))
    assert (results["blank_slices"].value, results["blank_slices"].verdict) == (1, "refuse")
    assert results["dropout"].verdict == "refuse"


def test_a_brain_larger_than_the_grid_is_told_by_its_share(head: Any, judged: Any) -> None:
    huge = head.with_spacing((2.5, 5.0, 4.0))
    result = judged(huge)["off_grid"]
    y_mm = 5.0 * (np.arange(100) - 49.5)
    outside = np.abs(y_mm) > 112.0  # the grid is 224 mm long, around the brain's middle
    share = 100 * huge.brain_XYZ[:, outside].sum() / huge.brain_XYZ.sum()
    assert result.value == pytest.approx(share, abs=1.0)
    assert result.verdict == "refuse"


def test_what_the_reader_warns_of_reaches_the_reader_of_the_report(head: Any, judged: Any) -> None:
    assert "reading" not in judged(head)
    warned = replace(head, pair=replace(head.pair, warnings=("They lie 22 minutes apart.",)))
    result = judged(warned)["reading"]
    assert (result.verdict, result.reason) == ("warn", "They lie 22 minutes apart.")


def test_a_site_may_let_an_unknown_side_pass_with_a_warning(head: Any, judged: Any) -> None:
    result = judged(_unoriented(head, "assumed"), QualitySettings(unknown_side="warn"))
    assert result["unknown_side"].verdict == "warn"
    assert "left and right are assumed" in result["unknown_side"].reason


def test_a_refusal_names_value_limit_and_remedy_and_keeps_every_gate(
    head: Any, judged: Any
) -> None:
    gates = tuple(judged(_noise(head, 11)).values())
    with pytest.raises(QualityError, match=r"1 of \d+ quality gates refuse") as caught:
        check_gates(gates)
    assert "at least 4 is needed" in caught.value.message
    assert "site_quality" in caught.value.remedy
    assert caught.value.gates == gates
    check_gates([one for one in gates if one.verdict != "refuse"])


@pytest.mark.parametrize("kind", ["constant", "one voxel", "two pieces", "one slice"])
def test_odd_brains_are_judged_without_a_crash(head: Any, judged: Any, kind: str) -> None:
    odd = head
    brain_XYZ = np.zeros_like(head.brain_XYZ)
    if kind == "constant":
        brain_XYZ = head.brain_XYZ
        odd = head.with_dwi(np.where(brain_XYZ, np.float32(300), 0))
    elif kind == "one voxel":
        brain_XYZ[40, 50, 20] = True
    elif kind == "two pieces":
        brain_XYZ[30:40, 30:40, 5:10] = brain_XYZ[30:40, 60:70, 25:30] = True
    else:
        brain_XYZ[:, :, 20] = head.brain_XYZ[:, :, 20]
    results = judged(replace(odd, brain_XYZ=brain_XYZ))
    assert any(one.verdict != "pass" for one in results.values())
    assert all(one.value is None or np.isfinite(one.value) for one in results.values())
    if kind == "constant":
        assert results["snr"].reason.endswith("could not be measured.")


def test_judging_a_clinical_volume_takes_a_fraction_of_a_second(head: Any, judged: Any) -> None:
    sides = [
        np.linspace(0, side - 1, new).astype(int)
        for side, new in zip((88, 100, 40), (192, 192, 32), strict=True)
    ]
    place = np.ix_(*sides)
    dwi, adc, b0 = (
        replace(one, data_XYZ=one.data_XYZ[place], affine=np.diag([1.2, 1.3, 5.0, 1.0]))
        for one in (head.pair.dwi, head.pair.adc, head.pair.b0)
    )
    large = replace(
        head, pair=replace(head.pair, dwi=dwi, adc=adc, b0=b0), brain_XYZ=head.brain_XYZ[place]
    )
    started_s = time.process_time()
    judged(large, DEFAULT_QUALITY)
    assert time.process_time() - started_s < 2.0  # 0.3 s when quiet
