"""Plain objects behind the gateway's ports, and a client of its HTTP application."""

from __future__ import annotations

import asyncio
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
from starlette.testclient import TestClient

from pirta.contracts.encoding import EncodedStudy, SearchRequest
from pirta.contracts.finding import NORMAL_SENTENCE, Label
from pirta.contracts.release import Release
from pirta.contracts.report import RetrievedCase
from pirta.contracts.study import PreparedStudy, StudyFiles
from pirta.log import make_logger
from pirta.reporting.answer import answer_text
from pirta.reporting.prompt import Prompt, prompt_sha256
from pirta.settings import GatewaySettings, Settings
from serve_apps.http_app import make_http_app
from serve_apps.ports import Ports

RELEASE = Release(
    encoder_path="encoder",
    encoder_sha256="e" * 64,
    preprocessing_fingerprint="prep-1",
    collection="cases_1",
    index_sha256="1" * 64,
    num_cases=1,
    dimensions=2,
    writer_base_path="base",
    writer_base_sha256="b" * 64,
    writer_adapter_path="adapter",
    writer_adapter_sha256="a" * 64,
    prompt_sha256=prompt_sha256(),
    commit="c",
)
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
    """All four ports at once; `failing` is raised by the port of that name."""

    failing: dict[str, Exception] = field(default_factory=dict)
    studies: list[StudyFiles] = field(default_factory=list)
    requests: list[SearchRequest] = field(default_factory=list)
    pause_s: float = 0.0

    def _raise(self, port: str) -> None:
        if port in self.failing:
            raise self.failing[port]

    async def prepare(self, study: StudyFiles) -> PreparedStudy:
        self.studies.append(study)
        self._raise("prepare")
        await asyncio.sleep(self.pause_s)
        return PreparedStudy(np.zeros((2, 1, 1, 1), np.float32), "prep-1", {})

    async def encode(self, prepared: PreparedStudy) -> EncodedStudy:
        assert prepared.fingerprint == "prep-1"
        self._raise("encode")
        return EncodedStudy(
            np.array([1, 0], np.float32), np.array([1, 0, 0, 0], np.float32), "e" * 64
        )

    async def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        self.requests.append(request)
        self._raise("search")
        return (NEIGHBOUR,)

    async def write(self, prompt: Prompt) -> str:
        assert prompt.user
        self._raise("write")
        return answer_text(None)

    async def ready(self) -> None:
        self._raise("ready")


@pytest.fixture
def release() -> Release:
    return RELEASE


@pytest.fixture
def parts() -> PlainParts:
    return PlainParts()


@pytest.fixture
def log_text() -> io.StringIO:
    return io.StringIO()


MakeClient = Callable[..., TestClient]


@pytest.fixture
def make_client(parts: PlainParts, log_text: io.StringIO) -> MakeClient:
    def make(**gateway: object) -> TestClient:
        values = gateway or {"demo": True}
        settings = Settings(gateway=GatewaySettings.model_validate(values))
        ports = Ports(parts, parts, parts, parts, {"retriever": parts.ready})
        app = make_http_app(ports, settings=settings, release=RELEASE, log=make_logger(log_text))
        return TestClient(app)

    return make


@pytest.fixture
def client(make_client: MakeClient) -> TestClient:
    return make_client()


@pytest.fixture
def log_lines(log_text: io.StringIO) -> Callable[[], list[dict[str, object]]]:
    return lambda: [json.loads(line) for line in log_text.getvalue().splitlines()]
