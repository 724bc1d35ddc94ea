"""A collection whose making was killed between its two steps is finished by who makes it again."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from pymilvus import MilvusClient

from pirta.contracts.release import IndexKind
from pirta.errors import CollectionExistsError
from pirta.retrieval.lite_server import LiteServer
from pirta.retrieval.milvus import MilvusIndex
from pirta.retrieval.milvus_rows import make_schema
from tests.index_contract.rows import DIMENSIONS, make_row, names, unit


@pytest.fixture
def half_made(server: LiteServer, collection: str) -> Iterator[MilvusClient]:
    """The collection without its index, as after a kill between the two."""
    client = MilvusClient(server.uri)
    client.create_collection(collection, schema=make_schema(client, DIMENSIONS))
    yield client
    client.close()


@pytest.mark.parametrize("kind", ["FLAT", "HNSW"])
def test_a_half_made_collection_is_finished_and_used(
    half_made: MilvusClient, milvus: MilvusIndex, collection: str, kind: IndexKind
) -> None:
    assert half_made.list_indexes(collection) == []
    milvus.create(collection, DIMENSIONS, kind=kind)
    (name,) = half_made.list_indexes(collection)
    assert half_made.describe_index(collection, name)["index_type"] == kind
    milvus.upsert(collection, [make_row("a", unit(1)), make_row("b", unit(0, 1))])
    assert names(milvus, collection, unit(1)) == ["a", "b"]
    with pytest.raises(CollectionExistsError):
        milvus.create(collection, DIMENSIONS, kind=kind)
    assert milvus.count(collection) == 2


def test_a_half_made_collection_of_other_dimensions_stays_as_it_is(
    half_made: MilvusClient, milvus: MilvusIndex, collection: str
) -> None:
    with pytest.raises(CollectionExistsError):
        milvus.create(collection, DIMENSIONS + 1)
    assert half_made.list_indexes(collection) == []
