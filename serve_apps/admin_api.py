"""The admin API: the life of releases over HTTP, for tokens of `gateway.admin_tokens` alone.

GET  /v1/admin/releases                   all, and which is active at which version
GET  /v1/admin/releases/{id}              one: record, state, gates, requests in flight
POST /v1/admin/releases/build             {store, split, calibration…}          202
POST /v1/admin/releases/{id}/verify       {golden_store, golden_split, limits…} 202
POST /v1/admin/releases/{id}/stage|retire|drop                                  202
POST /v1/admin/releases/{id}/activate     {expected_version}
POST /v1/admin/rollback                   {expected_version}
POST /v1/admin/releases/{id}/pin|unpin
GET  /v1/admin/operations[/{id}]          what became of the steps that answered 202
POST /v1/admin/cases/{id}/withdraw        {reason, anyway}
GET  /v1/admin/cases/{id}/citations

What takes long answers 202 with an operation and goes on as a Ray task; a switch is made at once.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import structlog
from fastapi import APIRouter, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.status import HTTP_202_ACCEPTED, HTTP_404_NOT_FOUND

from pirta.errors import PirtaError, UnavailableError
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Activation, Citation, StoredRelease
from pirta.retrieval.index import Index
from pirta.settings import Settings
from serve_apps.operations import Operation, OperationKind, OperationRequest
from serve_apps.operator_route import operator_route
from serve_apps.ports import Control
from serve_apps.store_access import StoreAccess


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BuildBody(_Body):
    """What a build indexes, and how it is calibrated.

    Attributes:
        abstention: where the file of fitted limits lies, for the service to read.
    """

    store: str
    split: str = "index"
    min_similarity: float = Field(default=-1.0, ge=-1, le=1)
    min_patients: int = Field(default=1, ge=1)
    abstention: str | None = None
    num_workers: int = Field(default=1, ge=1, le=256)


class VerifyBody(_Body):
    """What a verification asks with, and by how much precision@1 may be below; null as ever."""

    golden_store: str
    golden_split: str = "query"
    golden_margin: float | None = Field(default=None, ge=0, le=1)
    golden_minimum: float | None = Field(default=None, ge=0, le=1)
    num_workers: int = Field(default=1, ge=1, le=256)


class SwitchBody(_Body):
    """Which activation the operator saw, 0 for none yet; null takes whatever is there now."""

    expected_version: int | None = Field(ge=0)


class WithdrawBody(_Body):
    """Why a case is withdrawn, for the journal. It names no patient.

    Attributes:
        anyway: also where no release's index holds the case, or the index does not answer.
    """

    reason: str = Field(min_length=1, max_length=500)
    anyway: bool = False


class Switched(_Body):
    """The activation now. The Milvus alias follows after the answer, for outside readers alone."""

    activation: Activation


def admin_routes(
    releases: StoreAccess,
    control: Control,
    index: Index,
    settings: Settings,
    log: structlog.stdlib.BoundLogger,
) -> APIRouter:
    """Return the admin routes over a store, a release control and the index of the alias."""

    # Nobody is let into any route, a later one neither, without passing the operator's door.
    router = APIRouter(prefix="/v1/admin", route_class=operator_route(settings.gateway))

    @router.get("/releases")
    async def all_releases() -> dict[str, Any]:
        return await releases.ask(_all)

    @router.get("/releases/{release_id}")
    async def one_release(release_id: str) -> dict[str, Any]:
        return await releases.ask(lambda store: _one(store, release_id))

    @router.post("/releases/build", status_code=HTTP_202_ACCEPTED)
    async def build(body: BuildBody, request: Request) -> Operation:
        return await control.begin(
            OperationRequest(kind="build", actor=request.state.actor, **body.model_dump())
        )

    @router.post("/releases/{release_id}/verify", status_code=HTTP_202_ACCEPTED)
    async def verify(release_id: str, body: VerifyBody, request: Request) -> Operation:
        await _known(releases, release_id)
        return await control.begin(
            OperationRequest(
                kind="verify",
                actor=request.state.actor,
                release_id=release_id,
                **body.model_dump(),
            )
        )

    def long_step(kind: OperationKind) -> None:
        @router.post(f"/releases/{{release_id}}/{kind}", status_code=HTTP_202_ACCEPTED, name=kind)
        async def step(release_id: str, request: Request) -> Operation:
            await _known(releases, release_id)
            return await control.begin(
                OperationRequest(kind=kind, actor=request.state.actor, release_id=release_id)
            )

    long_step("stage")
    long_step("retire")
    long_step("drop")
    _switches(router, releases, settings, lambda: _begin_alias(releases, index, log))
    _cases(router, releases, index)

    @router.get("/operations")
    async def operations() -> tuple[Operation, ...]:
        return await control.operations()

    @router.get("/operations/{operation_id}")
    async def one_operation(operation_id: str) -> Operation:
        for known in await control.operations():
            if known.operation_id == operation_id:
                return known
        raise HTTPException(HTTP_404_NOT_FOUND, "no operation of this id is known")

    return router


def _switches(
    router: APIRouter,
    releases: StoreAccess,
    settings: Settings,
    begin_alias: Callable[[], None],
) -> None:
    @router.post("/releases/{release_id}/activate")
    async def activate(release_id: str, body: SwitchBody, request: Request) -> Switched:
        from pirta.pipelines.activation import flip

        activation = await releases.ask(
            lambda store: flip(
                release_id,
                releases=store,
                settings=settings,
                expected_version=body.expected_version,
                actor=request.state.actor,
            )
        )
        begin_alias()
        return Switched(activation=activation)

    @router.post("/rollback")
    async def rollback(body: SwitchBody, request: Request) -> Switched:
        from pirta.pipelines.activation import flip_back

        activation = await releases.ask(
            lambda store: flip_back(
                releases=store,
                settings=settings,
                expected_version=body.expected_version,
                actor=request.state.actor,
            )
        )
        begin_alias()
        return Switched(activation=activation)

    @router.post("/releases/{release_id}/pin")
    async def pin(release_id: str, request: Request) -> dict[str, Any]:
        return _told(
            await releases.ask(lambda store: store.pin(release_id, actor=request.state.actor))
        )

    @router.post("/releases/{release_id}/unpin")
    async def unpin(release_id: str, request: Request) -> dict[str, Any]:
        return _told(
            await releases.ask(lambda store: store.unpin(release_id, actor=request.state.actor))
        )


def _cases(router: APIRouter, releases: StoreAccess, index: Index) -> None:
    @router.post("/cases/{case_id}/withdraw")
    async def withdraw(case_id: str, body: WithdrawBody, request: Request) -> tuple[Citation, ...]:
        from pirta.pipelines.withdrawal import withdraw_case

        done = await releases.ask_with_index(
            lambda store: withdraw_case(
                case_id,
                reason=body.reason,
                releases=store,
                index=None if body.anyway else index,
                actor=request.state.actor,
            )
        )
        return done.citations

    @router.get("/cases/{case_id}/citations")
    async def citations(case_id: str) -> tuple[Citation, ...]:
        return await releases.ask(lambda store: store.citations(case_id))


def _begin_alias(releases: StoreAccess, index: Index, log: structlog.stdlib.BoundLogger) -> None:
    """Have the alias follow a switch; a failure is logged, since its answer has gone."""
    from pirta.pipelines.activation import follow_alias

    def tell(ended: Future[object]) -> None:
        error = ended.exception()
        if error is not None:  # a fault of ours
            log.error("alias not moved", code=PirtaError.code, error_type=type(error).__name__)
        elif ended.result():
            log.warning("alias not moved", code=UnavailableError.code)

    releases.begin_index_work(lambda store: follow_alias(store, index)).add_done_callback(tell)


async def _known(releases: StoreAccess, release_id: str) -> StoredRelease:
    """Tell of an unknown release at once, and not by a task that failed."""
    return await releases.ask(lambda store: store.get(release_id))


def _all(store: ReleaseStore) -> dict[str, Any]:
    active, listing = store.active(), store.survey()
    return {
        "active": None if active is None else active.model_dump(mode="json"),
        "releases": [_told(stored) for stored in listing.releases],
        "unreadable": [one.model_dump(mode="json") for one in listing.unreadable],
    }


def _one(store: ReleaseStore, release_id: str) -> dict[str, Any]:
    return {**_told(store.get(release_id)), "in_flight": store.in_flight(release_id)}


def _told(stored: StoredRelease) -> dict[str, Any]:
    return {"release_id": stored.release_id, **stored.model_dump(mode="json")}
