"""Registry rows fit the finding they are made for."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pirta.cohort.registry_rows import make_registry
from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory

FINDINGS = st.builds(
    Finding,
    lesion_class=st.sampled_from(LesionClass),
    infarct_type=st.sampled_from(InfarctType),
    territory=st.sampled_from(Territory),
    laterality=st.none() | st.sampled_from(Laterality),
    multifocal=st.booleans(),
)
WEAKNESS = ("weakness", "hemiparesis", "facial palsy", "sensory", "visual field")


def finding(territory: Territory, laterality: Laterality | None, **other: object) -> Finding:
    values = {"lesion_class": LesionClass.STRONG, "infarct_type": InfarctType.WEDGE_VASCULAR}
    return Finding(territory=territory, laterality=laterality, **(values | other))  # type: ignore[arg-type]


@given(st.none() | FINDINGS, st.integers(0, 2**32 - 1))
def test_every_row_is_a_legal_registry_of_an_adult(truth: Finding | None, seed: int) -> None:
    row = make_registry(np.random.default_rng(seed), truth)
    assert row.age_years is not None
    assert 18 <= row.age_years <= 120
    assert row.sex in ("Female", "Male")
    assert row.presentation
    assert len(set(row.history)) == len(row.history)


def test_the_same_seed_gives_the_same_row() -> None:
    truth = finding(Territory.ANTERIOR, Laterality.LEFT)
    rows = [make_registry(np.random.default_rng(7), truth) for _ in range(2)]
    assert rows[0] == rows[1]


@pytest.mark.parametrize("territory", list(Territory))
@pytest.mark.parametrize(
    ("lesion_side", "wrong_side"), [(Laterality.LEFT, "Left"), (Laterality.RIGHT, "Right")]
)
def test_weakness_lies_on_the_side_opposite_to_the_lesion(
    territory: Territory, lesion_side: Laterality, wrong_side: str
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(300):
        said = make_registry(rng, finding(territory, lesion_side)).presentation or ""
        for part in said.split(", "):
            if any(word in part for word in WEAKNESS):
                assert not part.startswith(wrong_side), said


def test_ataxia_lies_on_the_side_of_the_lesion() -> None:
    rng = np.random.default_rng(0)
    said = [
        make_registry(rng, finding(Territory.POSTERIOR, Laterality.LEFT)).presentation or ""
        for _ in range(300)
    ]
    ataxia = [text for text in said if "ataxia" in text]
    assert ataxia
    assert all(text.startswith("Left") for text in ataxia)


def test_language_goes_with_the_left_hemisphere_and_neglect_with_the_right() -> None:
    rng = np.random.default_rng(0)
    left, right = (
        " | ".join(
            make_registry(rng, finding(Territory.ANTERIOR, side)).presentation or ""
            for _ in range(300)
        )
        for side in (Laterality.LEFT, Laterality.RIGHT)
    )
    assert "phasia" in left
    assert "neglect" not in left
    assert "neglect" in right
    assert "phasia" not in right


@pytest.mark.parametrize("laterality", [None, Laterality.BILATERAL])
def test_a_lesion_without_one_side_gives_no_one_sided_complaint(
    laterality: Laterality | None,
) -> None:
    rng = np.random.default_rng(0)
    for _ in range(200):
        said = make_registry(rng, finding(Territory.ANTERIOR, laterality)).presentation or ""
        assert "Left" not in said
        assert "Right" not in said


def test_larger_and_brighter_infarcts_have_a_higher_nihss_on_average() -> None:
    def mean(infarct_type: InfarctType, lesion_class: LesionClass) -> float:
        rng = np.random.default_rng(0)
        truth = finding(
            Territory.ANTERIOR,
            Laterality.LEFT,
            infarct_type=infarct_type,
            lesion_class=lesion_class,
        )
        known = [make_registry(rng, truth).nihss for _ in range(200)]
        return float(np.mean([value for value in known if value is not None]))

    large = mean(InfarctType.LARGE_VASCULAR, LesionClass.STRONG)
    assert large > mean(InfarctType.LARGE_VASCULAR, LesionClass.MILD)
    assert large > mean(InfarctType.WEDGE_VASCULAR, LesionClass.STRONG)
    assert mean(InfarctType.WEDGE_VASCULAR, LesionClass.STRONG) > mean(
        InfarctType.SMALL, LesionClass.STRONG
    )


def test_some_rows_leave_the_nihss_unknown_and_most_do_not() -> None:
    rng = np.random.default_rng(0)
    unknown = sum(make_registry(rng, None).nihss is None for _ in range(1000))
    assert 5 < unknown < 80
