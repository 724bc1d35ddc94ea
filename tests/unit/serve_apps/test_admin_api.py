"""The admin API over a real store: who may, what it answers, and what it hands on."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

from pirta.contracts.finding import NORMAL_SENTENCE, Label
from pirta.releases.store import ReleaseStore
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import IndexRow, patient_key
from tests.unit.serve_apps.releases import PASSED, begin_staging, release_of

TOKEN = "a-token-nobody-guesses"
ADMIN = "an-operators-own-token"
BY_OPERATOR = {"Authorization": f"Bearer {ADMIN}"}
BUILD = {
    "store": "s3://store",
    "split": "all",
    "min_similarity": 0.2,
    "min_patients": 3,
    "abstention": "/limits.json",
}
VERIFY = {"golden_store": "s3://golden", "golden_margin": 0.02, "golden_minimum": 0.7}
ROUTES = [
    ("GET", "releases", None),
    ("GET", "releases/ID", None),
    ("POST", "releases/build", {"store": "s3://store"}),
    ("POST", "releases/ID/verify", {"golden_store": "s3://store"}),
    ("POST", "releases/ID/stage", None),
    ("POST", "releases/ID/retire", None),
    ("POST", "releases/ID/drop", None),
    ("POST", "releases/ID/activate", {"expected_version": None}),
    ("POST", "rollback", {"expected_version": None}),
    ("POST", "releases/ID/pin", None),
    ("POST", "releases/ID/unpin", None),
    ("GET", "operations", None),
    ("GET", "operations/op-1", None),
    ("POST", "cases/case-1/withdraw", {"reason": "other"}),
    ("GET", "cases/case-1/citations", None),
]


@pytest.fixture
def index() -> ExactIndex:
    return ExactIndex()


@pytest.fixture
def admin(make_client: Any, index: ExactIndex) -> TestClient:
    client: TestClient = make_client(tokens=[TOKEN], admin_tokens=[ADMIN], index=index)
    return client


def ask(client: TestClient, method: str, path: str, body: Any = None, **headers: str) -> Any:
    return client.request(
        method, f"/v1/admin/{path}", json=body, headers={**BY_OPERATOR, **headers}
    )


@pytest.mark.parametrize(("method", "path", "body"), ROUTES)
def test_every_route_is_shut_but_for_operators(
    admin: TestClient, store: ReleaseStore, parts: Any, method: str, path: str, body: Any
) -> None:
    before = store.events()
    for authorization, status in (("", 401), (f"Bearer {TOKEN}x", 401), (f"Bearer {TOKEN}", 403)):
        response = ask(admin, method, path, body, Authorization=authorization)
        assert response.status_code == status
        assert set(response.json()) == {"error", "request_id"}
    assert store.events() == before
    assert parts.begun == []


@pytest.mark.parametrize(
    ("authorization", "status", "most_read"),
    [("", 401, 0), (f"Bearer {TOKEN}", 403, 0), (f"Bearer {ADMIN}", 413, 2)],
)
def test_a_body_is_read_for_operators_alone_and_no_further_than_it_may_be_long(
    admin: TestClient, authorization: str, status: int, most_read: int
) -> None:
    for method, path, _ in ROUTES:
        sent, pieces = asyncio.run(send_pieces(admin.app, method, path, authorization))
        assert sent == status, path
        assert pieces <= most_read, path


async def send_pieces(app: Any, method: str, path: str, authorization: str) -> tuple[int, int]:
    """Send 16 pieces of 64 KiB; return the answer's status and how many of them were read."""
    num_read = 0
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        nonlocal num_read
        num_read += 1
        return {"type": "http.request", "body": b"x" * 65_536, "more_body": num_read < 16}

    async def send(message: dict[str, Any]) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {
        "type": "http", "method": method, "path": f"/v1/admin/{path}", "query_string": b"",
        "headers": [(b"authorization", authorization.encode()), (b"content-type", b"text/json")],
    }  # fmt: skip
    await app(scope, receive, send)
    return statuses[0], num_read


def test_every_route_of_the_api_is_in_the_list_above(admin: TestClient) -> None:
    listed = {(method, path.replace("ID", "X").replace("case-1", "X").replace("op-1", "X"))
              for method, path, _ in ROUTES}  # fmt: skip
    there = {
        (method, path.removeprefix("/v1/admin/"))
        for path, method in admin_paths(admin)
        if path.startswith("/v1/admin/")
    }
    assert there == listed


def admin_paths(client: TestClient) -> list[tuple[str, str]]:
    found = []
    for path, methods in client.app.openapi()["paths"].items():  # type: ignore[attr-defined]
        plain = "/".join("X" if part.startswith("{") else part for part in path.split("/"))
        found += [(plain, method.upper()) for method in methods]
    return found


def test_releases_are_listed_with_their_states_and_the_active_one(
    admin: TestClient, store: ReleaseStore, release: Any
) -> None:
    two = begin_staging(store, release_of("two"))
    told = ask(admin, "GET", "releases").json()
    assert told["active"]["release_id"] == release.release_id
    states = {one["release_id"]: one["state"] for one in told["releases"]}
    assert states == {release.release_id: "active", two: "staging"}
    one = ask(admin, "GET", f"releases/{release.release_id}").json()
    assert (one["in_flight"], one["gates"][0]["name"]) == (0, PASSED[0].name)
    assert ask(admin, "GET", "releases/rel-nothing").status_code == 404


