"""What a form may hold: a pair, a DWI with a b0, or a whole study; and what it may not."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from pirta.contracts.study import StudyImages
from serve_apps.upload import FIELDS


@pytest.mark.parametrize(
    ("names", "data", "expected"),
    [
        (["study"], {}, StudyImages(files={"study": b"study bytes"})),
        (
            ["study"],
            {"b_value": "800"},
            StudyImages(files={"study": b"study bytes"}, b_value_s_mm2=800),
        ),
        (
            ["dwi", "b0"],
            {"b_value": "1e3"},
            StudyImages(dwi=b"dwi bytes", b0=b"b0 bytes", b_value_s_mm2=1000),
        ),
        (
            ["dwi", "adc", "b0"],
            {},
            StudyImages(dwi=b"dwi bytes", adc=b"adc bytes", b0=b"b0 bytes"),
        ),
    ],
    ids=["study", "study with b value", "dwi and b0", "all three"],
)
def test_a_study_comes_as_an_archive_or_with_a_b0_too(
    client: TestClient, parts: Any, names: list[str], data: dict[str, str], expected: StudyImages
) -> None:
    files = {name: (name, f"{name} bytes".encode()) for name in names}
    assert client.post("/v1/reports", files=files, data=data).status_code == 200
    assert [study.images for study in parts.studies] == [expected]


def test_an_image_field_left_open_in_a_browser_counts_as_not_sent(
    client: TestClient, parts: Any
) -> None:
    open_field = 'Content-Disposition: form-data; name="{}"; filename=""\r\n\r\n\r\n'
    sent = 'Content-Disposition: form-data; name="study"; filename="s"\r\n\r\nbytes\r\n'
    bodies = [open_field.format("dwi"), open_field.format("adc"), sent]
    response = client.post(
        "/v1/reports",
        content="".join(f"--b\r\n{body}" for body in bodies) + "--b--\r\n",
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert response.status_code == 200
    assert parts.studies[0].images == StudyImages(files={"study": b"bytes"})


@pytest.mark.parametrize(
    ("names", "data", "problem"),
    [
        (["study", "dwi"], {}, "whole study and dwi besides"),
        (["dwi", "b0"], {}, "'b_value' is missing"),
        *((["dwi", "b0"], {"b_value": b}, "is no b value") for b in ("x", "nan", "-1", "0", "1e9")),
    ],
)
def test_fields_that_do_not_go_together_are_refused(
    client: TestClient, parts: Any, names: list[str], data: dict[str, str], problem: str
) -> None:
    files = {name: (name, b"x") for name in names}
    response = client.post("/v1/reports", files=files, data=data)
    assert response.status_code == 422
    error = response.json()["error"]
    assert error["code"] == "input_invalid"
    assert problem in error["message"]
    assert parts.studies == []


def test_the_form_is_described_with_every_field_that_is_read(client: TestClient) -> None:
    operation = client.get("/openapi.json").json()["paths"]["/v1/reports"]["post"]
    form = operation["requestBody"]["content"]["multipart/form-data"]["schema"]
    assert set(form["properties"]) == set(FIELDS)
    assert {"required": ["study"]} in form["anyOf"]
