"""A request whose body may not be larger than a limit, which holds while bytes arrive.

What a header says of the length is believed only where it refuses. Nothing is read here.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import Message, Receive

from pirta.errors import PayloadTooLargeError


def limited(request: Request, *, max_bytes: int, too_large: PayloadTooLargeError) -> Request:
    """Return the request with a body that raises `too_large` beyond `max_bytes`.

    Raises:
        PayloadTooLargeError: the request itself says that its body is larger.
    """
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > max_bytes:
        raise too_large
    return Request(request.scope, _Limited(request.receive, max_bytes, too_large))


class _Limited:
    """A request's `receive` that counts what comes in."""

    def __init__(self, receive: Receive, limit: int, too_large: PayloadTooLargeError) -> None:
        self._receive, self._left, self._too_large = receive, limit, too_large

    async def __call__(self) -> Message:
        message = await self._receive()
        self._left -= len(message.get("body", b""))
        if self._left < 0:
            raise self._too_large
        return message
