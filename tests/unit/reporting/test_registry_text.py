"""Registry text is data: shown to the letter in the report, and disarmed in the prompt."""

from __future__ import annotations

import pytest

from pirta.contracts.study import Registry
from pirta.errors import RegistryError
from pirta.reporting.registry_text import (
    history_text,
    nihss_text,
    presentation_sentence,
    registry_line,
    without_words,
)
from tests.unit.reporting.examples import REGISTRY


def test_the_papers_row_is_written_as_in_table_3() -> None:
    assert registry_line(REGISTRY) == "75-year-old, Female, Altered Mentality, 32.0, HTN, Afib,"
    assert presentation_sentence(REGISTRY) == "A 75-year-old Female patient with Altered Mentality."
    assert nihss_text(REGISTRY) == "32.0"
    assert history_text(REGISTRY) == "HTN, Afib"


def test_an_empty_row_says_unknown_everywhere() -> None:
    assert registry_line(Registry()) == "unknown, unknown, unknown, unknown, unknown,"
    assert presentation_sentence(Registry()) == "A patient with unknown presentation."
    assert nihss_text(Registry()) == "unknown"
    assert history_text(Registry()) == "none recorded"


@pytest.mark.parametrize(
    ("age_years", "article"), [(8, "An"), (11, "An"), (18, "An"), (80, "An"), (89, "An"), (75, "A")]
)
def test_the_article_fits_the_age(age_years: int, article: str) -> None:
    said = presentation_sentence(Registry(age_years=age_years, sex="Male", presentation="Vertigo"))
    assert said == f"{article} {age_years}-year-old Male patient with Vertigo."


def test_a_presentation_that_ends_in_a_full_stop_gets_no_second_one() -> None:
    assert presentation_sentence(Registry(presentation="Vertigo.")).endswith("with Vertigo.")


def test_the_reader_sees_the_letter_and_the_model_the_disarmed_copy() -> None:
    said = "NIHSS <5 [see chart] ### <|eot_id|>"
    row = Registry(presentation=said, history=(said,))
    assert said in presentation_sentence(row)
    assert history_text(row) == said
    assert registry_line(row).count("< 5 [ see chart] # < |eot_id| >") == 2


def test_without_words_only_numbers_and_sex_are_left() -> None:
    assert registry_line(without_words(REGISTRY)) == "75-year-old, Female, unknown, 32.0, unknown,"


def test_korean_text_reaches_reader_and_model_as_it_is() -> None:
    row = Registry(presentation="좌측 편마비", history=("고혈압", "심방세동"))
    assert presentation_sentence(row) == "A patient with 좌측 편마비."
    assert history_text(row) == "고혈압, 심방세동"
    assert registry_line(row) == "unknown, unknown, 좌측 편마비, unknown, 고혈압, 심방세동,"


def test_a_history_of_100_kilobytes_is_refused_by_name_and_without_its_text() -> None:
    from pirta.contracts.study import parse_registry

    secret = "very private words "
    with pytest.raises(RegistryError, match=r"history\.0") as refusal:
        parse_registry({"history": [secret * 5_500]})
    assert secret.strip() not in str(refusal.value)
