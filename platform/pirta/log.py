"""Structured logs, one JSON object a line, with an allow-list of fields.

A field that is not on the list is dropped and counted, so that patient data cannot slip into
a log by a careless keyword. Events are fixed phrases; values are pseudonymous ids, codes,
counts, shapes and times.
"""

from __future__ import annotations

import sys
from collections.abc import MutableMapping
from typing import TextIO

import structlog

ALLOWED_FIELDS = frozenset(
    {
        "event", "level", "timestamp", "request_id", "study_id", "case_id", "site", "code",
        "http_status", "stage", "duration_s", "count", "num_cases", "num_refused", "shape",
        "release_id", "collection", "replica", "attempt", "label", "similarity", "warning",
        "port", "path_kind", "mode", "step", "epoch", "loss", "run", "error_type", "dropped_fields",
    }
)  # fmt: skip


def keep_allowed_fields(
    _logger: object, _method: str, entry: MutableMapping[str, object]
) -> MutableMapping[str, object]:
    """Drop every field that is not on the list, and say how many were dropped."""
    dropped = [name for name in entry if name not in ALLOWED_FIELDS]
    for name in dropped:
        del entry[name]
    if dropped:
        entry["dropped_fields"] = len(dropped)
    return entry


def make_logger(stream: TextIO | None = None) -> structlog.stdlib.BoundLogger:
    """Return a logger that writes to `stream` (standard error where None)."""
    logger: structlog.stdlib.BoundLogger = structlog.wrap_logger(
        structlog.PrintLogger(stream or sys.stderr),
        wrapper_class=structlog.make_filtering_bound_logger(20),
        processors=[
            keep_allowed_fields,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.JSONRenderer(),
        ],
    )
    return logger
