"""The gateway's HTTP face on plain ports: what comes in, what goes out, what is logged."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from starlette.testclient import TestClient

from pirta.contracts.report import Report
from pirta.contracts.study import StudyImages
from pirta.errors import PirtaError, UnavailableError, error_classes
from pirta.settings import ReplicaSettings, ScalingSettings

TOKEN = "a-token-nobody-guesses"
FILES = {"dwi": ("dwi.nii.gz", b"dwi bytes"), "adc": ("adc.nii.gz", b"adc bytes")}


def post(client: TestClient, **kwargs: Any) -> Any:
    return client.post("/v1/reports", **{"files": FILES, **kwargs})


def error_of(response: Any) -> dict[str, str]:
    body = response.json()
    assert set(body) == {"error", "request_id"}
    assert set(body["error"]) == {"code", "message", "remedy"}
    error: dict[str, str] = body["error"]
    return error


def test_a_pair_becomes_a_report_with_its_evidence(client: TestClient, parts: Any) -> None:
    response = post(
        client,
        data={
            "registry": '{"age_years": 70, "sex": "Female", "nihss": 4, "history": "HTN, Afib"}',
            "study_id": "study-7",
            "patient_id": "patient-7",
            "site": "north",
        },
    )
    assert response.status_code == 200
    report = Report.model_validate(response.json())
    assert (report.study_id, report.findings) == ("study-7", "There is no diffusion restriction.")
    assert [case.case_id for case in report.evidence] == ["case-1"]
    (study,) = parts.studies
    assert study.images == StudyImages(dwi=b"dwi bytes", adc=b"adc bytes")
    assert study.site == "north"
    assert study.registry.history == ("HTN", "Afib")
    (request,) = parts.requests
    assert request.policy.exclude_patient_ids == {"patient-7"}
    assert request.policy.sites is None
    assert request.release_id == report.provenance.release_id == parts.written_for[0]


def test_the_registry_and_the_ids_may_be_left_out(client: TestClient, parts: Any) -> None:
    assert post(client).status_code == 200
    (study,) = parts.studies
    assert study.study_id.startswith("study-")
    assert (study.patient_id, study.site) == (None, "unknown")


@pytest.mark.parametrize("kind", error_classes(), ids=lambda kind: kind.code)
def test_each_typed_error_answers_with_its_own_status_and_code(
    client: TestClient, parts: Any, kind: type[PirtaError]
) -> None:
    parts.failing["encode"] = kind("What.", remedy="Do this.")
    response = post(client)
    assert response.status_code == kind.http_status
    assert error_of(response) == {"code": kind.code, "message": "What.", "remedy": "Do this."}
    assert ("retry-after" in response.headers) == issubclass(kind, UnavailableError)
    assert client.get("/healthz").status_code == 200


def test_a_fault_of_ours_answers_500_and_leaks_nothing(
    client: TestClient, parts: Any, log_lines: Callable[[], list[dict[str, object]]]
) -> None:
    parts.failing["write"] = RuntimeError("Mrs Secret, born 1950")
    response = post(client)
    assert response.status_code == 500
    assert error_of(response)["code"] == "internal"
    last = log_lines()[-1]
    assert (last["error_type"], last["code"]) == ("RuntimeError", "internal")
    assert "Secret" not in response.text + str(log_lines())
    parts.failing.clear()
    assert post(client).status_code == 200


@pytest.mark.parametrize(
    ("files", "problem"),
    [
        ({}, "DWI file is missing"),
        ({"dwi": ("d", b"x")}, "ADC file is missing"),
        ({"dwi": ("d", b""), "adc": ("a", b"x")}, "DWI file is empty"),
        ({"dwi": ("d", b"x"), "b0": ("b", b"")}, "b0 file is empty"),
        ({"b0": ("b", b"x")}, "DWI file is missing"),
        ({"study": ("s", b"")}, "study file is empty"),
        ({"study": (None, b"text")}, "'study' came as text"),
    ],
)
def test_a_missing_or_empty_file_is_named(
    client: TestClient, files: dict[str, Any], problem: str
) -> None:
    response = post(client, files=files)
    assert response.status_code == 400
    assert error_of(response)["code"] == "file_missing"
    assert problem in error_of(response)["message"]


@pytest.mark.parametrize(
    "row", ["no json", "[1]", '{"age": 5}', '{"age_years": -3}', '{"nihss": 99}', "NaN"]
)
def test_a_registry_row_that_cannot_be_used_is_422(client: TestClient, row: str) -> None:
    response = post(client, data={"registry": row})
    assert response.status_code == 422
    assert error_of(response)["code"] == "registry_invalid"


@pytest.mark.parametrize("history", ["private words " * 8_000, ["private words"] * 8_000])
def test_100_kilobytes_of_history_are_422_and_neither_answer_nor_log_repeat_them(
    client: TestClient, history: object, log_text: Any
) -> None:
    response = post(client, data={"registry": json.dumps({"history": history})})
    assert response.status_code == 422
    assert error_of(response)["code"] == "registry_invalid"
    assert "private" not in response.text
    assert "private" not in log_text.getvalue()
    assert len(response.text) < 2_000


def test_korean_and_control_characters_come_through_as_one_line(client: TestClient) -> None:
    row = json.dumps({"presentation": "좌측\x00\x1b[2J 편마비", "history": ["고혈압\u202e"]})
    report = post(client, data={"registry": row}).json()
    assert report["clinical_presentation"] == "A patient with 좌측 [2J 편마비."
    assert report["past_medical_history"] == "고혈압"


@pytest.mark.parametrize(
    "data",
    [
        {"study_id": "Jane Doe"},
        {"patient_id": "a/b"},
        {"site": "x" * 200},
        {"registery": "{}"},
        {"name with spaces": "x"},
        {"site": ["a", "b"]},
    ],
)
def test_odd_ids_and_unknown_fields_are_refused_without_repeating_them(
    client: TestClient, data: dict[str, Any], parts: Any
) -> None:
    response = post(client, data=data)
    assert response.status_code == 422
    assert error_of(response)["code"] == "input_invalid"
    assert "Jane" not in response.text
    assert parts.studies == []


def test_a_body_that_is_no_form_is_refused(client: TestClient) -> None:
    response = client.post("/v1/reports", json={"dwi": "x"})
    assert response.status_code == 400
    assert error_of(response)["code"] == "file_missing"
    broken = client.post(
        "/v1/reports", content=b"x", headers={"content-type": "multipart/form-data; boundary=b"}
    )
    assert broken.status_code == 400
    assert error_of(broken)["code"] in {"input_invalid", "file_missing"}


def test_an_upload_above_the_limit_is_413_whether_declared_or_not(make_client: Any) -> None:
    client = make_client(demo=True, max_upload_mb=1)
    large = {"dwi": ("d", b"x" * 1_200_000), "adc": ("a", b"x")}
    response = post(client, files=large)
    assert response.status_code == 413
    assert error_of(response)["code"] == "payload_too_large"

    def undeclared() -> Iterator[bytes]:
        yield b'--b\r\nContent-Disposition: form-data; name="dwi"; filename="d"\r\n\r\n'
        for _ in range(20):
            yield b"x" * 100_000

    response = client.post(
        "/v1/reports",
        content=undeclared(),
        headers={"content-type": "multipart/form-data; boundary=b"},
    )
    assert response.status_code == 413


def test_without_a_valid_token_nothing_but_health_answers(make_client: Any, parts: Any) -> None:
    client = make_client(tokens=["another-long-token-x", TOKEN])
    for headers in (
        {},
        {"Authorization": TOKEN},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer é".encode()},
    ):
        for response in (
            post(client, headers=headers),
            client.get("/v1/release", headers=headers),
        ):
            assert response.status_code == 401
            assert error_of(response)["code"] == "unauthorized"
            assert response.headers["www-authenticate"] == "Bearer"
    assert parts.studies == []
    assert client.get("/healthz").status_code == 200
    assert client.get("/docs").status_code == 404
    headers = {"Authorization": f"Bearer {TOKEN}"}
    assert post(client, headers=headers).status_code == 200
    assert client.get("/v1/release", headers=headers).json()["num_cases"] == 1


def test_the_release_is_told_without_the_servers_paths(client: TestClient) -> None:
    told = client.get("/v1/release").json()
    assert told["release_id"].startswith("rel-")
    assert not [name for name in told if name.endswith("_path")]


def test_readiness_names_the_part_that_cannot_work(client: TestClient, parts: Any) -> None:
    assert client.get("/readyz").json() == {"ready": True}
    parts.failing["ready"] = UnavailableError("Milvus is down.", remedy="Start it.")
    response = client.get("/readyz")
    assert response.status_code == 503
    assert "retriever (unavailable)" in error_of(response)["message"]


def test_a_report_that_takes_too_long_is_unavailable(make_client: Any, parts: Any) -> None:
    parts.pause_s = 5.0
    response = post(make_client(demo=True, request_timeout_s=0.05))
    assert response.status_code == 503
    assert "0.05 s" in error_of(response)["message"]


def test_more_reports_than_the_gateway_takes_are_refused_with_a_hint(
    parts: Any, make_client: Any
) -> None:
    scaling = ScalingSettings(gateway=ReplicaSettings(max_ongoing_requests=1))
    parts.pause_s = 2.0
    with make_client(scaling=scaling) as client, ThreadPoolExecutor(3) as pool:
        statuses = sorted(
            response.status_code for response in pool.map(lambda _: post(client), range(3))
        )
        assert statuses == [200, 503, 503]
        assert post(client).status_code == 200


def test_an_unknown_path_answers_in_the_same_form(client: TestClient) -> None:
    response = client.get("/v1/nothing")
    assert response.status_code == 404
    assert error_of(response)["code"] == "input_invalid"
    assert client.get("/v1/reports").status_code == 405


def test_a_callers_request_id_is_kept_where_it_is_plain(client: TestClient) -> None:
    given = client.get("/v1/nothing", headers={"X-Request-Id": "abc-1"}).json()["request_id"]
    assert given == "abc-1"
    made = client.get("/v1/nothing", headers={"X-Request-Id": "a b"}).json()["request_id"]
    assert made not in ("a b", "")


def test_the_log_tells_stages_and_times_and_no_text(
    client: TestClient, log_lines: Callable[[], list[dict[str, object]]]
) -> None:
    post(client, data={"registry": '{"presentation": "weakness of the left arm"}'})
    lines = log_lines()
    stages = [line["stage"] for line in lines if line["event"] == "stage ended"]
    assert stages == ["prepare", "encode", "retrieve", "write"]
    assert len({line["request_id"] for line in lines}) == 1
    assert "weakness" not in str(lines)
    assert all("dropped_fields" not in line for line in lines)
