"""`pirta demo`: the whole path on one machine, from no data at all to a report over HTTP."""

from __future__ import annotations

import shlex
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from pirta_cli.options import WorkersOption


def demo(
    out: Annotated[Path, typer.Option(help="Folder for everything the demo makes.")] = Path(
        "demo-out"
    ),
    once: Annotated[
        bool, typer.Option("--once", help="End after the report instead of staying up.")
    ] = False,
    port: Annotated[int, typer.Option(help="Port of the gateway, on loopback.")] = 8000,
    num_workers: WorkersOption = 2,
) -> None:
    """Make a phantom cohort and a release of it, serve it, and report a held-out study.

    Everything runs here and is embedded: Milvus (lite) on loopback, Ray, vLLM on the CPU.
    A second run reuses what it finds in OUT: cohort, prepared volumes, embeddings, releases.
    """
    from rich.console import Console

    from pirta.pipelines.local_ray import ray_running
    from pirta_cli import demo_release as release_steps
    from pirta_cli import demo_steps as steps
    from pirta_cli.release_session import release_session
    from pirta_cli.serve_command import end_on_signals, wait_for_signal
    from serve_apps.run import check_port_is_free

    console = Console()
    end_on_signals()
    with ExitStack() as running:
        check_port_is_free(steps.LOOPBACK, port)
        settings = steps.write_settings(out, port=port)
        console.rule("1/6 Phantom cohort of two sites")
        table = steps.make_demo_cohort(out, num_workers=num_workers, console=console)
        console.rule("2/6 Preprocessing with Ray Data")
        # One Ray for all that follows: starting it takes seconds each time.
        running.enter_context(ray_running(steps.LOGICAL_CPUS))
        store = steps.preprocess(table, out, settings, num_workers=num_workers, console=console)
        running.enter_context(steps.milvus(out, settings))
        with release_session(settings, actor=steps.ACTOR) as here:
            console.rule("3/6 A release: embeddings, index in Milvus, gates")
            release_id = release_steps.build(store, here, console=console)
            release_steps.verify(release_id, store, here, console=console)
            console.rule("4/6 Serve graph: gateway, preprocessor, encoder, retriever, writer")
            service = steps.serve(settings, console=console)
            running.callback(service.stop)
            console.rule("5/6 Switch: every replica loads the release, then requests get it")
            release_steps.switch(release_id, here, console=console)
        console.rule("6/6 A held-out study")
        case, seconds = steps.report_held_out(table, store, out, service.url, console=console)
        if once:
            return
        console.rule("Up")
        command = shlex.join(steps.report_arguments(case, table, url=service.url))
        console.print(f"Gateway:  {service.url}  (docs at {service.url}/docs)", highlight=False)
        console.print(f"Milvus:   {settings.index.uri}", highlight=False)
        console.print(f"Again:    {command}", highlight=False, soft_wrap=True)
        curl = steps.curl_line(case, table, url=service.url)
        console.print(f"Or:       {curl}", highlight=False, soft_wrap=True)
        releases = f".venv/bin/pirta release list --settings {out / 'settings.toml'}"
        console.print(f"Releases: {releases}", highlight=False, soft_wrap=True)
        console.print(f"The report above took {seconds:.1f} s. Ctrl-C ends everything.")
        wait_for_signal()
        console.print("Shutting down.")
