"""The parts that a gateway works with, whatever stands behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from pirta.reporting.ports import Encoder, Preparer, Retriever, Writer
from serve_apps.operations import Operation, OperationRequest

# Asked with the id of the active release.
ReadyCheck = Callable[[str], Awaitable[object]]


@dataclass(frozen=True)
class Ports:
    """The four ports of a report, and a check for each part that says whether it can work."""

    preparer: Preparer
    encoder: Encoder
    retriever: Retriever
    writer: Writer
    ready_checks: Mapping[str, ReadyCheck]


class Control(Protocol):
    """Takes the long steps of a release's life."""

    async def begin(self, request: OperationRequest) -> Operation:
        """Begin a step and return at once."""
        ...

    async def operations(self) -> tuple[Operation, ...]:
        """Return the last steps, the latest last."""
        ...
