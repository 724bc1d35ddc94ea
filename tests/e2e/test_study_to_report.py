"""One study in, one report out, over HTTP through every real engine; and what goes wrong."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import nibabel
import numpy as np
import pytest

from pirta.contracts.report import Report
from pirta.models.checkpoint import read_manifest, write_manifest

if TYPE_CHECKING:
    from tests.e2e.conftest import Graph


def test_a_held_out_study_becomes_a_report_with_its_evidence(graph: Graph) -> None:
    case = graph.held_out()
    response = graph.post(
        graph.files_of(case),
        registry=case.registry.model_dump_json(),
        study_id=case.case_id,
        patient_id=case.patient_id,
    )
    assert response.status_code == 200, response.text
    report = Report.model_validate(response.json())
    indexed = {one.case_id for one in graph.cases if one.split == "index"}
    similarity = [one.similarity for one in report.evidence]
    assert len(report.evidence) == min(graph.settings.index.top_k, len(indexed))
    assert {one.case_id for one in report.evidence} <= indexed
    assert similarity == sorted(similarity, reverse=True)
    assert report.provenance.release_id == graph.release.release_id
    assert report.study_id == case.case_id
    assert report.impression in ("Acute infarction", "No acute infarction")
    assert str(case.registry.nihss) in report.nihss


def test_a_patients_own_indexed_study_is_not_evidence_for_itself(graph: Graph) -> None:
    case = next(one for one in graph.cases if one.split == "index")
    files = graph.files_of(case)
    own = Report.model_validate(graph.post(files).json())
    assert own.evidence[0].case_id == case.case_id
    assert own.evidence[0].similarity == pytest.approx(1, abs=0.01)
    others = Report.model_validate(graph.post(files, patient_id=case.patient_id).json())
    patients = {one.case_id: one.patient_id for one in graph.cases}
    assert case.patient_id not in {patients[one.case_id] for one in others.evidence}


def test_the_service_says_what_it_serves_and_that_it_is_ready(graph: Graph) -> None:
    assert httpx.get(f"{graph.url}/healthz").status_code == 200
    assert httpx.get(f"{graph.url}/readyz", timeout=10).status_code == 200
    served = httpx.get(f"{graph.url}/v1/release").json()
    assert served["release_id"] == graph.release.release_id


def _nifti(data: Any, affine: Any) -> bytes:
    return gzip.compress(nibabel.Nifti1Image(data, affine).to_bytes(), compresslevel=1)


def _bad_inputs(dwi: bytes, adc: bytes) -> dict[str, tuple[dict[str, bytes], dict[str, str], int]]:
    """Return each bad input of the issue: files, fields and the status it has to answer."""
    image = nibabel.Nifti1Image.from_bytes(gzip.decompress(dwi))
    data, affine = np.asarray(image.dataobj, dtype=np.float32), image.affine
    bad = {
        "a missing file": {"dwi": dwi},
        "a text file": {"dwi": b"this is no image", "adc": adc},
        "a truncated gzip": {"dwi": dwi[: len(dwi) // 2], "adc": adc},
        "a 4D image": {"dwi": _nifti(np.stack([data, data], -1), affine), "adc": adc},
        "a 2D image": {"dwi": _nifti(data[:, :, 0], affine), "adc": adc},
        "another grid": {"dwi": _nifti(data[:-4], affine), "adc": adc},
        "the same file twice": {"dwi": dwi, "adc": dwi},
        "all zero": {"dwi": _nifti(np.zeros_like(data), affine), "adc": adc},
        "NaN": {"dwi": _nifti(np.full_like(data, np.nan), affine), "adc": adc},
        "too large": {"dwi": b"x" * 40_000_000, "adc": adc},
    }
    statuses = {"a missing file": 400, "too large": 413}
    cases = {name: (files, {}, statuses.get(name, 422)) for name, files in bad.items()}
    for name, row in {
        "an unknown field": {"weight": 70},
        "age -3": {"age_years": -3},
        "NIHSS 99": {"nihss": 99},
    }.items():
        cases[name] = ({"dwi": dwi, "adc": adc}, {"registry": json.dumps(row)}, 422)
    return cases


def test_each_bad_input_gives_a_typed_4xx_and_the_service_stays_up(graph: Graph) -> None:
    good = {name: data for name, (_, data) in graph.files_of(graph.held_out()).items()}
    codes = {}
    for name, (files, fields, status) in _bad_inputs(good["dwi"], good["adc"]).items():
        response = graph.post(
            {role: (role, io.BytesIO(data)) for role, data in files.items()}, **fields
        )
        assert response.status_code == status, f"{name}: {response.status_code} {response.text}"
        error = response.json()["error"]
        assert error["message"], name
        assert error["remedy"], name
        codes[name] = error["code"]
    assert codes == {
        "a missing file": "file_missing",
        "a text file": "file_unreadable",
        "a truncated gzip": "file_unreadable",
        "a 4D image": "geometry_invalid",
        "a 2D image": "geometry_invalid",
        "another grid": "channel_mismatch",
        "the same file twice": "channel_mismatch",
        "all zero": "intensity_invalid",
        "NaN": "intensity_invalid",
        "too large": "payload_too_large",
        "an unknown field": "registry_invalid",
        "age -3": "registry_invalid",
        "NIHSS 99": "registry_invalid",
    }
    assert graph.post(graph.files_of(graph.held_out())).status_code == 200


def test_a_new_adapter_answers_beside_the_old_one_without_a_restart_of_the_engine(
    graph: Graph, tmp_path: Path
) -> None:
    path = tmp_path / "adapter"
    shutil.copytree(graph.release.writer_adapter_path, path)
    (path / "note.txt").write_text("another adapter by its content alone")
    known = read_manifest(path)
    fields = ("kind", "config", "run", "data_sha256", "preprocessing_fingerprint", "metrics")
    renewed = write_manifest(
        path, command="test", **{name: getattr(known, name) for name in fields}
    )
    other = graph.release.model_copy(
        update={"writer_adapter_path": str(path), "writer_adapter_sha256": renewed.sha256}
    )
    engine = f"engine-{graph.release.writer_base_sha256[:12]}"
    before = graph.replica_pids("Engine", app=engine)
    assert len(before) == 1
    files = graph.files_of(graph.held_out())
    graph.switch_to(other)
    report = Report.model_validate(graph.post(files).json())
    assert report.provenance.release_id == other.release_id
    assert report.provenance.writer_adapter_sha256 == renewed.sha256
    graph.switch_to(graph.release)
    back = Report.model_validate(graph.post(files).json())
    assert back.provenance.release_id == graph.release.release_id
    assert (back.findings, back.evidence) == (report.findings, report.evidence)
    assert graph.replica_pids("Engine", app=engine) == before


def test_requests_succeed_after_the_encoders_process_was_killed(graph: Graph) -> None:
    files = graph.files_of(graph.held_out())
    (before,) = graph.replica_pids("Encoder")
    with ThreadPoolExecutor(2) as pool:
        running = [pool.submit(graph.post, files) for _ in range(4)]
        time.sleep(1.0)
        os.kill(before, signal.SIGKILL)
        statuses = [one.result().status_code for one in running]
    # What was on its way is sent again or refused in form, never answered with a fault.
    assert set(statuses) <= {200, 503}
    # A slow machine needs its time to start a process; until then the answer is "try again".
    deadline_s = time.monotonic() + 240
    while (response := graph.post(files)).status_code == 503 and time.monotonic() < deadline_s:
        time.sleep(1)
    assert response.status_code == 200
    assert before not in graph.replica_pids("Encoder")


def test_without_its_language_model_a_report_comes_from_the_template_until_it_is_back(
    graph: Graph,
) -> None:
    files = graph.files_of(graph.held_out())
    before = Report.model_validate(graph.post(files, study_id="study-1").json())
    assert before.mode == "written"
    engine = f"engine-{graph.release.writer_base_sha256[:12]}"
    (pid,) = graph.replica_pids("Engine", app=engine)
    # It hangs first: a quick machine has a killed one back before the request's time is over.
    os.kill(pid, signal.SIGSTOP)
    response = graph.post(files)
    with suppress(ProcessLookupError):  # Serve may have replaced it by now
        os.kill(pid, signal.SIGKILL)
    assert response.status_code == 200, response.text
    without = Report.model_validate(response.json())
    assert without.mode == "template"
    assert {reason.code.value for reason in without.reasons} <= {"writer_down", "writer_late"}
    assert without.evidence == before.evidence
    deadline_s = time.monotonic() + 480  # vLLM starts slowly on a busy machine
    while time.monotonic() < deadline_s:
        again = Report.model_validate(graph.post(files, study_id="study-1").json())
        if again.mode != "template":
            break
    assert again == before


def test_without_milvus_a_request_is_a_typed_503_and_readiness_says_so(graph: Graph) -> None:
    """The last test: the server does not come back."""
    os.kill(graph.milvus.pid, signal.SIGKILL)
    response = graph.post(graph.files_of(graph.held_out()))
    assert response.status_code == 503
    assert response.json()["error"]["code"] == "unavailable"
    assert response.headers["retry-after"]
    assert "retriever" in httpx.get(f"{graph.url}/readyz", timeout=10).json()["error"]["message"]
    assert httpx.get(f"{graph.url}/healthz").status_code == 200
