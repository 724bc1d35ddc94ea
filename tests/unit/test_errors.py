"""The error tree: codes and statuses, the trip across a process border, words for people."""

from __future__ import annotations

import pickle
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pirta.errors import GeometryError, InputError, PirtaError, error_classes

KINDS = error_classes()


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_an_error_survives_the_trip_to_another_process(kind: type[PirtaError]) -> None:
    error = kind("The volume has 2 axes.", remedy="Give a volume with 3.")
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is kind
    assert (back.message, back.remedy) == (error.message, error.remedy)
    assert str(back) == str(error) == "The volume has 2 axes. Give a volume with 3."


@given(message=st.text(), remedy=st.text())
def test_any_text_survives_the_trip(message: str, remedy: str) -> None:
    back = pickle.loads(pickle.dumps(GeometryError(message, remedy=remedy)))
    assert (back.message, back.remedy) == (message, remedy)


def test_every_code_is_unique_and_in_snake_case() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)
    assert all(re.fullmatch(r"[a-z]+(_[a-z]+)*", code) for code in codes)


def test_every_class_states_its_own_code() -> None:
    assert [kind.__name__ for kind in KINDS if "code" not in vars(kind)] == []


def test_every_status_is_an_http_error() -> None:
    assert all(400 <= kind.http_status <= 599 for kind in KINDS)


def test_every_mistake_in_the_input_is_the_callers_by_its_status() -> None:
    assert all(400 <= kind.http_status < 500 for kind in KINDS if issubclass(kind, InputError))


def test_an_error_without_a_remedy_cannot_be_raised() -> None:
    with pytest.raises(TypeError):
        PirtaError("Something is wrong.")  # type: ignore[call-arg]


def test_the_base_comes_first_and_every_class_once() -> None:
    assert KINDS[0] is PirtaError
    assert len(set(KINDS)) == len(KINDS)
