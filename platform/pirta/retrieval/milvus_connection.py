"""One connection to a Milvus server: made at the first question, its failures as our errors.

Every question goes through `ask`. Milvus's own words can repeat a row or a filter, so only its
codes go on. Nothing here knows what a row is.
"""

from __future__ import annotations

import logging
import threading
import time
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

_SEALING_POLL_S = 0.2

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


def load_within(client: MilvusClient, collection: str, *, timeout_s: float) -> None:
    """Bring a collection into memory.

    Raises:
        UnavailableError: that took longer than `timeout_s`. Milvus goes on with it by itself.
    """
    from grpc import RpcError, StatusCode
    from pymilvus.exceptions import MilvusException

    deadline_s = time.monotonic() + timeout_s
    try:
        client.load_collection(collection, timeout=timeout_s)
    except MilvusException:
        if time.monotonic() < deadline_s:
            raise  # Milvus refused; it did not take too long
        raise _not_loaded(collection, timeout_s) from None
    except RpcError as error:
        if error.code() is not StatusCode.DEADLINE_EXCEEDED:
            raise
        raise _not_loaded(collection, timeout_s) from None


def _not_loaded(collection: str, timeout_s: float) -> UnavailableError:
    return UnavailableError(
        f"Milvus did not load the collection {collection} within {timeout_s:g} s.",
        remedy="It goes on by itself: try again. Where that stays so, give Milvus memory for it "
        "or unload others (`pirta release retire`), see its log, or raise index.load_timeout_s.",
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


def wait_until_sealed(client: MilvusClient, collection: str, *, timeout_s: float) -> None:
    """Close the growing segments of a collection, and wait for their index.

    Raises:
        UnavailableError: that took longer than `timeout_s`.
    """
    deadline_s = time.monotonic() + timeout_s
    client.flush(collection, timeout=timeout_s)
    (name, *_) = client.list_indexes(collection)
    while time.monotonic() < deadline_s:
        described = client.describe_index(collection, name)
        if not described["pending_index_rows"] and described["state"] == "Finished":
            _hand_over(client, collection, timeout_s=timeout_s)
            return
        time.sleep(_SEALING_POLL_S)
    raise UnavailableError(
        f"Milvus did not finish the index of {collection} within {timeout_s:g} s.",
        remedy="See the log of Milvus's index node; then build again, which goes on.",
    )


def _hand_over(client: MilvusClient, collection: str, *, timeout_s: float) -> None:
    """Wait until the query nodes search the built segments in place of the rows as they grew."""
    from grpc import RpcError, StatusCode

    try:
        client.list_loaded_segments(collection)
    except RpcError as error:
        if error.code() is not StatusCode.UNIMPLEMENTED:
            raise
        return  # milvus-lite has no query nodes, and would never call the refreshing done
    client.refresh_load(collection, timeout=timeout_s)
