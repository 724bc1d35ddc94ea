"""The PDF: the same bytes each time, the disclaimer on every page, and nothing left out.

Texts are read back from the page streams: matplotlib writes ASCII text as strings of one font.
"""

from __future__ import annotations

import re
import zlib

import numpy as np
import pytest

from pirta.contracts.report import Report, reads_as_normal
from pirta.contracts.study import Registry
from pirta.reporting.evidence_picture import Panel
from pirta.reporting.render import mode_notice
from pirta.reporting.report_pdf import render_pdf
from tests.unit.reporting.drafts import abstained, template, written

_STRING = rb"\((?:\\.|[^\\()])*\)"
_SHOWN = re.compile(
    rb"(" + _STRING + rb")\s*Tj|\[((?:" + _STRING + rb"|[^\](])*)\]\s*TJ", re.DOTALL
)
_ITEM = "HTN on amlodipine $5$ since 2003; "
LONG = Registry(
    presentation="Altered Mentality " * 25,
    history=tuple(f"{number:02d} {_ITEM}".ljust(190, "x") for number in range(20)),
)
KOREAN = Registry(presentation="우측 편마비", history=("고혈압",))


def panels(count: int) -> list[Panel]:
    volume_CXYZ = np.zeros((2, 96, 112, 48), np.float32)
    volume_CXYZ[:, 20:76, 20:92, 10:40] = 1.0
    return [Panel(f"[{number}] 0.87\ncase-{number}", volume_CXYZ) for number in range(count)]


def page_texts(pdf: bytes) -> list[str]:
    """Return each page's text, in drawing order."""
    pages = []
    for found in re.finditer(rb"stream\r?\n(.*?)\r?\nendstream", pdf, re.DOTALL):
        try:
            content = zlib.decompress(found[1])
        except zlib.error:
            continue
        if b"BT" in content:
            shown = _SHOWN.findall(content)
            pages.append(" ".join(_joined(plain, spaced) for plain, spaced in shown))
    return pages


def _joined(plain: bytes, spaced: bytes) -> str:
    parts = [part[1:-1] for part in re.findall(_STRING, plain or spaced, re.DOTALL)]
    return re.sub(rb"\\(.)", rb"\1", b"".join(parts)).decode("latin-1")


def words(text: str) -> str:
    return " ".join(text.split())


def test_the_same_report_gives_the_same_bytes_and_no_date() -> None:
    first = render_pdf(template(), query=panels(1)[0], neighbours=panels(5))
    assert first == render_pdf(template(), query=panels(1)[0], neighbours=panels(5))
    assert first.startswith(b"%PDF-")
    assert b"Date" not in first


@pytest.mark.parametrize("report", [written(), template(), abstained()], ids=lambda r: r.mode)
def test_each_mode_says_all_of_its_words_on_one_page(report: Report) -> None:
    [page] = page_texts(render_pdf(report, query=panels(1)[0], neighbours=panels(5)))
    for said in (report.findings, report.impression, report.disclaimer):
        assert words(said) in words(page)
    for text in (*report.warnings, *(reason.sentence for reason in report.reasons)):
        assert words(text) in words(page)
    for case in report.evidence:
        assert case.case_id in page
        assert words(case.findings_text) in words(page)
    notice = mode_notice(report)
    assert notice is None or notice in page
    assert reads_as_normal(page) == (report.mode != "abstained")


def test_a_long_history_is_wrapped_kept_whole_and_leaves_the_findings_on_the_first_page() -> None:
    pages = page_texts(render_pdf(abstained(LONG), query=panels(1)[0], neighbours=panels(5)))
    assert len(pages) == 2
    assert all(abstained().disclaimer in page for page in pages)
    assert all("ABSTAINED" in page for page in pages)
    assert words(abstained().findings) in words(pages[0])
    squeezed = "".join("".join(pages).split())
    for item in LONG.history:
        assert "".join(item.split()) in squeezed


def test_signs_without_a_font_are_numbers_and_the_page_says_so() -> None:
    [page] = page_texts(render_pdf(written().model_copy(
        update={"past_medical_history": KOREAN.history[0], "clinical_presentation": "\U00010900"}
    )))  # fmt: skip
    assert "U+10900" in page
    assert "no font of this machine" in words(page)
    assert "no font of this machine" not in words(page_texts(render_pdf(written()))[0])


def test_a_report_without_images_needs_none() -> None:
    [page] = page_texts(render_pdf(written()))
    assert "Upper row" not in page
