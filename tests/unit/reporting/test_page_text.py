"""Lines fit their width, and a sign that no font has is not lost."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.reporting.page_text import Typeface, installed_typefaces

DEJAVU = Typeface(installed_typefaces()[0].fonts[:1])
MONO = DEJAVU.fonts[0].with_name("DejaVuSansMono.ttf")


def restored(text: str) -> str:
    """What a person with a Unicode chart reads."""
    return re.sub(
        r"\[(U\+[0-9A-F]{4,6}(?: U\+[0-9A-F]{4,6})*)\]",
        lambda match: "".join(chr(int(code[2:], 16)) for code in match[1].split()),
        text,
    )


def test_signs_without_a_glyph_are_written_as_their_numbers() -> None:
    assert DEJAVU.drawable("HTN 당뇨 since 2015") == "HTN [U+B2F9 U+B1E8] since 2015"
    assert restored(DEJAVU.drawable("고혈압, 당뇨")) == "고혈압, 당뇨"


@settings(deadline=None)
@given(st.text(st.characters(exclude_characters="[]"), max_size=60))
def test_nothing_is_lost_but_white_space(text: str) -> None:
    assert restored(DEJAVU.drawable(text)) == " ".join(text.split())


@settings(deadline=None)
@given(st.text("abc W당.,-", max_size=120), st.floats(30, 300))
def test_every_line_fits_and_together_they_are_the_text(text: str, width_pt: float) -> None:
    lines = DEJAVU.wrap(text, size_pt=9, width_pt=width_pt)
    assert all(DEJAVU.width_pt(line, 9) <= width_pt + 1e-6 for line in lines)
    assert "".join("".join(lines).split()) == "".join(DEJAVU.drawable(text).split())


def test_words_stay_whole_where_they_fit() -> None:
    lines = DEJAVU.wrap("acute infarction " * 10, size_pt=9, width_pt=200)
    assert all(set(line.split()) <= {"acute", "infarction"} for line in lines)


def test_an_empty_text_is_one_empty_line() -> None:
    assert DEJAVU.wrap("", size_pt=9, width_pt=100) == [""]


@pytest.mark.parametrize("text", ["Altered Mentality", "W", "3.2 × 4.1 mm"])
def test_the_widths_are_those_that_matplotlib_draws(text: str) -> None:
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextPath

    drawn = TextPath((0, 0), text, size=100, prop=FontProperties(fname=str(DEJAVU.fonts[0])))
    assert DEJAVU.width_pt(text, 100) == pytest.approx(drawn.get_extents().width, rel=0.05, abs=8)


def test_a_second_font_draws_what_the_first_lacks() -> None:
    face = Typeface((MONO, DEJAVU.fonts[0]))
    lacking = next(
        chr(code)
        for code in range(0x100, 0x3000)
        if DEJAVU.drawable(chr(code)) == chr(code)
        and Typeface((MONO,)).drawable(chr(code)) != chr(code)
        and not chr(code).isspace()
    )
    assert face.drawable(f"a{lacking}b") == f"a{lacking}b"
    assert [(run.text, run.font) for run in face.runs(f"a{lacking}b")] == [
        ("a", MONO),
        (lacking, DEJAVU.fonts[0]),
        ("b", MONO),
    ]


def test_the_fonts_handed_over_are_asked_before_the_installed_ones() -> None:
    regular, bold = installed_typefaces([Path(MONO)])
    assert regular.fonts[:2] == (DEJAVU.fonts[0], MONO)
    assert bold.fonts[0].name == "DejaVuSans-Bold.ttf"
