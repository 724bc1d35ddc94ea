"""Reports while releases are switched: how much slower, how many lost or mixed, and the naive way.

Eight clients ask over HTTP without a break, on the graph of `bench.release_graph`: first without a
switch, then with ten activations and two rollbacks. Both phases ask equally often, in the same
minutes, and every answer is checked by the oracle. The naive way (`bench.naive_switch`) is measured
beside it for what it mixes.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np

from bench.naive_switch import run_naive
from bench.release_clients import Asked, asking, failed, mixed, wait_for
from bench.result import Ratio
from bench.running_graph import CALLER, SwitchedGraph, running_graph

NUM_CLIENTS = 8
NUM_REQUESTS = 3_000
NUM_ACTIVATIONS = 10
ROLLBACKS_AFTER = (4, 9)  # activations
NEAR_S = 1.0  # a request that was under way within this of a switch counts as of the switch
_WARM_UP_REQUESTS = 300
_PATIENCE_S = 900.0


def run() -> Iterator[Ratio]:
    """Measure p50 and p99 with switches against without, then the naive way's mixing."""

    def ask_on(
        graph: SwitchedGraph, ids: list[str], *, switch: bool, num_requests: int = NUM_REQUESTS
    ) -> tuple[list[Asked], list[float]]:
        switches: list[float] = []
        studies = graph.oracle.studies()
        with asking(graph.url, studies, num_clients=NUM_CLIENTS, headers=CALLER) as got:
            pause = NUM_REQUESTS // (NUM_ACTIVATIONS + len(ROLLBACKS_AFTER) + 1)
            for number in range(1, NUM_ACTIVATIONS + 1) if switch else ():
                _let_pass(got, pause)
                switches.append(time.monotonic())
                graph.activate(ids[number % len(ids)])
                if number in ROLLBACKS_AFTER:
                    _let_pass(got, pause)
                    switches.append(time.monotonic())
                    graph.operate("rollback", expected_version=None).raise_for_status()
            wait_for(lambda: len(got) >= num_requests, within_s=_PATIENCE_S, what="requests")
        return got, switches

    with running_graph() as graph:
        ids = [graph.new_release(11), graph.new_release(12), graph.new_release(13, base="base2")]
        for release_id in ids:
            graph.stage(release_id)
        graph.activate(ids[0])
        ask_on(graph, ids, switch=False, num_requests=_WARM_UP_REQUESTS)
        still, _ = ask_on(graph, ids, switch=False)
        switched, switches = ask_on(graph, ids, switch=True)
        near = [one for one in switched if _is_near(one, switches)]
        lost = f"{len(failed(switched))} failed, "
        lost += f"{len(mixed(switched, graph.oracle, graph.releases))} mixed of {len(switched)}"
        for share, name in ((50, "p50"), (99, "p99")):
            yield _ratio(name, share, switched, still, f"{len(switches)} switches; {lost}")
        yield _ratio("p99 within a second of a switch", 99, near, still, f"{len(near)} requests")
        naive = run_naive(
            [graph.releases[ids[0]], graph.releases[ids[1]]],
            graph.oracle,
            graph.settings.index,
            num_clients=NUM_CLIENTS,
            num_switches=len(switches),
            num_requests=NUM_REQUESTS,
        )
        mixed_naive = 100 * naive.num_mixed / naive.num_requests
        mixed_ours = 100 * len(mixed(switched, graph.oracle, graph.releases)) / len(switched)
        yield Ratio(
            "Answers mixed of two releases",
            "one release a request", mixed_ours,
            "user_config rolled at once", mixed_naive, "%",
            mixed_naive / max(mixed_ours, 100 / len(switched)),
            f"{naive.num_mixed} of {naive.num_requests} mixed in {len(switches)} naive switches",
        )  # fmt: skip


def _let_pass(got: list[Asked], num_requests: int) -> None:
    target = len(got) + num_requests
    wait_for(lambda: len(got) >= target, within_s=_PATIENCE_S, what="requests")


def _is_near(asked: Asked, switches: list[float]) -> bool:
    ended_s = asked.began_s + asked.duration_s
    return any(asked.began_s - NEAR_S < at < ended_s + NEAR_S for at in switches)


def _ratio(name: str, share: float, ours: list[Asked], baseline: list[Asked], note: str) -> Ratio:
    ours_ms, baseline_ms = (
        1000 * float(np.percentile([one.duration_s for one in answers], share))
        for answers in (ours, baseline)
    )
    return Ratio(
        f"One report over HTTP, {NUM_CLIENTS} clients, {name}",
        "with switches", ours_ms, "without", baseline_ms, "ms", baseline_ms / ours_ms, note,
    )  # fmt: skip
