"""The door of the admin API, passed before a route's body is read.

A framework's dependency would come too late: FastAPI reads and parses the whole body first. So the
operator is looked at by the route itself, and then a body of at most 64 KiB is taken in.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

from pirta.errors import PayloadTooLargeError
from pirta.settings import GatewaySettings
from serve_apps.body_limit import limited
from serve_apps.door import admit_operator

MAX_BODY_BYTES = 64 * 1024


def operator_route(settings: GatewaySettings) -> type[APIRoute]:
    """Return the class of routes that let operators in, and keep their name as `state.actor`."""

    class OperatorRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            answer = super().get_route_handler()

            async def answer_operator(request: Request) -> Response:
                request.state.actor = admit_operator(request.headers.get("authorization"), settings)
                small = limited(request, max_bytes=MAX_BODY_BYTES, too_large=_too_large())
                await small.body()  # kept by it; within FastAPI the refusal would lose its kind
                return await answer(small)

            return answer_operator

    return OperatorRoute


def _too_large() -> PayloadTooLargeError:
    return PayloadTooLargeError(
        f"The body is larger than {MAX_BODY_BYTES // 1024} KiB.",
        remedy="docs/SERVING.md lists what each route of the admin API takes.",
    )
