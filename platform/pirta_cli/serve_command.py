"""`pirta serve`: the report graph on this machine or on the Ray cluster it is told of."""

from __future__ import annotations

import signal
import threading

import typer

from pirta_cli.options import SettingsOption


def serve(settings: SettingsOption = None) -> None:
    """Start gateway, preprocessor, encoder, retriever and writer, and stay up until Ctrl-C.

    Reports are written with the release that is active, from its activation on.
    Without one the service starts all the same and answers `no_active_release`:
    build, verify, stage and activate one (`pirta release --help`) while it runs.
    """
    from pirta.settings import load_settings
    from serve_apps.run import start

    values = load_settings(settings)
    end_on_signals()
    service = start(values, on_stage=lambda text: typer.echo(text, err=True))
    typer.echo(f"PIRTA answers at {service.url}", err=True)
    try:
        wait_for_signal()
    finally:
        typer.echo("Shutting down.", err=True)
        service.stop()


def end_on_signals() -> None:
    """Let SIGTERM and a closed terminal end a command as Ctrl-C does: with everything it began."""

    def end(number: int, _frame: object) -> None:
        raise SystemExit(128 + number)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)


def wait_for_signal() -> None:
    """Return at Ctrl-C or SIGTERM."""
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: stopped.set())
    stopped.wait()
