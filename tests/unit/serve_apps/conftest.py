"""Plain objects behind the gateway's ports, a real store, and a client of its HTTP application."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from starlette.testclient import TestClient

from pirta.contracts.encoding import EncodedStudy, SearchRequest
from pirta.contracts.finding import NORMAL_SENTENCE, Label
from pirta.contracts.release import Release
from pirta.contracts.report import RetrievedCase
from pirta.contracts.study import PreparedStudy, StudyFiles
from pirta.log import make_logger
from pirta.releases.store import ReleaseStore
from pirta.reporting.answer import answer_text
from pirta.reporting.prompt import Prompt
from pirta.retrieval.exact import ExactIndex
from pirta.settings import GatewaySettings, ScalingSettings, Settings, WriterSettings
from serve_apps.http_app import make_http_app
from serve_apps.operations import Operation, OperationRequest
from serve_apps.ports import Ports
from serve_apps.store_access import StoreAccess
from tests.unit.serve_apps.releases import activate, new_store, release_of

RELEASE = release_of()
NEIGHBOUR = RetrievedCase(
    case_id="case-1",
    site="a",
    similarity=0.9,
    label=Label.NORMAL,
    finding=None,
    findings_text=NORMAL_SENTENCE,
)


@dataclass
class PlainParts:
    """All ports at once; `failing` is raised by the port of that name.

    Attributes:
        before_writing: called once each while the writer works.
    """

    failing: dict[str, Exception] = field(default_factory=dict)
    studies: list[StudyFiles] = field(default_factory=list)
    requests: list[SearchRequest] = field(default_factory=list)
    pause_s: float = 0.0
    releases: list[Release] = field(default_factory=lambda: [RELEASE])
    evidence: list[RetrievedCase] = field(default_factory=lambda: [NEIGHBOUR])
    written_for: list[str] = field(default_factory=list)
    before_writing: list[Callable[[], object]] = field(default_factory=list)
    begun: list[OperationRequest] = field(default_factory=list)
    running: list[Operation] = field(default_factory=list)

    def _raise(self, port: str) -> None:
        if port in self.failing:
            raise self.failing[port]

    async def prepare(self, study: StudyFiles) -> PreparedStudy:
        self.studies.append(study)
        self._raise("prepare")
        await asyncio.sleep(self.pause_s)
        return PreparedStudy(np.zeros((2, 1, 1, 1), np.float32), "prep-1", {})

    async def encode(self, prepared: PreparedStudy, *, release_id: str) -> EncodedStudy:
        assert prepared.fingerprint == "prep-1"
        self._raise("encode")
        (known,) = [one for one in self.releases if one.release_id == release_id]
        return EncodedStudy(
            np.array([1, 0], np.float32),
            np.array([1, 0, 0, 0], np.float32),
            known.encoder_sha256,
            release_id,
        )

    async def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        self.requests.append(request)
        self._raise("search")
        return tuple(one for one in self.evidence if one.case_id not in request.policy.withdrawn)

    async def write(self, prompt: Prompt, *, answer_regex: str, release_id: str) -> str:
        assert prompt.user
        assert answer_regex
        self.written_for.append(release_id)
        self._raise("write")
        while self.before_writing:
            await asyncio.to_thread(self.before_writing.pop())
        return answer_text(None)

    async def ready(self, release_id: str) -> None:
        del release_id
        self._raise("ready")

    async def begin(self, request: OperationRequest) -> Operation:
        self.begun.append(request)
        operation = Operation(
            operation_id=f"op-{len(self.begun)}",
            kind=request.kind,
            actor=request.actor,
            release_id=request.release_id,
            state="running",
            began_at=datetime.now(UTC),
        )
        self.running.append(operation)
        return operation

    async def operations(self) -> tuple[Operation, ...]:
        return tuple(self.running)


@pytest.fixture
def release() -> Release:
    return RELEASE


@pytest.fixture
def parts() -> PlainParts:
    return PlainParts()


@pytest.fixture
def log_text() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ReleaseStore]:
    """A store in which `RELEASE` is active."""
    opened = new_store(tmp_path)
    activate(opened, RELEASE)
    yield opened
    opened.close()


MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client(parts: PlainParts, store: ReleaseStore, log_text: io.StringIO) -> MakeClient:
    def make(
        *,
        scaling: ScalingSettings | None = None,
        store_in_use: ReleaseStore = store,
        index: ExactIndex | None = None,
        **gateway: object,
    ) -> TestClient:
        values = gateway or {"demo": True}
        known = GatewaySettings.model_validate(values)
        settings = Settings(
            gateway=known,
            scaling=scaling or ScalingSettings(),
            writer=WriterSettings(timeout_s=known.request_timeout_s / 2),
        )
        ports = Ports(parts, parts, parts, parts, {"retriever": parts.ready})
        app = make_http_app(
            ports,
            releases=StoreAccess(store_in_use),
            control=parts,
            index=index or ExactIndex(),
            settings=settings,
            log=make_logger(log_text),
        )
        return TestClient(app)

    return make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


@pytest.fixture
def log_lines(log_text: io.StringIO) -> Callable[[], list[dict[str, object]]]:
    return lambda: [json.loads(line) for line in log_text.getvalue().splitlines()]
