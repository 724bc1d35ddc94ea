"""The parts that a gateway works with, whatever stands behind them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from pirta.reporting.ports import Encoder, Preparer, Retriever, Writer

ReadyCheck = Callable[[], Awaitable[object]]


@dataclass(frozen=True)
class Ports:
    """The four ports of a report, and a check for each part that says whether it can work."""

    preparer: Preparer
    encoder: Encoder
    retriever: Retriever
    writer: Writer
    ready_checks: Mapping[str, ReadyCheck]
