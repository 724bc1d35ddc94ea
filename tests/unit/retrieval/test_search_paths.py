"""Every way to the rows of an index goes through the policy: the ways, listed, and one watched.

That the answers are right under any policy is the contract's (tests/index_contract). This says
that no other way exists, and that the server itself is told the policy, too.
"""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

import pirta.retrieval
from pirta.contracts.access import SearchPolicy
from pirta.contracts.encoding import SearchRequest
from pirta.retrieval.exact import ExactIndex
from pirta.retrieval.index import Index
from pirta.retrieval.milvus import MilvusIndex
from pirta.retrieval.milvus_rows import policy_filter
from tests.index_contract.rows import DIMENSIONS, ask, make_row, unit
from tests.index_contract.searching import POLICIES, answer_or_refusal

ROOM = Path(pirta.retrieval.__path__[0])
# What a Milvus client offers to bring back rows by likeness.
SEARCHES = {"search", "hybrid_search", "search_iterator"}
# Each of these inherits the contract in a test.
INDEXES = {Index, ExactIndex, MilvusIndex}


def test_milvus_is_searched_in_one_place_and_always_with_a_filter() -> None:
    calls = [
        (path.name, node)
        for path in sorted(ROOM.glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in SEARCHES
    ]
    assert [name for name, _ in calls] == ["milvus.py"]
    assert "filter" in {keyword.arg for keyword in calls[0][1].keywords}


def test_whatever_answers_a_search_request_is_held_to_the_contract() -> None:
    answering = set()
    for path in sorted(ROOM.glob("*.py")):
        module = __import__(f"pirta.retrieval.{path.stem}", fromlist=["_"])
        answering |= {
            kind
            for _, kind in inspect.getmembers(module, inspect.isclass)
            if kind.__module__.startswith("pirta.retrieval") and hasattr(kind, "search")
        }
    assert answering == INDEXES


@pytest.fixture
def watched(
    milvus: MilvusIndex, collection: str, monkeypatch: pytest.MonkeyPatch
) -> tuple[str, list[str]]:
    """A collection, and the filters of the searches in it from now on."""
    milvus.create(collection, DIMENSIONS)
    milvus.upsert(collection, [make_row(f"c{at}", unit(1, at), site="a") for at in range(20)])
    client = milvus._connection._connected()
    search, filters = client.search, []

    def remember(*args: Any, **kwargs: Any) -> Any:
        filters.append(kwargs["filter"])
        return search(*args, **kwargs)

    monkeypatch.setattr(client, "search", remember)
    return collection, filters


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(policy=POLICIES)
def test_the_server_itself_is_told_the_whole_policy(
    milvus: MilvusIndex, watched: tuple[str, list[str]], policy: SearchPolicy
) -> None:
    collection, filters = watched
    filters.clear()
    answer_or_refusal(milvus, SearchRequest("rel-0", collection, unit(1), 8, policy))
    assert set(filters) <= {policy_filter(policy, with_withdrawn=True)}
    assert filters or policy.sites == frozenset()


def test_a_large_set_of_withdrawn_cases_is_told_where_it_matters(
    milvus: MilvusIndex, watched: tuple[str, list[str]]
) -> None:
    collection, filters = watched
    elsewhere = SearchPolicy(withdrawn=frozenset(f"gone{at}" for at in range(300)))
    ask(milvus, collection, unit(1), elsewhere, top_k=3)
    assert filters == [""]
    filters.clear()
    near = SearchPolicy(withdrawn=elsewhere.withdrawn | {f"c{at}" for at in range(15)})
    ask(milvus, collection, unit(1), near, top_k=3)
    assert filters == ["", policy_filter(near, with_withdrawn=True)]
