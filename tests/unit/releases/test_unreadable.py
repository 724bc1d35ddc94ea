"""A record that cannot be read, of a later version or damaged, stands apart and blocks no other."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from pirta.errors import ReleaseError
from pirta.releases.database import Database
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import CollectionUse
from tests.unit.releases.examples import Hands, bring_to, make_release


def _overwrite(url: str, table: str, release_id: str, content: str) -> None:
    database = Database(url)
    with database.write() as transaction:
        transaction.connection.execute(
            text(f"UPDATE {table} SET content = :content WHERE release_id = :release_id"),
            {"content": content, "release_id": release_id},
        )
    database.close()


@pytest.mark.parametrize(
    ("table", "content", "problem"),
    [
        ("release", "{", "record of .* cannot be read: all of it"),
        ("release", '{"a_later_field": 1}', "record of .* cannot be read: .*a_later_field"),
        ("release", make_release(9).model_dump_json(), "was changed"),
        ("gate_result", '{"name": 1}', "gate of .* cannot be read: name"),
    ],
)
def test_a_survey_tells_of_what_cannot_be_read_beside_all_others(
    store: ReleaseStore, url: str, table: str, content: str, problem: str
) -> None:
    bad = bring_to(store, make_release(1), "verified")
    good = bring_to(store, make_release(2), "active")
    before = store.collections()
    _overwrite(url, table, bad, content)
    listing = store.survey()
    assert [one.release_id for one in listing.releases] == [good]
    (broken,) = listing.unreadable
    assert (broken.release_id, broken.state) == (bad, "verified")
    with pytest.raises(ReleaseError, match=problem) as told:
        store.get(bad)
    assert (broken.problem, broken.remedy) == (told.value.message, told.value.remedy)
    with pytest.raises(ReleaseError, match=problem):
        store.list()
    assert store.collections() == before, "a record need not be read to know its collection"


def test_the_collections_that_releases_need_are_told_without_those_of_dropped_ones(
    store: ReleaseStore, hands: Hands
) -> None:
    bring_to(store, make_release(1), "dropped")
    retired = bring_to(store, make_release(2), "retired")
    hands.move(seconds=1)
    active = bring_to(store, make_release(3), "active")
    uses = store.collections()
    assert uses == (
        CollectionUse(release_id=retired, collection="cases_2", state="retired"),
        CollectionUse(release_id=active, collection="cases_3", state="active"),
    )
    assert [use.is_wanted for use in uses] == [False, True]
