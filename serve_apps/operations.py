"""The long steps of a release's life as Ray tasks: build, verify, stage, retire, drop.

The gateway begins one and answers at once with its id; what became of it is asked for later. The
list lies in memory and is lost with its process, which harms nothing: the store knows every
release's state, each step can be begun again, and goes on where it was.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from pirta.errors import PirtaError, ReleaseStateError
from pirta.settings import Settings

_KEPT = 200

OperationKind = Literal["build", "verify", "stage", "retire", "drop"]


class OperationRequest(BaseModel):
    """What an operator asks for.

    Attributes:
        release_id: of every step but a build.
        store, split: the prepared cohort that a build indexes.
        min_similarity, min_patients, abstention: the calibration of a build; `abstention` is the
            file of limits that were fitted for its encoder.
        golden_store, golden_split: the held-out cohort that a verification asks with.
        golden_margin, golden_minimum: its limits of precision@1, the default ones where None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: OperationKind
    actor: str
    release_id: str | None = None
    store: str | None = None
    split: str | None = None
    min_similarity: float = Field(default=-1.0, ge=-1, le=1)
    min_patients: int = Field(default=1, ge=1)
    abstention: str | None = None
    golden_store: str | None = None
    golden_split: str = "query"
    golden_margin: float | None = Field(default=None, ge=0, le=1)
    golden_minimum: float | None = Field(default=None, ge=0, le=1)
    num_workers: int = Field(default=1, ge=1, le=256)


class OperationError(BaseModel):
    """Why a step failed, as an error of the HTTP contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    message: str
    remedy: str


class Operation(BaseModel):
    """A step that was begun, and what is known of it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    operation_id: str
    kind: OperationKind
    actor: str
    release_id: str | None
    state: Literal["running", "succeeded", "failed"]
    began_at: datetime
    ended_at: datetime | None = None
    error: OperationError | None = None


# Runs a step to its end and returns the release's id.
RunOperation = Callable[[OperationRequest, Settings], str]


class Operations:
    """Begins steps and knows the last ones. May be used from several threads."""

    def __init__(self, settings: Settings, run: RunOperation) -> None:
        self._settings, self._run = settings, run
        self._known: dict[str, Operation] = {}
        self._tasks: dict[str, Any] = {}
        self._lock = threading.Lock()

    def begin(self, request: OperationRequest) -> Operation:
        """Begin a step in a Ray task and return at once.

        Raises:
            ReleaseStateError: the same step of the same release is going on.
        """
        with self._lock:
            return self._begin(request)

    def all(self) -> tuple[Operation, ...]:
        """Return the last steps, the latest last."""
        with self._lock:
            self._harvest()
            return tuple(self._known.values())

    def _begin(self, request: OperationRequest) -> Operation:
        import ray

        self._harvest()
        for other in self._known.values():
            same = (other.kind, other.release_id) == (request.kind, request.release_id)
            if same and other.state == "running" and request.release_id is not None:
                raise ReleaseStateError(
                    f"{request.kind} of {request.release_id} is going on as {other.operation_id}.",
                    remedy="Wait for it: GET /v1/admin/operations/ID.",
                )
        operation = Operation(
            operation_id=f"op-{uuid.uuid4().hex[:12]}",
            kind=request.kind,
            actor=request.actor,
            release_id=request.release_id,
            state="running",
            began_at=datetime.now(UTC),
        )
        task = ray.remote(num_cpus=0, max_retries=0)(_run)
        self._tasks[operation.operation_id] = task.remote(self._run, request, self._settings)
        self._known[operation.operation_id] = operation
        for oldest in list(self._known)[:-_KEPT]:
            if oldest not in self._tasks:
                del self._known[oldest]
        return operation

    def _harvest(self) -> None:
        """Take in the tasks that have ended."""
        import ray
        from ray.exceptions import RayError, RayTaskError

        for operation_id, task in list(self._tasks.items()):
            ended, _ = ray.wait([task], timeout=0)
            if not ended:
                continue
            del self._tasks[operation_id]
            try:
                self._end(operation_id, state="succeeded", release_id=ray.get(task))
            except RayTaskError as error:
                self._end(operation_id, state="failed", error=_told(error.cause))
            except RayError as error:
                self._end(operation_id, state="failed", error=_told(error))

    def _end(self, operation_id: str, **changes: object) -> None:
        self._known[operation_id] = self._known[operation_id].model_copy(
            update={"ended_at": datetime.now(UTC), **changes}
        )


def _run(run: RunOperation, request: OperationRequest, settings: Settings) -> str:
    return run(request, settings)


def _told(cause: BaseException) -> OperationError:
    error = (
        cause
        if isinstance(cause, PirtaError)
        else PirtaError(
            f"The step failed by a fault of ours ({type(cause).__name__}).",
            remedy="See the log of its Ray task, then begin it again.",
        )
    )
    return OperationError(code=error.code, message=error.message, remedy=error.remedy)
