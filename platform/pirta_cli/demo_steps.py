"""The steps of `pirta demo`, each a function over what the step before left on disk.

The demo uses the same jobs and the same graph as a cluster does; only the settings differ, and
they lie in OUT/settings.toml for a look or for `pirta serve --settings OUT/settings.toml`.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from pirta.contracts.case import CaseRecord
from pirta.contracts.report import Report
from pirta.errors import ManifestError
from pirta.settings import Settings, load_settings
from pirta_cli.progress import job_progress

if TYPE_CHECKING:
    from pirta.retrieval.lite_server import LiteServer
    from serve_apps.run import RunningService

ACTOR = "demo"
QUERY_SPLIT = "query"
LOOPBACK = "127.0.0.1"
LOGICAL_CPUS = 8  # the graph and the jobs before it reserve little and share two cores


def write_settings(out: Path, *, port: int) -> Settings:
    """Write OUT/settings.toml for a demo on loopback, and return it as loaded."""
    out.mkdir(parents=True, exist_ok=True)
    releases = (out / "releases.db").resolve()
    path = out / "settings.toml"
    path.write_text(
        f'[releases]\nstore_url = "sqlite:///{releases.as_posix()}"\n\n'
        f'[gateway]\nhost = "{LOOPBACK}"\nport = {port}\ndemo = true\n\n'
        f'[index]\nuri = "http://{LOOPBACK}:{_free_port()}"\n',
        encoding="utf-8",
    )
    return load_settings(path)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def make_demo_cohort(out: Path, *, num_workers: int, console: Console) -> str:
    """Make (or find) the two-site phantom cohort and return its table's path."""
    from pirta.cohort.make import make_cohort
    from pirta.cohort.presets import demo

    with job_progress(console, "cohort") as update:
        return make_cohort(
            demo(),
            out / "cohort",
            num_workers=num_workers,
            on_progress=lambda done, total: update(done, total, ""),
        )


def preprocess(
    table: str, out: Path, settings: Settings, *, num_workers: int, console: Console
) -> str:
    """Preprocess the cohort with Ray Data and return the prepared store's path."""
    from pirta.pipelines.preprocess import preprocess_cohort

    store = str(out / "prepared")
    with job_progress(console, "preprocess") as update:
        preprocess_cohort(
            table,
            store,
            settings=settings,
            num_workers=num_workers,
            on_progress=lambda now: update(
                now.num_done + now.num_refused, now.num_total, f"{now.num_refused} refused"
            ),
        )
    return store


def milvus(out: Path, settings: Settings) -> AbstractContextManager[LiteServer]:
    """Start the embedded Milvus on loopback; it ends with the context."""
    from pirta.retrieval.lite_server import start_lite_server

    port = int(settings.index.uri.rsplit(":", 1)[1])
    return start_lite_server(out / "milvus", port)


def serve(settings: Settings, *, console: Console) -> RunningService:
    """Start the Serve graph and return it when it is ready."""
    from serve_apps.run import start

    return start(settings, on_stage=lambda text: console.print(text, highlight=False))


def report_held_out(
    table: str, store: str, out: Path, url: str, *, console: Console
) -> tuple[CaseRecord, float]:
    """Send the first held-out stroke over HTTP, print its report, and save the picture."""
    from pirta.cohort.table import read_cohort, resolve_uri
    from pirta.reporting.render import render_rich
    from pirta_cli.service_client import ServiceClient

    case = held_out_stroke(read_cohort(table), table)
    dwi, adc = (Path(resolve_uri(table, uri)) for uri in case.pair_uris)
    client = ServiceClient(url, token=None, timeout_s=180.0)
    started = time.monotonic()
    report = client.report(
        dwi=dwi.read_bytes(),
        adc=adc.read_bytes(),
        registry=case.registry,
        study_id=case.case_id,
        patient_id=case.patient_id,
    )
    seconds = time.monotonic() - started
    console.print(render_rich(report))
    console.print(f"Known answer of this phantom: {case.findings_text}", highlight=False)
    (out / "report.json").write_text(report.model_dump_json(indent=2), encoding="utf-8")
    picture = draw_report(report, store, out)
    console.print(
        f"Picture of the evidence: {picture} (and {picture.with_suffix('.pdf').name})",
        highlight=False,
        soft_wrap=True,
    )
    return case, seconds


def held_out_stroke(cases: list[CaseRecord], table: str) -> CaseRecord:
    """Return the first held-out stroke, a strong one where there is one: it shows best."""
    held_out = [case for case in cases if case.split == QUERY_SPLIT]
    strokes = [case for case in held_out if case.finding]
    if not strokes:
        raise ManifestError(
            f"The cohort {table} holds no stroke in the split '{QUERY_SPLIT}'.",
            remedy="Remove the demo's folder and run it again.",
        )
    strong = [case for case in strokes if case.finding and case.finding.lesion_class == "strong"]
    return (strong or strokes)[0]


def draw_report(report: Report, store: str, out: Path) -> Path:
    """Write the report as PDF, draw query and neighbours, and return the picture's path."""
    from pirta.reporting.evidence_picture import draw_evidence
    from pirta.reporting.report_pdf import render_pdf
    from pirta_cli.report_pictures import stored_panels

    query, neighbours = stored_panels(report, store, with_query=True)
    assert query is not None
    (out / "report.pdf").write_bytes(render_pdf(report, query=query, neighbours=neighbours))
    title = f"{report.findings} {report.impression}."
    return draw_evidence(query, neighbours, out / "report.png", title=title)


def report_arguments(case: CaseRecord, table: str, *, url: str) -> list[str]:
    """Return a `pirta report` command line for the case."""
    from pirta.cohort.table import resolve_uri

    dwi, adc = (_shown(resolve_uri(table, uri)) for uri in case.pair_uris)
    return [".venv/bin/pirta", "report", "--dwi", dwi, "--adc", adc, "--url", url]


def curl_line(case: CaseRecord, table: str, *, url: str) -> str:
    """Return the same request as a `curl` command."""
    from pirta.cohort.table import resolve_uri

    dwi, adc = (_shown(resolve_uri(table, uri)) for uri in case.pair_uris)
    return f"curl -F dwi=@{dwi} -F adc=@{adc} {url}/v1/reports"


def _shown(path: str) -> str:
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
