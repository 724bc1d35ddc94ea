"""A running graph of `bench.release_graph`, and how tests and benchmarks operate and damage it."""

from __future__ import annotations

import os
import signal
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pydantic import SecretStr

from bench.release_graph import (
    PREPROCESSING,
    NumberedPreprocessor,
    Oracle,
    make_release,
    start_light_engine,
    verify,
)
from pirta.contracts.release import Release
from pirta.errors import ReplicasNotReadyError
from pirta.pipelines.staging import stage_release
from pirta.releases.store import ReleaseStore
from pirta.retrieval.lite_server import LiteServer, start_lite_server
from pirta.settings import (
    EncoderSettings,
    GatewaySettings,
    IndexSettings,
    ReleasesSettings,
    ReplicaSettings,
    ScalingSettings,
    Settings,
)
from serve_apps.retriever import open_index

TOKEN = "a-token-for-one-machine"
ADMIN_TOKEN = "an-operator-of-one-machine"
OPERATOR = {"Authorization": f"Bearer {ADMIN_TOKEN}"}
CALLER = {"Authorization": f"Bearer {TOKEN}"}
_PATIENCE_S = 60.0
_TWO = ReplicaSettings(min_replicas=2, max_replicas=2, max_ongoing_requests=32)


@dataclass
class SwitchedGraph:
    """The graph, its store, its Milvus, and what is right."""

    url: str
    settings: Settings
    store: ReleaseStore
    milvus: LiteServer
    milvus_folder: Path
    folder: Path
    oracle: Oracle
    releases: dict[str, Release] = field(default_factory=dict)

    def new_release(self, seed: int, *, base: str = "base1") -> str:
        """Make a release and put it into the store as verified."""
        release = make_release(
            self.folder, seed, index=open_index(self.settings.index), oracle=self.oracle, base=base
        )
        self.releases[release.release_id] = release
        return verify(self.store, release)

    def stage(self, release_id: str) -> None:
        """Stage it as the command line does."""
        stage_release(release_id, releases=self.store, settings=self.settings, actor="test")

    def operate(self, path: str, **body: Any) -> httpx.Response:
        """Take a step over the admin API."""
        return httpx.post(f"{self.url}/v1/admin/{path}", json=body, headers=OPERATOR, timeout=60)

    def activate(self, release_id: str) -> None:
        """Switch to a release over the admin API, from what is active now.

        A replica that was started meanwhile is waited for, as an operator would.
        """
        deadline_s = time.monotonic() + _PATIENCE_S
        while True:
            active = self.store.active()
            version = 0 if active is None else active.version
            answer = self.operate(f"releases/{release_id}/activate", expected_version=version)
            is_early = answer.status_code == httpx.codes.CONFLICT and (
                answer.json()["error"]["code"] == ReplicasNotReadyError.code
            )
            if not is_early or time.monotonic() > deadline_s:
                break
            time.sleep(0.2)
        assert answer.status_code == httpx.codes.OK, answer.text

    def restart_milvus(self) -> None:
        """Start Milvus again on its data and its port."""
        self.milvus.stop()
        port = int(self.settings.index.uri.rsplit(":", 1)[1])
        self.milvus = start_lite_server(self.milvus_folder, port)


def replica_pids(deployment: str) -> list[int]:
    """Return the process ids of a deployment's replicas on this machine."""
    title = f"ServeReplica:pirta:{deployment}"
    found = []
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and title in (entry / "cmdline").read_text("latin-1"):
                found.append(int(entry.name))
        except OSError:  # it ended meanwhile
            continue
    return found


def kill(pid: int) -> None:
    """End a process without a word."""
    os.kill(pid, signal.SIGKILL)


def free_port() -> int:
    """Return a port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def graph_settings(folder: Path) -> Settings:
    """Two replicas of encoder and retriever, a store and a Milvus of the folder's own."""
    return Settings(
        # As the oracle computes: in bfloat16 a batch differs from one volume by too much for it.
        encoder=EncoderSettings(precision="float32"),
        preprocessing=PREPROCESSING,
        index=IndexSettings(uri=f"http://127.0.0.1:{free_port()}", timeout_s=5.0),
        releases=ReleasesSettings(
            store_url=SecretStr(f"sqlite:///{folder / 'releases.db'}"),
            poll_s=0.5,
            stage_timeout_s=120,
        ),
        gateway=GatewaySettings(
            port=free_port(), tokens=(SecretStr(TOKEN),), admin_tokens=(SecretStr(ADMIN_TOKEN),)
        ),
        scaling=ScalingSettings(
            encoder=_TWO,
            retriever=_TWO,
            preprocessor=ReplicaSettings(max_ongoing_requests=16),
        ),
    )


@contextmanager
def running_graph() -> Iterator[SwitchedGraph]:
    """Start the graph without a release; everything ends with the block."""
    import ray

    from pirta.pipelines.local_ray import start_local_ray
    from serve_apps.app import GraphParts
    from serve_apps.run import start

    # Not pytest's own folder: its path can be longer than a Unix socket of Ray may be.
    with tempfile.TemporaryDirectory(prefix="pirta-switch-") as name:
        folder = Path(name)
        settings = graph_settings(folder)
        port = int(settings.index.uri.rsplit(":", 1)[1])
        start_local_ray(4)
        milvus = start_lite_server(folder / "milvus", port)
        store = ReleaseStore(settings.releases.store_url.get_secret_value())
        graph = SwitchedGraph("", settings, store, milvus, folder / "milvus", folder, Oracle())
        try:
            service = start(settings, parts=GraphParts(NumberedPreprocessor, start_light_engine))
            graph.url = service.url
            try:
                yield graph
            finally:
                service.stop()
        finally:
            store.close()
            graph.milvus.stop()
            ray.shutdown()
