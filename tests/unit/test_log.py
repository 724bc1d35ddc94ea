"""The log writes one JSON object a line, and only fields of the allow-list."""

from __future__ import annotations

import io
import json

from hypothesis import given
from hypothesis import strategies as st

from pirta.log import ALLOWED_FIELDS, keep_allowed_fields, make_logger


def _lines(stream: io.StringIO) -> list[dict[str, object]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_allowed_field_is_written_with_level_and_time() -> None:
    stream = io.StringIO()
    make_logger(stream).info("report written", study_id="S-1", duration_s=1.5)
    (line,) = _lines(stream)
    assert line["event"] == "report written"
    assert line["study_id"] == "S-1"
    assert line["level"] == "info"
    assert str(line["timestamp"]).endswith("Z")
    assert "dropped_fields" not in line


def test_a_field_off_the_list_is_dropped_and_counted() -> None:
    stream = io.StringIO()
    make_logger(stream).info("study received", patient_name="KIM", report_text="infarct", count=1)
    (line,) = _lines(stream)
    assert line["dropped_fields"] == 2
    assert "KIM" not in stream.getvalue()
    assert "infarct" not in stream.getvalue()


def test_a_bound_field_off_the_list_is_dropped_as_well() -> None:
    stream = io.StringIO()
    make_logger(stream).bind(mrn="1234567", request_id="r-1").warning("slow search")
    (line,) = _lines(stream)
    assert "1234567" not in stream.getvalue()
    assert line["request_id"] == "r-1"


def test_an_exceptions_text_does_not_reach_the_log() -> None:
    stream = io.StringIO()
    try:
        raise ValueError("patient KIM")
    except ValueError:
        make_logger(stream).error("stage failed", exc_info=True, error_type="ValueError")
    assert "KIM" not in stream.getvalue()
    assert _lines(stream)[0]["error_type"] == "ValueError"


def test_debug_lines_are_not_written() -> None:
    stream = io.StringIO()
    make_logger(stream).debug("noise")
    assert stream.getvalue() == ""


@given(entry=st.dictionaries(st.text(max_size=20), st.text(max_size=20), max_size=12))
def test_whatever_comes_in_only_listed_fields_go_out(entry: dict[str, str]) -> None:
    unlisted = {name for name in entry if name not in ALLOWED_FIELDS}
    out = keep_allowed_fields(None, "info", dict(entry))
    assert set(out) <= ALLOWED_FIELDS
    if unlisted:
        assert out["dropped_fields"] == len(unlisted)
    assert all(
        out[name] == entry[name] for name in set(entry) & ALLOWED_FIELDS - {"dropped_fields"}
    )
