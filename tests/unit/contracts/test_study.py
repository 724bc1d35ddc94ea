"""The registry row: what is let in, what is refused, and that a refusal repeats no free text."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pirta.contracts.study import Registry, parse_registry
from pirta.errors import RegistryError

rows = st.fixed_dictionaries(
    {},
    optional={
        "age_years": st.none() | st.integers(0, 120),
        "sex": st.none() | st.sampled_from(["Female", "Male"]),
        "presentation": st.none() | st.text(max_size=500),
        "nihss": st.none() | st.integers(0, 42),
        "history": st.lists(st.text(max_size=30), max_size=20).map(tuple),
    },
)


@given(row=rows)
def test_every_row_within_the_ranges_is_read_and_comes_back(row: dict[str, object]) -> None:
    registry = parse_registry(row)
    assert all(getattr(registry, name) == value for name, value in row.items())
    assert Registry.model_validate_json(registry.model_dump_json()) == registry


def test_an_empty_row_knows_nothing() -> None:
    registry = parse_registry({})
    assert registry == Registry()
    assert registry.age_years is None
    assert registry.history == ()


def test_a_history_in_one_string_is_split_at_commas() -> None:
    assert parse_registry({"history": "HTN, Afib,, "}).history == ("HTN", "Afib")


@given(age=st.integers().filter(lambda age: not 0 <= age <= 120))
def test_an_age_outside_0_to_120_is_refused_with_its_value(age: int) -> None:
    with pytest.raises(RegistryError) as caught:
        parse_registry({"age_years": age})
    assert "age_years" in caught.value.message
    assert "age 0-120" in caught.value.remedy


def test_age_minus_3_is_refused_by_name_and_number() -> None:
    with pytest.raises(RegistryError, match=r"age_years.*greater than or equal to 0.*got -3"):
        parse_registry({"age_years": -3})


def test_nihss_99_is_refused_by_name_and_number() -> None:
    with pytest.raises(RegistryError, match=r"nihss.*less than or equal to 42.*got 99"):
        parse_registry({"nihss": 99})


def test_an_unknown_field_is_named_and_the_known_ones_are_listed() -> None:
    with pytest.raises(RegistryError, match="unknown field 'blood_type'") as caught:
        parse_registry({"blood_type": "A"})
    assert all(name in caught.value.remedy for name in Registry.model_fields)


def test_every_problem_of_a_row_is_named_at_once() -> None:
    with pytest.raises(RegistryError, match=r"age_years.*nihss"):
        parse_registry({"age_years": -3, "nihss": 99})


@pytest.mark.parametrize("row", [None, [], "text", 3, [{"age_years": 3}]])
def test_what_is_no_row_at_all_is_refused(row: object) -> None:
    with pytest.raises(RegistryError, match="the row"):
        parse_registry(row)


@given(text=st.from_regex(r"Kim [A-Z][a-z]{6,12}", fullmatch=True))
def test_a_refusal_never_repeats_free_text(text: str) -> None:
    wrong = {
        "age_years": text,
        "sex": text,
        "presentation": text * 60,
        "nihss": text,
        "history": [text] * 21,
        "blood_type": text,
    }
    with pytest.raises(RegistryError) as caught:
        parse_registry(wrong)
    assert text not in str(caught.value)
    assert text.split()[1] not in str(caught.value)


def test_a_row_cannot_be_changed() -> None:
    with pytest.raises(ValueError, match="frozen"):
        parse_registry({"nihss": 4}).nihss = 5


@pytest.mark.parametrize("name", ["Kim\nChul 1954", "Kim Chul", "x" * 41])
def test_an_unknown_field_that_is_no_plain_word_is_not_repeated(name: str) -> None:
    with pytest.raises(RegistryError) as caught:
        parse_registry({name: 1})
    assert name not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_truth_value_is_no_age() -> None:
    with pytest.raises(RegistryError, match="age_years"):
        parse_registry({"age_years": True})


def test_a_whole_nihss_with_a_decimal_point_is_taken() -> None:
    assert parse_registry({"nihss": 32.0}).nihss == 32


def test_an_endless_history_item_is_refused() -> None:
    with pytest.raises(RegistryError, match="history"):
        parse_registry({"history": ["x" * 201]})
