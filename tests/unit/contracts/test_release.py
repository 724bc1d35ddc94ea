"""A release: the way through JSON, and what its id is made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pirta.contracts.release import Calibration, Decoding, GateResult, Release

texts = st.text(max_size=40)
decodings = st.builds(Decoding, temperature=st.floats(0, 2), max_answer_tokens=st.integers(1, 4096))
calibrations = st.builds(
    Calibration,
    min_similarity=st.floats(-1, 1),
    min_patients=st.integers(1, 20),
    low_similarity=st.floats(-1, 1),
)
OTHER_THAN_TEXT = {
    "index_kind": st.sampled_from(["FLAT", "HNSW"]),
    "num_cases": st.integers(1, 10**6),
    "dimensions": st.integers(1, 4096),
    "decoding": decodings,
    "calibration": calibrations,
}
releases = st.builds(Release, **{**dict.fromkeys(Release.model_fields, texts), **OTHER_THAN_TEXT})
PATHS = ("encoder_path", "writer_base_path", "writer_adapter_path")
PLAIN = Release(
    **dict.fromkeys(set(Release.model_fields) - set(OTHER_THAN_TEXT), "x"),
    num_cases=3,
    dimensions=768,
)


def test_an_id_of_long_ago_is_still_the_same() -> None:
    """Stored records are found by their id: a field that is added later must not change it."""
    assert PLAIN.release_id == "rel-2fff47ca1e69"
    hot = PLAIN.model_copy(update={"decoding": Decoding(temperature=0.5), "index_kind": "HNSW"})
    assert hot.release_id == "rel-4dcfe9573f9e"


def test_a_record_that_says_nothing_of_its_neighbours_takes_the_settings_number() -> None:
    assert Calibration().num_neighbours(7) == 7
    assert Calibration(top_k=3).num_neighbours(7) == 3


@given(release=releases, path=texts)
def test_a_releases_id_ignores_where_its_parts_lie(release: Release, path: str) -> None:
    moved = release.model_copy(update=dict.fromkeys(PATHS, path))
    assert moved.release_id == release.release_id


@given(release=releases, name=st.sampled_from(sorted(set(Release.model_fields) - set(PATHS))))
def test_a_releases_id_changes_with_every_part_of_its_content(release: Release, name: str) -> None:
    value = getattr(release, name)
    other: object
    if isinstance(value, int):
        other = value + 1
    elif isinstance(value, str):
        other = {"FLAT": "HNSW", "HNSW": "FLAT"}.get(value, value + "x")
    elif isinstance(value, Decoding):
        other = value.model_copy(update={"max_answer_tokens": value.max_answer_tokens + 1})
    else:
        other = value.model_copy(update={"min_patients": value.min_patients + 1})
    assert release.model_copy(update={name: other}).release_id != release.release_id


@given(release=releases)
def test_a_release_comes_back_from_json_under_the_same_id(release: Release) -> None:
    back = Release.model_validate_json(release.model_dump_json())
    assert back == release
    assert back.release_id == release.release_id


@pytest.mark.parametrize(
    ("field", "value"),
    [("num_cases", 0), ("dimensions", 0), ("index_kind", "IVF"), ("calibration", {"min": 1})],
)
def test_a_release_that_cannot_be_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError, match=field):
        Release.model_validate({**PLAIN.model_dump(), field: value})


def test_a_gate_keeps_its_numbers_through_json() -> None:
    gate = GateResult(
        name="recall@5", passed=False, value=0.93, limit=0.95, detail="of 200 queries"
    )
    assert GateResult.model_validate_json(gate.model_dump_json()) == gate
