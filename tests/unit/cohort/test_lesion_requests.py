"""Which lesions a set gets: sizes on a logarithmic grid, places that go round, no absurd wish."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from pirta.cohort.lesion_requests import (
    LesionRequest,
    requests_as_patients,
    requests_by_size,
    volumes_by_size,
)
from pirta.contracts.finding import Label, Laterality
from pirta.errors import InputError


def test_volumes_are_even_steps_of_the_logarithm_with_both_ends() -> None:
    volumes = volumes_by_size()
    assert (volumes[0], volumes[-1], len(volumes)) == (0.05, 50.0, 13)
    np.testing.assert_allclose(np.diff(np.log10(volumes)), 0.25, atol=2e-3)
    assert volumes_by_size(range_ml=(1.0, 1.1), a_decade=1) == (1.0, 1.1)
    assert volumes_by_size(range_ml=(5.0, 500.0), a_decade=1) == (5.0, 50.0, 500.0)


@pytest.mark.parametrize(
    ("low", "high", "a_decade"),
    [
        (1.0, float("inf"), 4),
        (1.0, 1000.0, 4),
        (1.0, 500.1, 4),
        (0.0, 1.0, 4),
        (-1.0, 1.0, 4),
        (2.0, 1.0, 4),
        (1.0, 1.0, 4),
        (float("nan"), 1.0, 4),
        (1.0, float("nan"), 4),
        (1.0, 2.0, 0),
    ],
)
def test_a_range_that_no_brain_can_hold_is_refused_with_its_numbers(
    low: float, high: float, a_decade: int
) -> None:
    with pytest.raises(InputError, match=f"Volumes from {low:g} to {high:g} ml in {a_decade} "):
        volumes_by_size(range_ml=(low, high), a_decade=a_decade)


@pytest.mark.parametrize("volume_ml", [0.0, -1.0, 500.1, float("inf"), float("nan")])
def test_a_volume_that_no_lesion_has_is_refused(volume_ml: float) -> None:
    with pytest.raises(InputError, match="at most 500 ml"):
        LesionRequest(volume_ml=volume_ml)


def test_a_normal_lesion_is_refused() -> None:
    with pytest.raises(InputError, match="label 'normal'"):
        LesionRequest(Label.NORMAL)


def test_six_normals_see_each_volume_once_in_every_place() -> None:
    requests = [requests_by_size(number, volumes_ml=(0.1, 1.0, 10.0)) for number in range(6)]
    assert all([one.volume_ml for one in some] == [0.1, 1.0, 10.0] for some in requests)
    places = Counter(
        (one.label, one.laterality, one.volume_ml) for some in requests for one in some
    )
    assert len(places) == 18
    assert set(places.values()) == {1}


def test_every_volume_in_every_place_is_six_a_volume() -> None:
    requests = requests_by_size(3, volumes_ml=(0.1, 1.0), every=True)
    assert len(set(requests)) == len(requests) == 12
    assert len({one.name for one in requests}) == 12


def test_lesions_as_patients_have_them_go_round_the_territories_unless_one_is_named() -> None:
    drawn = [one for number in range(2) for one in requests_as_patients(number, count=3)]
    assert Counter(one.label for one in drawn) == {
        Label.ANTERIOR: 2, Label.DEEP_GRAY: 2, Label.POSTERIOR: 2,
    }  # fmt: skip
    (named,) = requests_as_patients(
        0, count=1, label=Label.DEEP_GRAY, laterality=Laterality.LEFT, volume_ml=2.0
    )
    assert named.name == "deepgray-left-2ml"
