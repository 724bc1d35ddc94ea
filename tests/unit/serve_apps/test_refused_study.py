"""A study that the quality gate refuses: over HTTP, and back in the client's hands."""

from __future__ import annotations

import pickle
from typing import Any

import pytest
from starlette.testclient import TestClient

from pirta.contracts.quality import GateResult
from pirta.errors import QualityError
from pirta_cli.service_client import error_of_response

GATES = (
    GateResult(gate="snr", value=3.1, limit="at least 4", verdict="refuse", reason="Noisy."),
    GateResult(gate="motion", value=None, unit="mm", verdict="warn", reason="Not measured."),
    GateResult(gate="in_plane", value=1.2, unit="mm", limit="at most 3.5 mm", verdict="pass"),
)
FILES = {"dwi": ("dwi.nii.gz", b"dwi bytes"), "adc": ("adc.nii.gz", b"adc bytes")}


@pytest.fixture
def refusal() -> QualityError:
    return QualityError("1 of 3 gates refuses: Noisy.", remedy="Scan again.", gates=GATES)


def test_every_gate_survives_the_trip_to_another_process(refusal: QualityError) -> None:
    back = pickle.loads(pickle.dumps(refusal))
    assert type(back) is QualityError
    assert (str(back), back.gates) == (str(refusal), GATES)


def test_a_refused_study_is_answered_with_every_gate_and_no_report(
    client: TestClient, parts: Any, refusal: QualityError
) -> None:
    parts.failing["prepare"] = refusal
    response = client.post("/v1/reports", files=FILES)
    assert response.status_code == 422
    body = response.json()
    assert set(body) == {"error", "request_id"}
    assert body["error"]["code"] == "quality_refused"
    assert body["error"]["gates"][0] == GATES[0].model_dump(mode="json")
    assert parts.requests == []


def test_the_client_gets_the_gates_that_the_service_judged(
    client: TestClient, parts: Any, refusal: QualityError
) -> None:
    parts.failing["prepare"] = refusal
    error = error_of_response(client.post("/v1/reports", files=FILES))
    assert isinstance(error, QualityError)
    assert (str(error), error.gates) == (str(refusal), GATES)


def test_gates_in_an_unknown_form_leave_the_message(client: TestClient, parts: Any) -> None:
    parts.failing["prepare"] = QualityError("Noisy.", remedy="Scan again.")
    response = client.post("/v1/reports", files=FILES)
    assert "gates" not in response.json()["error"]
    response._content = response.content.replace(b'"code"', b'"gates":[{"odd":1}],"code"')
    error = error_of_response(response)
    assert isinstance(error, QualityError)
    assert (error.message, error.gates) == ("Noisy.", ())
