"""A Milvus that hangs holds up no switch, and nothing that does not ask it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from pirta.pipelines.activation import ALIAS
from pirta.releases.store import ReleaseStore
from pirta.retrieval.exact import ExactIndex
from tests.unit.serve_apps.plain_replica import until
from tests.unit.serve_apps.releases import begin_staging, release_of

ADMIN = "an-operators-own-token"
BY_OPERATOR = {"Authorization": f"Bearer {ADMIN}"}
PATIENCE_S = 30.0


class HangingIndex(ExactIndex):
    """Answers nothing until `answers` is set, as a server behind a network that lost it."""

    def __init__(self) -> None:
        super().__init__()
        self.answers = threading.Event()
        self.num_waiting = 0

    def exists(self, collection: str) -> bool:
        self._hang()
        return super().exists(collection)

    def set_alias(self, alias: str, collection: str) -> None:
        self._hang()
        super().set_alias(alias, collection)

    def _hang(self) -> None:
        self.num_waiting += 1
        assert self.answers.wait(PATIENCE_S)


@pytest.fixture
def index() -> Iterator[HangingIndex]:
    made = HangingIndex()
    for name in ("one", "two", "three"):
        made.create(release_of(name).collection, 2)
    yield made
    made.answers.set()


@pytest.fixture
def operate(make_client: Any, index: HangingIndex) -> Callable[..., Any]:
    client = make_client(tokens=["t" * 20], admin_tokens=[ADMIN], index=index)

    def ask(method: str, path: str, body: Any = None) -> Any:
        return client.request(method, f"/v1/admin/{path}", json=body, headers=BY_OPERATOR)

    return ask


def test_a_switch_is_answered_before_the_alias_moves_and_the_last_one_has_it(
    operate: Callable[..., Any], index: HangingIndex, store: ReleaseStore
) -> None:
    for name in ("two", "three"):
        store.finish_staging(begin_staging(store, release_of(name)))
    for version, name in enumerate(("two", "three", "two"), start=1):
        release_id = release_of(name).release_id
        answer = operate("POST", f"releases/{release_id}/activate", {"expected_version": version})
        assert answer.status_code == 200
        assert answer.json()["activation"]["release_id"] == release_id
    assert operate("POST", "rollback", {"expected_version": 4}).status_code == 200
    assert not index.answers.is_set()
    index.answers.set()
    until(lambda: index.aliases(release_of("three").collection) == (ALIAS,))


def test_an_alias_that_cannot_follow_is_logged(
    make_client: Any, store: ReleaseStore, log_lines: Callable[[], list[dict[str, object]]]
) -> None:
    client = make_client(tokens=["t" * 20], admin_tokens=[ADMIN])  # the index holds no collection
    two = begin_staging(store, release_of("two"))
    store.finish_staging(two)
    path = f"/v1/admin/releases/{two}/activate"
    assert client.post(path, json={"expected_version": 1}, headers=BY_OPERATOR).status_code == 200
    until(lambda: any(line["event"] == "alias not moved" for line in log_lines()))


def test_questions_to_an_index_that_hangs_take_no_thread_from_others(
    operate: Callable[..., Any], index: HangingIndex
) -> None:
    with ThreadPoolExecutor(16) as operators:
        hanging = [
            operators.submit(operate, "POST", f"cases/case-{at}/withdraw", {"reason": "other"})
            for at in range(12)  # more than the store's own pool has threads
        ]
        until(lambda: index.num_waiting >= 2)
        other = operators.submit(operate, "GET", "releases")
        try:
            assert other.result(PATIENCE_S / 3).status_code == 200
            assert not any(one.done() for one in hanging)
        finally:
            index.answers.set()
        assert {one.result().status_code for one in hanging} == {404}
