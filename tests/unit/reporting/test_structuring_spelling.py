"""Typing errors: what is mended, what is left, and the distance against a plain reference."""

from __future__ import annotations

from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.reporting.structuring.rules import RuleReader
from pirta.reporting.structuring.spelling import correct, strokes

WORDS = frozenset({"infarction", "infarct", "restriction", "cerebellar", "cerebral", "right"})


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("infraction", "infarction"), ("infarctoin", "infarction"), ("restricton", "restriction"),
        ("rigth", "right"), ("infarctiion", "infarction"), ("cerebelar", "cerebellar"),
        ("infection", "infection"), ("infarct", "infarct"), ("infarcts", "infarcts"),
        ("light", "light"), ("inf", "inf"),
    ],
)  # fmt: skip
def test_near_words_are_mended_and_others_left(typed: str, meant: str) -> None:
    text, changed = correct(f"acute {typed}.", WORDS)
    assert text == f"acute {meant}."
    assert changed == (typed != meant)


def test_a_word_between_two_words_of_the_lexicon_is_left() -> None:
    assert correct("inferier", frozenset({"inferior", "inferiex"})) == ("inferier", 0)


@settings(deadline=None)
@given(st.text("abc", max_size=7), st.text("abc", max_size=7), st.integers(0, 3))
def test_the_distance_is_that_of_the_plain_recursion(one: str, other: str, most: int) -> None:
    assert strokes(one, other, most) == min(_plain(one, other), most + 1)


@cache
def _plain(one: str, other: str) -> int:
    """Restricted Damerau distance, as it is defined."""
    if not one or not other:
        return len(one) + len(other)
    costs = [
        _plain(one[:-1], other) + 1,
        _plain(one, other[:-1]) + 1,
        _plain(one[:-1], other[:-1]) + (one[-1] != other[-1]),
    ]
    if len(one) > 1 and len(other) > 1 and one[-2:] == other[:-3:-1]:
        costs.append(_plain(one[:-2], other[:-2]) + 1)
    return min(costs)


def test_a_mended_word_is_shown_as_it_was_typed() -> None:
    lesion = RuleReader().read("Acute infraction in left cerebelum.").main_lesion
    assert lesion is not None
    assert lesion.evidence[0].sentence == "Acute infraction in left cerebelum."
