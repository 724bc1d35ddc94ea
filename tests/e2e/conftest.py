"""The whole graph, once a session: phantoms, Ray Data, Milvus, vLLM and Serve, all real."""

from __future__ import annotations

import gc
import socket
import tempfile
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr

from pirta.contracts.case import CaseRecord
from pirta.contracts.release import Release
from pirta.retrieval.lite_server import LiteServer, start_lite_server
from pirta.settings import GatewaySettings, IndexSettings, ReleasesSettings, Settings


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder; the engines' own warnings are not its matter."""
    folder = Path(__file__).parent
    for item in items:
        if folder in item.path.parents:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.filterwarnings("ignore"))


@dataclass
class Graph:
    """The running graph and what it was made from."""

    url: str
    settings: Settings
    release: Release
    table: str
    cases: list[CaseRecord]
    milvus: LiteServer

    def held_out(self) -> CaseRecord:
        """A stroke that is not in the index."""
        return next(one for one in self.cases if one.split != "index" and one.finding)

    def files_of(self, case: CaseRecord) -> dict[str, tuple[str, bytes]]:
        """The case's images as a form takes them."""
        from pirta.cohort.table import resolve_uri

        uris = {"dwi": case.dwi_uri, "adc": case.adc_uri}
        return {
            name: (f"{name}.nii.gz", Path(resolve_uri(self.table, uri)).read_bytes())
            for name, uri in uris.items()
        }

    def post(self, files: dict[str, Any], **data: str) -> httpx.Response:
        """Ask for a report."""
        return httpx.post(f"{self.url}/v1/reports", files=files, data=data, timeout=150)

    def switch_to(self, release: Release) -> None:
        """Put a release into the store as verified, stage it beside the active one, and switch."""
        from pirta.pipelines.staging import stage_release
        from pirta.releases.store import ReleaseStore

        store = ReleaseStore(self.settings.releases.store_url.get_secret_value())
        if all(one.release_id != release.release_id for one in store.list()):
            store.add(release, actor="test")
            gates = store.get(self.release.release_id).gates
            store.record_gates(release.release_id, gates, actor="test")
        stage_release(release.release_id, releases=store, settings=self.settings, actor="test")
        store.activate(release.release_id, expected_version=None, actor="test")
        store.close()

    @staticmethod
    def replica_pids(deployment: str, app: str = "pirta") -> list[int]:
        """Return the process ids of a deployment's replicas on this machine."""
        title = f"ServeReplica:{app}:{deployment}"
        found = []
        for entry in Path("/proc").iterdir():
            try:
                if entry.name.isdigit() and title in (entry / "cmdline").read_text("latin-1"):
                    found.append(int(entry.name))
            except OSError:  # it ended meanwhile
                continue
        return found


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _skip_without_weights(settings: Settings) -> None:
    writer = settings.writer
    folders = (settings.encoder.path, writer.base_path, writer.adapter_path)
    missing = [str(path) for path in folders if not (path / "manifest.json").is_file()]
    if missing:
        pytest.skip(f"no weights at {', '.join(missing)}")


def _release_of(store: str, settings: Settings) -> Release:
    """Build, verify, stage and activate a release, while the graph runs without one."""
    from pirta.contracts.abstention import AbstentionLimits
    from pirta.contracts.release import Calibration
    from pirta.pipelines.build_release import build_release
    from pirta.pipelines.release_gates import GateLimits
    from pirta.pipelines.staging import stage_release
    from pirta.pipelines.verify_release import verify_release
    from pirta.releases.store import ReleaseStore
    from serve_apps.retriever import open_index

    index = open_index(settings.index)
    releases = ReleaseStore(settings.releases.store_url.get_secret_value())
    release = build_release(
        store,
        settings=settings,
        index=index,
        releases=releases,
        # Two cases a label: five neighbours cannot agree, and every report is to be written.
        calibration=Calibration(abstention=AbstentionLimits(min_confidence=0)),
        actor="test",
    )
    gates = verify_release(
        release.release_id,
        settings=settings,
        index=index,
        releases=releases,
        golden_store=store,
        # The toy cohort holds one study to ask with: right or wrong says nothing.
        limits=GateLimits(golden_minimum=0.0),
        actor="test",
    )
    assert all(gate.passed for gate in gates), gates
    stage_release(release.release_id, releases=releases, settings=settings, actor="test")
    releases.activate(release.release_id, expected_version=0, actor="test")
    releases.close()
    return release


@pytest.fixture(scope="session")
def graph() -> Iterator[Graph]:
    import ray

    from pirta.cohort.make import make_cohort
    from pirta.cohort.presets import tiny
    from pirta.cohort.table import read_cohort
    from pirta.pipelines.local_ray import start_local_ray
    from pirta.pipelines.preprocess import preprocess_cohort
    from serve_apps.run import start

    # Not pytest's own folder: its path can be longer than a Unix socket of Ray may be.
    with tempfile.TemporaryDirectory(prefix="pirta-e2e-") as name:
        folder = Path(name)
        settings = Settings(
            index=IndexSettings(uri=f"http://127.0.0.1:{_free_port()}", timeout_s=5.0),
            gateway=GatewaySettings(demo=True, port=_free_port(), max_upload_mb=32),
            releases=ReleasesSettings(
                store_url=SecretStr(f"sqlite:///{folder / 'releases.db'}"), stage_timeout_s=400
            ),
        )
        _skip_without_weights(settings)
        table = make_cohort(tiny(), folder / "cohort", num_workers=2)
        port = int(settings.index.uri.rsplit(":", 1)[1])
        start_local_ray(8)
        try:
            with start_lite_server(folder / "milvus", port) as milvus:
                store = str(folder / "prepared")
                preprocess_cohort(
                    table,
                    store,
                    settings=settings.preprocessing,
                    num_workers=2,
                    on_progress=lambda _progress: None,
                )
                service = start(settings)
                try:
                    release = _release_of(store, settings)
                    cases = read_cohort(table)
                    yield Graph(service.url, settings, release, table, cases, milvus)
                finally:
                    service.stop()
        finally:
            ray.shutdown()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)
                gc.collect()
