"""Clients that ask a gateway for reports all the time, and a verdict on each answer.

A report is mixed where its parts are not all of the one release that its provenance names: another
encoder, another collection, or evidence that this release's encoder and collection do not give for
this study. The oracle decides that, not the service.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import httpx

from bench.release_graph import Oracle
from pirta.contracts.release import Release
from pirta.contracts.report import Report

_REQUEST_TIMEOUT_S = 60.0


@dataclass(frozen=True)
class Asked:
    """One request: when, which study, and what came back.

    Attributes:
        report: None where the answer was no report.
        error_code: of such an answer; "no answer" where there was none.
    """

    study: int
    began_s: float
    duration_s: float
    http_status: int
    report: Report | None
    error_code: str = ""
    retry_after: str = ""


@contextmanager
def asking(
    url: str, studies: list[int], *, num_clients: int, headers: Mapping[str, str]
) -> Iterator[list[Asked]]:
    """Let clients ask one request after the other until the block ends; yields what they got."""
    answers: list[Asked] = []
    ended = threading.Event()
    numbers = itertools.cycle(studies)
    turn = threading.Lock()

    def ask_on() -> None:
        with httpx.Client(timeout=_REQUEST_TIMEOUT_S, headers=dict(headers)) as client:
            while not ended.is_set():
                with turn:
                    study = next(numbers)
                answers.append(ask(client, url, study))

    with ThreadPoolExecutor(num_clients) as pool:
        running = [pool.submit(ask_on) for _ in range(num_clients)]
        try:
            yield answers
        finally:
            ended.set()
        for one in running:
            one.result()


def ask(client: httpx.Client, url: str, study: int, **data: str) -> Asked:
    """Ask for one report."""
    files = {"dwi": ("dwi", str(study).encode()), "adc": ("adc", b"-")}
    began_s = time.monotonic()
    try:
        response = client.post(f"{url}/v1/reports", files=files, data=data)
    except httpx.TransportError:
        return Asked(study, began_s, time.monotonic() - began_s, 0, None, "no answer")
    duration_s = time.monotonic() - began_s
    if response.status_code == httpx.codes.OK:
        report = Report.model_validate_json(response.content)
        return Asked(study, began_s, duration_s, response.status_code, report)
    try:
        code = str(response.json()["error"]["code"])
    except (ValueError, KeyError, TypeError):
        code = "in an unknown form"
    retry_after = response.headers.get("Retry-After", "")
    return Asked(study, began_s, duration_s, response.status_code, None, code, retry_after)


def failed(answers: list[Asked]) -> list[Asked]:
    """Return the requests that got no report."""
    return [one for one in answers if one.report is None]


def mixed(answers: list[Asked], oracle: Oracle, releases: Mapping[str, Release]) -> list[Asked]:
    """Return the requests whose reports are not of one release in all their parts."""
    return [one for one in answers if one.report and not _is_whole(one, oracle, releases)]


def _is_whole(asked: Asked, oracle: Oracle, releases: Mapping[str, Release]) -> bool:
    assert asked.report is not None
    made_with = asked.report.provenance
    release = releases[made_with.release_id]
    named = {
        "encoder_sha256": release.encoder_sha256,
        "index_collection": release.collection,
        "index_sha256": release.index_sha256,
        "writer_base_sha256": release.writer_base_sha256,
        "writer_adapter_sha256": release.writer_adapter_sha256,
    }
    says_so = all(getattr(made_with, name) == value for name, value in named.items())
    return says_so and oracle.answer(release.release_id, asked.study).agrees(asked.report)


def wait_for(condition: Callable[[], object], *, within_s: float, what: str) -> None:
    """Return when the condition holds; fail where it does not come about."""
    deadline_s = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline_s, f"{what}: not within {within_s:g} s"
        time.sleep(0.05)
