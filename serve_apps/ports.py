"""The parts that a gateway works with, whatever stands behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ray.serve.handle import DeploymentHandle

from pirta.reporting.ports import Encoder, Preparer, Retriever, Writer
from serve_apps.handles import (
    HandleEncoder,
    HandlePreparer,
    HandleRetriever,
    HandleWriter,
    call,
)

ReadyCheck = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Ports:
    """The four ports of a report, and a check for each part that says whether it can work."""

    preparer: Preparer
    encoder: Encoder
    retriever: Retriever
    writer: Writer
    ready_checks: Mapping[str, ReadyCheck]


def ports_on_handles(
    *,
    preprocessor: DeploymentHandle[Any],
    encoder: DeploymentHandle[Any],
    retriever: DeploymentHandle[Any],
    writer: DeploymentHandle[Any],
) -> Ports:
    """Return the ports over deployment handles."""
    # Not the preprocessor: it holds nothing that can fail, and a busy one is not an unready one.
    handles = {"encoder": encoder, "retriever": retriever, "writer": writer}
    return Ports(
        preparer=HandlePreparer(preprocessor),
        encoder=HandleEncoder(encoder),
        retriever=HandleRetriever(retriever),
        writer=HandleWriter(writer),
        ready_checks={name: _check(name, handle) for name, handle in handles.items()},
    )


def _check(name: str, handle: DeploymentHandle[Any]) -> ReadyCheck:
    return lambda: call(name, lambda: handle.ready.remote(), attempts=1)
