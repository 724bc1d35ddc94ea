"""The one place where any error becomes an answer, and where every request gets its id.

    {"error": {"code": "...", "message": "...", "remedy": "..."}, "request_id": "..."}

A study that the quality gate refused has every gate's result in the error's "gates".
Serve's proxy makes the id where the caller sent none, and puts it into every answer's headers.
A typed error answers with its own status. Anything else is a fault of ours: it answers 500
with nothing of its text, which may hold patient data, and is logged by kind and place.
"""

from __future__ import annotations

import re
import traceback
import uuid
from pathlib import PurePath
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pirta.errors import (
    InputError,
    PirtaError,
    QualityError,
    UnauthorizedError,
    UnavailableError,
)

REQUEST_ID_HEADER = "X-Request-Id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_RETRY_AFTER_S = 5


class ErrorBoundary:
    """Outermost ASGI layer: gives each request an id, and turns errors into answers."""

    def __init__(self, app: ASGIApp, *, log: structlog.stdlib.BoundLogger) -> None:
        self._app = app
        self._log = log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = _request_id(Headers(scope=scope))
        scope.setdefault("state", {})["request_id"] = request_id
        has_started = False

        async def send_noted(message: Message) -> None:
            nonlocal has_started
            has_started = has_started or message["type"] == "http.response.start"
            await send(message)

        try:
            await self._app(scope, receive, send_noted)
        except PirtaError as error:
            self._log.info("request refused", request_id=request_id, code=error.code)
            response = error_response(error, request_id)
        except Exception as error:  # noqa: BLE001 - the gateway's boundary
            self._log.error(
                "request failed",
                request_id=request_id,
                code=PirtaError.code,
                error_type=type(error).__name__,
                stage=_place(error),
            )
            response = error_response(internal_error(), request_id)
        else:
            return
        if not has_started:
            await response(scope, receive, send_noted)


def error_response(
    error: PirtaError, request_id: str, *, http_status: int | None = None
) -> JSONResponse:
    """Return the answer for a typed error."""
    headers = {}
    if isinstance(error, UnavailableError):
        headers["Retry-After"] = str(_RETRY_AFTER_S)
    if isinstance(error, UnauthorizedError):
        headers["WWW-Authenticate"] = "Bearer"
    body: dict[str, Any] = {
        "code": error.code,
        "message": error.message,
        "remedy": error.remedy,
    }
    if isinstance(error, QualityError) and error.gates:
        body["gates"] = [one.model_dump(mode="json") for one in error.gates]
    return JSONResponse(
        {"error": body, "request_id": request_id},
        status_code=http_status or error.http_status,
        headers=headers,
    )


async def answer_http_exception(request: Request, error: Exception) -> Response:
    """Put the framework's own refusals (no such path, a malformed form) into the same form."""
    assert isinstance(error, HTTPException)
    named = InputError(
        f"{request.method} {request.url.path}: {error.detail}.",
        remedy="Send POST /v1/reports as multipart/form-data with the files dwi and adc.",
    )
    return error_response(named, request.state.request_id, http_status=error.status_code)


async def answer_invalid_body(request: Request, error: Exception) -> Response:
    """Put the framework's refusal of a JSON body into the same form; names fields, no values."""
    assert isinstance(error, RequestValidationError)
    fields = sorted({".".join(str(part) for part in one["loc"][1:]) for one in error.errors()})
    named = InputError(
        f"The body cannot be used: {', '.join(fields)[:200] or 'it is no JSON object'}.",
        remedy="docs/SERVING.md lists what each route of the admin API takes.",
    )
    return error_response(named, request.state.request_id)


def internal_error() -> PirtaError:
    """Return what a caller is told of a fault of ours."""
    return PirtaError(
        "The service failed while it worked on this request.",
        remedy="Send it again; if it fails again, report the request_id.",
    )


def _request_id(headers: Headers) -> str:
    given = headers.get(REQUEST_ID_HEADER, "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _place(error: Exception) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    return f"{PurePath(frames[-1].filename).name}:{frames[-1].lineno}" if frames else "unknown"
