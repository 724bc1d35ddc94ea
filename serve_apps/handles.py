"""The ports of a report on Serve's deployment handles.

A handle raises what Ray raises; here it becomes what the ports promise. A typed error of a
replica comes back as itself. A call whose replica died is sent again, a bounded number of
times: Serve starts a new replica by itself, and every call of a report can be repeated. So is one
to a replica that does not hold the release: it was cut off while the others loaded it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ray.exceptions import ObjectLostError, RayActorError, RayTaskError, WorkerCrashedError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle

from pirta.contracts.encoding import EncodedStudy, SearchRequest
from pirta.contracts.report import RetrievedCase
from pirta.contracts.study import PreparedStudy, StudyFiles
from pirta.errors import PirtaError, UnavailableError, UnknownReleaseError
from pirta.reporting.prompt import Prompt
from serve_apps.operations import Operation, OperationRequest
from serve_apps.ports import Ports, ReadyCheck

_ATTEMPTS = 3
_PAUSE_S = 0.5
_LOST = (RayActorError, WorkerCrashedError, ObjectLostError)


async def call(part: str, send: Callable[[], Any], *, attempts: int = _ATTEMPTS) -> Any:
    """Return the answer to `send()`, which makes one call on a handle.

    Raises:
        PirtaError: what the replica raised.
        UnavailableError: the replica died, or did not hold the release, in every attempt, or the
            part takes no more calls.
    """
    failure = ""
    for attempt in range(attempts):
        try:
            return await send()
        except RayTaskError as error:
            cause = _cause_of(error)
            if not isinstance(cause, UnknownReleaseError):
                raise cause from None
            failure = cause.message
        except _LOST:
            failure = f"The {part} died {attempts} times while it worked on this request."
        except BackPressureError:
            raise UnavailableError(
                f"The {part} has as many requests waiting as it takes.",
                remedy="Try again later, or raise scaling and gateway.max_queued_requests.",
            ) from None
        except DeploymentUnavailableError:
            raise UnavailableError(
                f"The {part} cannot be started.",
                remedy="See its log: `ray logs` or `serve status`.",
            ) from None
        if attempt + 1 < attempts:
            await asyncio.sleep(_PAUSE_S * (attempt + 1))
    raise UnavailableError(
        failure, remedy="Try again; if it happens again, see its log and its memory limits."
    )


def _cause_of(error: RayTaskError) -> BaseException:
    """Return the error that a replica raised, however many replicas it came through."""
    cause: BaseException = error
    while isinstance(cause, RayTaskError) and isinstance(cause.cause, BaseException):
        cause = cause.cause
    if isinstance(cause, BackPressureError | DeploymentUnavailableError):
        return UnavailableError("A part of the service takes no calls now.", remedy="Try again.")
    return cause if isinstance(cause, PirtaError) else error


class HandlePreparer:
    """A `Preparer` in the preprocessor's replicas."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def prepare(self, study: StudyFiles) -> PreparedStudy:
        """Return the study on the encoder's grid."""
        answer = await call("preprocessor", lambda: self._handle.prepare.remote(study))
        assert isinstance(answer, PreparedStudy)
        return answer


class HandleEncoder:
    """An `Encoder` in the encoder's replicas."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def encode(self, prepared: PreparedStudy, *, release_id: str) -> EncodedStudy:
        """Return the study's embedding and probabilities."""
        answer = await call(
            "encoder", lambda: self._handle.encode.remote(prepared, release_id=release_id)
        )
        assert isinstance(answer, EncodedStudy)
        return answer


class HandleRetriever:
    """A `Retriever` in the retriever's replicas."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def search(self, request: SearchRequest) -> tuple[RetrievedCase, ...]:
        """Return the nearest cases."""
        answer = await call("retriever", lambda: self._handle.search.remote(request))
        assert isinstance(answer, tuple)
        return answer


class HandleWriter:
    """A `Writer` in the writer's replicas."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def write(self, prompt: Prompt, *, answer_regex: str, release_id: str) -> str:
        """Return the model's text."""
        answer = await call(
            "writer",
            lambda: self._handle.write.remote(
                prompt, answer_regex=answer_regex, release_id=release_id
            ),
        )
        assert isinstance(answer, str)
        return answer


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
    return lambda release_id: call(name, lambda: handle.ready.remote(release_id), attempts=1)


class HandleControl:
    """The `Control` in the release control's replica."""

    def __init__(self, handle: DeploymentHandle[Any]) -> None:
        self._handle = handle

    async def begin(self, request: OperationRequest) -> Operation:
        """Begin a step of a release's life."""
        answer = await call("release control", lambda: self._handle.begin.remote(request))
        assert isinstance(answer, Operation)
        return answer

    async def operations(self) -> tuple[Operation, ...]:
        """Return the last steps."""
        answer = await call("release control", lambda: self._handle.operations.remote())
        assert isinstance(answer, tuple)
        return answer
