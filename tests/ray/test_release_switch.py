"""Releases switched under load on a real graph: nothing lost, nothing mixed; and what is killed.

Two replicas each of encoder and retriever, the HTTP proxy, a Milvus server, a store. What stands in
for the preprocessor and the language model, and why: see `bench.release_graph`. The tests run in
this order and each leaves the graph whole.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from bench.naive_switch import run_naive
from bench.release_clients import Asked, ask, asking, failed, mixed, wait_for
from bench.release_graph import volume_of
from bench.running_graph import (
    CALLER,
    OPERATOR,
    SwitchedGraph,
    kill,
    replica_pids,
    running_graph,
)
from pirta.contracts.study import PreparedStudy
from pirta.errors import PirtaError, UnknownReleaseError
from serve_apps.handles import call

# Three thousand requests take one minute on an idle machine of two cores, and ten on a busy one.
pytestmark = [
    pytest.mark.ray,
    pytest.mark.timeout(1200),
    pytest.mark.filterwarnings("ignore"),
]

NUM_CLIENTS = 8
NUM_REQUESTS = 3000
NUM_ACTIVATIONS = 10
ROLLBACKS_AFTER = (4, 9)  # activations
PATIENCE_S = 60.0


@pytest.fixture(scope="module")
def graph() -> Iterator[SwitchedGraph]:
    with running_graph() as started:
        yield started


@pytest.fixture(scope="module")
def staged(graph: SwitchedGraph) -> list[str]:
    """Three releases of an encoder and a collection each, the last with a base of its own."""
    ids = [
        graph.new_release(11),
        graph.new_release(12),
        graph.new_release(13, base="base2"),
    ]
    for release_id in ids:
        graph.stage(release_id)
    graph.activate(ids[0])
    return ids


def test_the_graph_starts_without_a_release_and_says_so(graph: SwitchedGraph) -> None:
    with httpx.Client(headers=CALLER, timeout=PATIENCE_S) as client:
        asked = ask(client, graph.url, 0)
    assert (asked.http_status, asked.error_code) == (503, "no_active_release")
    assert asked.retry_after


def test_switches_under_load_lose_no_request_and_mix_none(
    graph: SwitchedGraph, staged: list[str]
) -> None:
    with asking(graph.url, graph.oracle.studies(), num_clients=NUM_CLIENTS, headers=CALLER) as got:
        num_rollbacks = 0
        for number in range(1, NUM_ACTIVATIONS + 1):
            _let_pass(got, NUM_REQUESTS // (NUM_ACTIVATIONS + len(ROLLBACKS_AFTER) + 1))
            graph.activate(staged[number % len(staged)])
            if number in ROLLBACKS_AFTER:
                _let_pass(got, NUM_REQUESTS // (NUM_ACTIVATIONS + len(ROLLBACKS_AFTER) + 1))
                assert graph.operate("rollback", expected_version=None).status_code == 200
                num_rollbacks += 1
        wait_for(lambda: len(got) >= NUM_REQUESTS, within_s=600, what="the last requests")
    assert len(got) >= NUM_REQUESTS
    assert num_rollbacks == len(ROLLBACKS_AFTER)
    assert [one.error_code for one in failed(got)] == []
    assert mixed(got, graph.oracle, graph.releases) == []
    # Nor did any report do without the writer.
    assert {one.report.mode for one in got if one.report} == {"written"}
    used = {one.report.provenance.release_id for one in got if one.report}
    assert used == set(staged)
    assert all(graph.store.in_flight(one) == 0 for one in staged)


def _let_pass(got: list[Asked], num_requests: int) -> None:
    target = len(got) + num_requests
    wait_for(lambda: len(got) >= target, within_s=120, what=f"{num_requests} requests")


def test_a_case_withdrawn_under_load_is_in_no_answer_to_a_later_request(
    graph: SwitchedGraph, staged: list[str]
) -> None:
    del staged
    with asking(graph.url, graph.oracle.studies(), num_clients=NUM_CLIENTS, headers=CALLER) as got:
        _let_pass(got, 100)
        cited = [case.case_id for one in got if one.report for case in one.report.evidence]
        often = max(set(cited), key=cited.count)
        answer = graph.operate(f"cases/{often}/withdraw", reason="consent withdrawn")
        withdrawn_s = time.monotonic()
        assert answer.status_code == 200
        _let_pass(got, 300)
    assert failed(got) == []
    later = [one for one in got if one.began_s > withdrawn_s]
    assert later
    assert not [one for one in later if one.report and often in _evidence(one)]
    # Those that left before are all on the list that the operator got, or were stopped.
    told = {citation["study_id"] for citation in answer.json()}
    assert {one.report.study_id for one in got if one.report and often in _evidence(one)} <= told


def _evidence(asked: Asked) -> set[str]:
    assert asked.report is not None
    return {case.case_id for case in asked.report.evidence}


STAGE = """
import sys
from pirta.pipelines.staging import stage_release
from pirta.releases.store import ReleaseStore
from pirta.settings import ReleasesSettings, Settings
stage_release(sys.argv[2], releases=ReleaseStore(sys.argv[1]), settings=Settings(), actor="driver")
"""


def test_a_driver_killed_while_it_stages_harms_nothing_and_staging_goes_on(
    graph: SwitchedGraph, staged: list[str]
) -> None:
    release_id = graph.new_release(14)
    url = graph.settings.releases.store_url.get_secret_value()
    with asking(graph.url, graph.oracle.studies(), num_clients=2, headers=CALLER) as got:
        driver = subprocess.Popen([sys.executable, "-c", STAGE, url, release_id])
        wait_for(
            lambda: graph.store.get(release_id).state != "verified",
            within_s=PATIENCE_S,
            what="the driver begins",
        )
        kill(driver.pid)
        driver.wait()
        assert graph.store.get(release_id).state in ("staging", "staged")
        graph.stage(release_id)
        graph.activate(release_id)
        _let_pass(got, 20)
        graph.activate(staged[0])
    assert failed(got) == []
    # What the withdrawn case of the test before leaves out, the oracle does not know.
    assert {one.report.provenance.release_id for one in got if one.report} >= {release_id}


def test_a_replica_killed_while_a_release_is_staged_is_made_up_for(
    graph: SwitchedGraph, staged: list[str]
) -> None:
    release_id = graph.new_release(15)
    before = set(replica_pids("Encoder"))
    with (
        asking(graph.url, graph.oracle.studies(), num_clients=2, headers=CALLER) as got,
        ThreadPoolExecutor(1) as pool,
    ):
        staging = pool.submit(graph.stage, release_id)
        wait_for(
            lambda: graph.store.get(release_id).state != "verified",
            within_s=PATIENCE_S,
            what="staging begins",
        )
        kill(min(before))
        staging.result()
        graph.activate(release_id)
        _let_pass(got, 20)
        wait_for(
            lambda: len(replica_pids("Encoder")) == len(before), within_s=PATIENCE_S, what="two"
        )
        _let_pass(got, 20)
        graph.activate(staged[0])
    # A request on its way in the killed replica is sent again, or refused in form.
    assert {one.error_code for one in failed(got)} <= {"unavailable"}
    assert got[-1].report
    assert set(replica_pids("Encoder")) != before


def test_without_milvus_requests_are_refused_in_form_and_come_back_by_themselves(
    graph: SwitchedGraph, staged: list[str]
) -> None:
    del staged
    with httpx.Client(headers=CALLER, timeout=PATIENCE_S) as client:
        assert ask(client, graph.url, 0).http_status == 200
        kill(graph.milvus.pid)
        down = ask(client, graph.url, 0)
        assert (down.http_status, down.error_code) == (503, "unavailable")
        assert int(down.retry_after) > 0
        answer = httpx.get(f"{graph.url}/readyz", timeout=PATIENCE_S)
        assert "retriever" in answer.json()["error"]["message"]
        graph.restart_milvus()
        wait_for(
            lambda: ask(client, graph.url, 0).http_status == 200,
            within_s=PATIENCE_S,
            what="reports come back",
        )


def test_a_retired_release_is_let_go_of_by_every_replica(
    graph: SwitchedGraph, staged: list[str]
) -> None:
    answer = graph.operate(f"releases/{staged[1]}/retire")
    assert answer.status_code == 202
    wait_for(
        lambda: graph.store.get(staged[1]).state == "retired", within_s=PATIENCE_S, what="retired"
    )
    wait_for(
        lambda: not any(staged[1] in one.loads for one in graph.store.live_replicas()),
        within_s=PATIENCE_S,
        what="every replica lets go",
    )
    refused = graph.operate(f"releases/{staged[1]}/activate", expected_version=None)
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "release_state")
    operation = _ended(graph, answer.json()["operation_id"])
    assert (operation["kind"], operation["state"]) == ("retire", "succeeded")


def test_a_step_that_fails_says_why(graph: SwitchedGraph, staged: list[str]) -> None:
    begun = graph.operate(f"releases/{staged[0]}/retire")  # the active one
    assert begun.status_code == 202
    operation = _ended(graph, begun.json()["operation_id"])
    assert operation["state"] == "failed"
    assert operation["error"]["code"] == "release_state"
    assert graph.store.get(staged[0]).state == "active"


def _ended(graph: SwitchedGraph, operation_id: str) -> dict[str, Any]:
    def ask_for_it() -> dict[str, Any]:
        path = f"{graph.url}/v1/admin/operations/{operation_id}"
        found: dict[str, Any] = httpx.get(path, headers=OPERATOR, timeout=PATIENCE_S).json()
        return found

    wait_for(lambda: ask_for_it()["state"] != "running", within_s=PATIENCE_S, what="its end")
    return ask_for_it()


async def test_a_hop_that_does_not_hold_the_release_refuses_and_never_falls_back(
    graph: SwitchedGraph, staged: list[str]
) -> None:
    from ray import serve
    from ray.exceptions import RayTaskError

    fingerprint = graph.releases[staged[0]].preprocessing_fingerprint
    handle = serve.get_deployment_handle("Encoder", app_name="pirta")
    prepared = PreparedStudy(volume_of(0), fingerprint, {})
    with pytest.raises(RayTaskError) as caught:
        await handle.encode.remote(prepared, release_id="rel-nothing")
    assert isinstance(caught.value.cause, UnknownReleaseError)
    with pytest.raises(PirtaError, match="does not hold the release rel-nothing"):
        await call("encoder", lambda: handle.encode.remote(prepared, release_id="rel-nothing"))


def test_the_check_finds_the_mixing_of_a_naive_switch(
    graph: SwitchedGraph, staged: list[str]
) -> None:
    """Last, since it is not the product: both deployments told at once by `user_config`."""
    releases = [graph.releases[staged[0]], graph.releases[staged[2]]]
    found = run_naive(
        releases,
        graph.oracle,
        graph.settings.index,
        num_clients=NUM_CLIENTS,
        num_switches=6,
        num_requests=600,
    )
    assert found.num_requests >= 600
    assert found.num_mixed > 0
