"""A request keeps its release to the end, its lease is given back, and withdrawals overtake it."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from pirta.contracts.release import Calibration
from pirta.contracts.report import Report
from pirta.errors import UnavailableError
from pirta.releases.store import ReleaseStore
from pirta.settings import IndexSettings
from tests.unit.serve_apps.releases import activate, new_store, release_of

FILES = {"dwi": ("dwi.nii.gz", b"dwi bytes"), "adc": ("adc.nii.gz", b"adc bytes")}


def post(client: TestClient, **data: str) -> Any:
    return client.post("/v1/reports", files=FILES, data=data)


def test_a_switch_in_the_middle_of_a_request_is_the_next_requests(
    client: TestClient, parts: Any, store: ReleaseStore, release: Any
) -> None:
    other = release_of("two")
    parts.releases.append(other)
    parts.before_writing.append(lambda: activate(store, other))
    first = Report.model_validate(post(client).json())
    second = Report.model_validate(post(client).json())
    assert first.provenance.release_id == release.release_id
    assert second.provenance.release_id == other.release_id
    assert [one.release_id for one in parts.requests] == [release.release_id, other.release_id]
    assert parts.written_for == [release.release_id, other.release_id]


def test_a_report_has_as_many_neighbours_as_its_release_was_calibrated_with(
    client: TestClient, parts: Any, store: ReleaseStore
) -> None:
    assert post(client).status_code == 200
    other = release_of("two", calibration=Calibration(top_k=3))
    parts.releases.append(other)
    activate(store, other)
    assert post(client).status_code == 200
    assert [one.top_k for one in parts.requests] == [IndexSettings().top_k, 3]


@pytest.mark.parametrize("failing", ["", "prepare", "encode", "search", "write"])
def test_a_requests_lease_ends_with_it_however_it_ends(
    client: TestClient, parts: Any, store: ReleaseStore, release: Any, failing: str
) -> None:
    seen: list[int] = []
    parts.before_writing.append(lambda: seen.append(store.in_flight(release.release_id)))
    if failing:
        parts.failing[failing] = UnavailableError("Away.", remedy="Wait.")
    answer = post(client)
    # Without its writer a report comes from the template: it has ended well.
    assert answer.status_code == (503 if failing not in ("", "write") else 200)
    if answer.status_code == 200:
        assert answer.json()["mode"] == ("template" if failing else "written")
    assert store.in_flight(release.release_id) == 0
    assert failing or seen == [1]


def test_a_lease_of_a_request_that_took_too_long_ends_too(
    make_client: Any, parts: Any, store: ReleaseStore, release: Any
) -> None:
    parts.pause_s = 5.0
    assert post(make_client(demo=True, request_timeout_s=0.2)).status_code == 503
    assert store.in_flight(release.release_id) == 0


def test_two_requests_of_one_request_id_do_not_meet(client: TestClient, parts: Any) -> None:
    headers = {"X-Request-Id": "same"}
    parts.before_writing.append(lambda: client.post("/v1/reports", files=FILES, headers=headers))
    assert client.post("/v1/reports", files=FILES, headers=headers).status_code == 200
    assert len(parts.studies) == 2


def test_what_a_report_cites_is_kept(client: TestClient, store: ReleaseStore, release: Any) -> None:
    post(client, study_id="study-7")
    (citation,) = store.citations("case-1")
    assert (citation.study_id, citation.release_id) == ("study-7", release.release_id)


def test_a_withdrawn_case_is_kept_out_by_the_policy(
    client: TestClient, parts: Any, store: ReleaseStore
) -> None:
    store.withdraw("case-1", reason="wrong patient", actor="test")
    response = post(client)
    assert response.status_code == 409
    assert response.json()["error"]["code"] == "no_neighbours"
    assert parts.requests[0].policy.withdrawn == {"case-1"}


def test_a_case_withdrawn_while_the_report_is_written_is_searched_around(
    client: TestClient, parts: Any, store: ReleaseStore
) -> None:
    second = parts.evidence[0].model_copy(update={"case_id": "case-2", "similarity": 0.8})
    parts.evidence.append(second)
    parts.before_writing.append(
        lambda: store.withdraw("case-1", reason="wrong patient", actor="test")
    )
    report = Report.model_validate(post(client, study_id="study-7").json())
    assert [case.case_id for case in report.evidence] == ["case-2"]
    assert len(parts.written_for) == 2
    assert store.citations("case-1") == ()
    assert [one.study_id for one in store.citations("case-2")] == ["study-7"]


def test_evidence_that_is_withdrawn_again_and_again_is_given_up(
    client: TestClient, parts: Any, store: ReleaseStore
) -> None:
    first = parts.evidence[0]
    parts.evidence[:] = [first.model_copy(update={"case_id": f"case-{at}"}) for at in range(9)]
    left = iter(range(9))
    parts.written_for = Withdrawing(store, left)
    response = post(client)
    assert response.status_code == 503
    assert response.headers["retry-after"]
    assert "withdrawn" in response.json()["error"]["message"]


class Withdrawing(list[str]):
    """Withdraws the next case each time that the writer begins."""

    def __init__(self, store: ReleaseStore, left: Any) -> None:
        super().__init__()
        self._store, self._left = store, left

    def append(self, release_id: str) -> None:
        self._store.withdraw(f"case-{next(self._left)}", reason="test", actor="test")
        super().append(release_id)


def test_without_an_active_release_reports_and_readiness_say_so(
    make_client: Any, tmp_path: Any, parts: Any, store: ReleaseStore
) -> None:
    (tmp_path / "empty").mkdir()
    empty = new_store(tmp_path / "empty")
    client = make_client(store_in_use=empty)
    for response in (post(client), client.get("/readyz"), client.get("/v1/release")):
        assert response.status_code == 503
        assert response.json()["error"]["code"] == "no_active_release"
        assert response.headers["retry-after"]
    assert client.get("/healthz").status_code == 200
    assert parts.studies == []
    empty.close()
