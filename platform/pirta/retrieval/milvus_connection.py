"""One connection to a Milvus server: made at the first question, its failures as our errors.

Every question goes through `ask`. Milvus's own words can repeat a row or a filter, so only its
codes go on. Nothing here knows what a row is.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from pirta.errors import UnavailableError
from pirta.retrieval.index import collection_unknown

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_COLLECTION_UNKNOWN = 100
_COLLECTION_NOT_LOADED = 101
# Milvus's own code, and what milvus-lite answers in its place.
_ALIAS_UNKNOWN = {1600, 100}

Result = TypeVar("Result")


class MilvusConnection:
    """A server behind a URI such as `http://127.0.0.1:19530`.

    Safe to use from several threads. A server that was restarted is found again by itself.
    """

    def __init__(self, uri: str, *, token: str, timeout_s: float) -> None:
        self._uri = uri
        self._token = token
        self._timeout_s = timeout_s
        self._client: MilvusClient | None = None
        self._connecting = threading.Lock()

    def ask(self, collection: str, question: Callable[[MilvusClient], Result]) -> Result:
        """Put a question to the server, loading the collection where it was unloaded.

        Raises:
            ReleaseError: there is no such collection.
            UnavailableError: no answer in time, or the server cannot give one now.
        """
        from grpc import RpcError  # type: ignore[import-untyped]
        from pymilvus.exceptions import MilvusException

        try:
            client = self._connected()
            try:
                return question(client)
            except MilvusException as error:
                if error.code != _COLLECTION_NOT_LOADED:
                    raise
                client.load_collection(collection, timeout=self._timeout_s)
                return question(client)
        except MilvusException as error:
            if error.code == _COLLECTION_UNKNOWN:
                raise collection_unknown(collection) from None
            raise self._unavailable(f"Milvus code {int(error.code)}") from None
        except RpcError as error:  # pymilvus lets some through, a passed deadline for one
            raise self._unavailable(error.code().name) from None

    def _connected(self) -> MilvusClient:
        from pymilvus import MilvusClient

        with self._connecting:
            if self._client is None:
                # Each failed call would be logged with its traceback; we raise typed errors.
                logging.getLogger("pymilvus").setLevel(logging.CRITICAL)
                self._client = MilvusClient(
                    self._uri,
                    token=self._token,
                    timeout=self._timeout_s,
                    # Its pings while idle come more often than milvus-lite takes them.
                    grpc_options={"grpc.keepalive_permit_without_calls": False},
                )
            return self._client

    def _unavailable(self, reason: str) -> UnavailableError:
        return UnavailableError(
            f"The index does not answer within {self._timeout_s:g} s ({reason}).",
            remedy="Check that Milvus runs where the setting index.uri says, then try again.",
        )


def point_alias(client: MilvusClient, alias: str, collection: str, *, timeout_s: float) -> None:
    """Move an alias to a collection, or make it there."""
    from pymilvus.exceptions import MilvusException

    try:
        client.alter_alias(collection, alias, timeout=timeout_s)
    except MilvusException as error:
        if error.code not in _ALIAS_UNKNOWN:
            raise
        client.create_alias(collection, alias, timeout=timeout_s)