def test_a_switch_and_its_way_back_take_effect_at_once(
    admin: TestClient, store: ReleaseStore, release: Any
) -> None:
    two = begin_staging(store, release_of("two"))
    store.finish_staging(two)
    response = ask(admin, "POST", f"releases/{two}/activate", {"expected_version": 1})
    assert response.status_code == 200
    assert response.json()["activation"]["version"] == 2
    (active,) = [one for one in store.list() if one.state == "active"]
    assert active.release_id == two
    assert ask(admin, "POST", "rollback", {"expected_version": 2}).status_code == 200
    back = store.active()
    assert back is not None
    assert back.release_id == release.release_id
    assert back.actor.startswith("admin-")


def test_of_two_operators_who_switch_at_once_the_second_is_told(
    admin: TestClient, store: ReleaseStore
) -> None:
    for name in ("two", "three"):
        store.finish_staging(begin_staging(store, release_of(name)))
    two, three = (release_of(name).release_id for name in ("two", "three"))
    first = ask(admin, "POST", f"releases/{two}/activate", {"expected_version": 1})
    second = ask(admin, "POST", f"releases/{three}/activate", {"expected_version": 1})
    assert (first.status_code, second.status_code) == (200, 409)
    assert second.json()["error"]["code"] == "activation_conflict"
    assert two in second.json()["error"]["message"]


def test_what_takes_long_is_begun_and_answered_with_its_operation(
    admin: TestClient, parts: Any, release: Any
) -> None:
    release_id = release.release_id
    for path, body in (
        ("releases/build", BUILD),
        (f"releases/{release_id}/verify", VERIFY),
        (f"releases/{release_id}/stage", None),
        (f"releases/{release_id}/retire", None),
        (f"releases/{release_id}/drop", None),
    ):
        response = ask(admin, "POST", path, body)
        assert response.status_code == 202, response.text
        assert response.json()["state"] == "running"
    build, verify, *steps = parts.begun
    assert (build.kind, verify.kind, verify.release_id) == ("build", "verify", release_id)
    assert build.model_dump().items() >= BUILD.items()
    assert verify.model_dump().items() >= VERIFY.items()
    assert [one.kind for one in steps] == ["stage", "retire", "drop"]
    assert all(one.actor.startswith("admin-") for one in parts.begun)
    assert ask(admin, "POST", "releases/rel-nothing/stage").status_code == 404
    assert len(parts.begun) == 5


def test_an_operation_is_found_by_its_id(admin: TestClient, release: Any) -> None:
    ask(admin, "POST", f"releases/{release.release_id}/stage")
    (operation,) = ask(admin, "GET", "operations").json()
    found = ask(admin, "GET", f"operations/{operation['operation_id']}").json()
    assert found["kind"] == "stage"
    assert ask(admin, "GET", "operations/op-none").status_code == 404


def test_a_case_is_withdrawn_and_the_reports_that_cited_it_are_told(
    admin: TestClient, store: ReleaseStore, index: ExactIndex, release: Any
) -> None:
    row = IndexRow(
        case_id="case-1", patient_key=patient_key("p"), site="a", scanner="s", label=Label.NORMAL,
        finding=None, findings_text=NORMAL_SENTENCE, report_text="", origin="build",
        release_id="", added_on="2026-01-01", embedding_D=np.array([1, 0], np.float32),
    )  # fmt: skip
    index.create(release.collection, 2)
    index.upsert(release.collection, [row])
    files = {"dwi": ("d", b"x"), "adc": ("a", b"y")}
    by_caller = {"Authorization": f"Bearer {TOKEN}"}
    asked = admin.post("/v1/reports", files=files, data={"study_id": "study-7"}, headers=by_caller)
    assert asked.status_code == 200
    told = ask(admin, "POST", "cases/case-1/withdraw", {"reason": "consent withdrawn"})
    assert [one["study_id"] for one in told.json()] == ["study-7"]
    assert ask(admin, "GET", "cases/case-1/citations").json() == told.json()
    assert admin.post("/v1/reports", files=files, headers=by_caller).status_code == 409
    unknown = ask(admin, "POST", "cases/case-9/withdraw", {"reason": "consent withdrawn"})
    assert unknown.status_code == 404
    anyway = {"reason": "consent withdrawn", "anyway": True}
    assert ask(admin, "POST", "cases/case-9/withdraw", anyway).status_code == 200
    assert store.withdrawn() == {"case-1", "case-9"}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("releases/build", {}),
        ("releases/build", {"store": "s", "stor": "s"}),
        ("releases/ID/activate", {}),
        ("releases/ID/activate", {"expected_version": -1}),
        ("cases/case-1/withdraw", {"reason": ""}),
    ],
)
def test_a_body_that_cannot_be_used_is_refused_in_form_and_not_repeated(
    admin: TestClient, path: str, body: Any
) -> None:
    response = ask(admin, "POST", path, {**body, "odd": "Mrs Secret"})
    assert response.status_code == 422
    assert response.json()["error"]["code"] == "input_invalid"
    assert "Secret" not in response.text
