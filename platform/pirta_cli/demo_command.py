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
    """Make a phantom cohort, index it, start the service, and write a held-out study's report.

    Everything runs here and is embedded: Milvus (lite) on loopback, Ray, vLLM on the CPU.
    A second run reuses the cohort and the prepared volumes it finds in OUT.
    """
    from rich.console import Console

    from pirta.pipelines.local_ray import ray_running
    from pirta_cli import demo_steps as steps
    from pirta_cli.serve_command import end_on_signals, wait_for_signal
    from serve_apps.run import check_port_is_free

    console = Console()
    end_on_signals()
    with ExitStack() as running:
        check_port_is_free(steps.LOOPBACK, port)
        settings = steps.write_settings(out, port=port)
        console.rule("1/5 Phantom cohort of two sites")
        table = steps.make_demo_cohort(out, num_workers=num_workers, console=console)
        console.rule("2/5 Preprocessing with Ray Data")
        # One Ray for all that follows: starting it takes seconds each time.
        running.enter_context(ray_running(steps.LOGICAL_CPUS))
        store = steps.preprocess(table, out, settings, num_workers=num_workers, console=console)
        console.rule("3/5 Embedding and index in Milvus")
        running.enter_context(steps.milvus(out, settings))
        steps.index(store, settings, console=console)
        console.rule("4/5 Serve graph: gateway, preprocessor, encoder, retriever, writer")
        service = steps.serve(settings, console=console)
        running.callback(service.stop)
        console.rule("5/5 A held-out study")
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
        console.print(f"The report above took {seconds:.1f} s. Ctrl-C ends everything.")
        wait_for_signal()
        console.print("Shutting down.")
