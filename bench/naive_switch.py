"""How not to switch: encoder and retriever told of a new release by `user_config`, both at once.

Each replica then has one current release and nobody says which a request is for. It is here, and
only in tests and benchmarks, to show that the check of `bench.release_clients` finds what it looks
for, and how often it would happen.

Axis suffixes: D embedding dimensions.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.release_graph import TOLERANCE, TOP_K, Oracle, volume_of
from pirta.contracts.encoding import SearchRequest
from pirta.contracts.release import Release
from pirta.contracts.report import RetrievedCase
from pirta.models.runtime import load_encoder
from pirta.settings import IndexSettings

APP_NAME = "naive"


class NaiveEncoder:
    """Embeds with whatever encoder it was told of last."""

    def reconfigure(self, config: Mapping[str, str]) -> None:
        """Take another encoder (the name is Serve's)."""
        self._encoder = load_encoder(Path(config["encoder_path"]), device="cpu", num_threads=1)

    def encode(self, study: int) -> NDArray[np.float32]:
        """Return the study's embedding."""
        embeddings_BD, _ = self._encoder.embed(volume_of(study)[np.newaxis])
        return embeddings_BD[0]


class NaiveRetriever:
    """Searches in whatever collection it was told of last."""

    def __init__(self, settings: IndexSettings) -> None:
        from serve_apps.retriever import open_index

        self._index = open_index(settings)

    def reconfigure(self, config: Mapping[str, str]) -> None:
        """Take another collection (the name is Serve's)."""
        self._collection = config["collection"]

    def search(self, embedding_D: NDArray[np.float32]) -> tuple[RetrievedCase, ...]:
        """Return the nearest cases."""
        return self._index.search(
            SearchRequest(
                release_id="",
                collection=self._collection,
                embedding_D=embedding_D,
                top_k=TOP_K,
            )
        )


class NaivePair:
    """Asks one after the other, as a gateway would."""

    def __init__(self, encoder: Any, retriever: Any) -> None:
        self._encoder, self._retriever = encoder, retriever

    async def find(self, study: int) -> tuple[RetrievedCase, ...]:
        """Return the study's nearest cases, of whatever release."""
        embedding_D = await self._encoder.encode.remote(study)
        found: tuple[RetrievedCase, ...] = await self._retriever.search.remote(embedding_D)
        return found


@dataclass(frozen=True)
class NaiveCounts:
    """What came of the naive way."""

    num_requests: int
    num_mixed: int


def run_naive(
    releases: list[Release],
    oracle: Oracle,
    index: IndexSettings,
    *,
    num_clients: int,
    num_switches: int,
    num_requests: int,
) -> NaiveCounts:
    """Switch under load by `user_config`, and count the answers that no release would give."""
    from ray import serve

    def deploy(release: Release) -> Any:
        config = {"encoder_path": release.encoder_path, "collection": release.collection}
        options: dict[str, Any] = {
            "num_replicas": 2,
            "user_config": config,
            "ray_actor_options": {"num_cpus": 0},
            "max_ongoing_requests": 32,
        }
        pair = _same_code(
            serve.deployment(NaivePair, ray_actor_options={"num_cpus": 0}, max_ongoing_requests=64)
        ).bind(
            _same_code(serve.deployment(NaiveEncoder, **options)).bind(),
            _same_code(serve.deployment(NaiveRetriever, **options)).bind(index),
        )
        return serve.run(pair, name=APP_NAME, route_prefix=None)

    handle = deploy(releases[0])
    try:
        answers = _asking(
            handle,
            oracle.studies(),
            num_clients=num_clients,
            while_it_runs=lambda passed: _switch(
                passed, deploy, releases, num_switches, num_requests
            ),
        )
    finally:
        serve.delete(APP_NAME)
    mixed = [one for one in answers if not _is_of_one(one, oracle, releases)]
    return NaiveCounts(len(answers), len(mixed))


def _same_code(deployment: Any) -> Any:
    """Return it marked as the code that runs: `user_config` then goes to replicas in place.

    A configuration file does so by itself; `serve.run` would start every replica anew.
    """
    deployment._version = "1"
    return deployment


def _switch(
    passed: Callable[[], int],
    deploy: Callable[[Release], Any],
    releases: list[Release],
    num_switches: int,
    num_requests: int,
) -> None:
    for number in range(1, num_switches + 1):
        while passed() < number * num_requests // (num_switches + 1):
            time.sleep(0.01)
        deploy(releases[number % len(releases)])
    while passed() < num_requests:
        time.sleep(0.01)


def _asking(
    handle: Any,
    studies: list[int],
    *,
    num_clients: int,
    while_it_runs: Callable[[Callable[[], int]], None],
) -> list[tuple[int, tuple[RetrievedCase, ...]]]:
    answers: list[tuple[int, tuple[RetrievedCase, ...]]] = []
    numbers, turn, ended = itertools.cycle(studies), threading.Lock(), threading.Event()

    def ask_on() -> None:
        while not ended.is_set():
            with turn:
                study = next(numbers)
            answers.append((study, handle.find.remote(study).result()))

    with ThreadPoolExecutor(num_clients) as pool:
        running = [pool.submit(ask_on) for _ in range(num_clients)]
        try:
            while_it_runs(lambda: len(answers))
        finally:
            ended.set()
        for one in running:
            one.result()
    return answers


def _is_of_one(
    answer: tuple[int, tuple[RetrievedCase, ...]], oracle: Oracle, releases: list[Release]
) -> bool:
    """Say whether the answer is what at least one release gives for the study."""
    study, cases = answer
    ids, similarities = [case.case_id for case in cases], [case.similarity for case in cases]
    return any(
        list(right.case_ids) == ids
        and np.allclose(right.similarities, similarities, atol=TOLERANCE, rtol=0)
        for right in (oracle.answer(one.release_id, study) for one in releases)
    )
