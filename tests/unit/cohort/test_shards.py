"""Shards of a store: commits that stand, sessions that were cut off, and what is gathered."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pirta.cohort.prepared_rows import Row, to_row
from pirta.cohort.prepared_store import (
    CaseArrays,
    load_volume,
    read_prepared,
    read_refused,
    write_case,
)
from pirta.cohort.shards import (
    Planned,
    Shard,
    gather,
    new_shard,
    shards_of,
    standing_rows,
    write_run,
)
from pirta.contracts.case import CaseRecord
from pirta.contracts.study import GRID_SHAPE, Registry
from pirta.errors import ManifestError, StoreError

SMALL = np.zeros((1, 1, 1, 1), np.float32)


def _case(case_id: str) -> CaseRecord:
    return CaseRecord(
        case_id=case_id, patient_id="p", site="s", scanner="x", study_uri=case_id,
        registry=Registry(),
    )  # fmt: skip


def _prepared(shard: Shard, case_id: str, key: str, volume: np.ndarray = SMALL) -> Row:
    """Write a study's array, and return the row that is not committed yet."""
    prepared = write_case(
        shard.root, _case(case_id), CaseArrays(volume), fingerprint="f", facts={"brain_ml": 1.0},
        folder=shard.folder,
    )  # fmt: skip
    return {**to_row(prepared), "code": None, "work_key": key, "run_id": "run"}


def _refused(case_id: str, key: str, run_id: str = "run") -> Row:
    return {
        "case_id": case_id, "code": "file_missing", "reason": "x", "gates_json": "[]",
        "work_key": key, "run_id": run_id,
    }  # fmt: skip


def _plan(names: str, key: str = "key") -> dict[str, Planned]:
    """A manifest of these cases, in this order."""
    return {name: Planned(f"{key}-{name}", place) for place, name in enumerate(names)}


@pytest.fixture
def root(tmp_path: Path) -> str:
    write_run(str(tmp_path), {"run_id": "run", "state": "open"})
    return str(tmp_path)


def test_a_session_that_was_cut_off_leaves_what_it_committed_and_nothing_else(root: str) -> None:
    shard = new_shard(root, 0, "first")
    shard.commit_row(_prepared(shard, "a", "key-a"))
    shard.commit_row(_refused("b", "key-b"))
    _prepared(shard, "c", "key-c")  # killed between the array and the row
    assert shard.begin_attempt("d", "1@host") == 1
    assert shard.is_open()
    assert {row["case_id"] for row in shard.close()} == {"a", "b"}
    assert not shard.is_open()
    assert [path.name for path in Path(root).rglob("*.npy")] == ["a.npy"]
    assert [row["case_id"] for row in standing_rows(shard, "run")] == ["a", "b"]
    assert [row["case_id"] for row in standing_rows(shard, "a later run")] == ["a"]


def test_a_row_may_be_committed_twice_and_after_its_shard_was_closed(root: str) -> None:
    shard = new_shard(root, 0, "first")
    row = _prepared(shard, "a", "key-a")
    shard.commit_row(row)
    shard.commit_row(row)
    shard.close()
    shard.commit_row(row)
    shard.commit_row(_refused("b", "key-b"))
    assert len(shard.close()) == 2
    assert gather(root, _plan("ab"), "run") == (1, 1, 0)
    assert not shard.is_open()


def test_a_row_that_comes_after_its_array_was_dropped_does_not_count(root: str) -> None:
    shard = new_shard(root, 0, "killed")
    late = _prepared(shard, "a", "key-a")  # its worker lives on, the driver is dead
    assert shard.close() == []
    shard.commit_row(late)
    again = new_shard(root, 1, "resumed")
    again.commit_row(_prepared(again, "a", "key-a", np.zeros((2, *GRID_SHAPE), np.float32)))
    again.close()
    assert gather(root, _plan("a"), "run") == (1, 0, 0)
    (case,) = read_prepared(root)
    assert "00001-resumed" in case.array_uri
    assert load_volume(case.array_uri).shape == (2, *GRID_SHAPE)


def test_the_tables_hold_each_case_of_the_manifest_once_and_in_its_order(root: str) -> None:
    volume = np.zeros((2, *GRID_SHAPE), np.float32)
    for number, names in enumerate(("ab", "bc", "xd")):
        shard = new_shard(root, number, f"session{number}")
        for name in names:
            shard.commit_row(_prepared(shard, name, f"key-{name}", volume))
        shard.close()
    assert gather(root, _plan("dcba"), "run") == (4, 0, 1)
    assert [one.case.case_id for one in read_prepared(root)] == ["d", "c", "b", "a", "x"]
    assert sorted(path.name for path in Path(root).rglob("*.npy")) == [
        "a.npy", "b.npy", "c.npy", "d.npy", "x.npy",
    ]  # fmt: skip
    assert gather(root, _plan("dcba"), "run") == (4, 0, 1)


def test_refusals_of_an_earlier_run_give_way_to_the_new_outcome(root: str) -> None:
    old = new_shard(root, 0, "old")
    old.commit_row(_refused("a", "key-a", run_id="earlier"))
    old.close()
    new = new_shard(root, 1, "new")
    new.commit_row(_prepared(new, "a", "key-a"))
    new.close()
    assert gather(root, _plan("a"), "run") == (1, 0, 0)
    assert read_refused(root) == []
    assert [shard.name for shard in shards_of(root)] == ["00001-new"]


def test_a_second_manifest_adds_to_the_store_and_takes_nothing_away(root: str) -> None:
    volume = np.zeros((2, *GRID_SHAPE), np.float32)
    week_1 = new_shard(root, 0, "week-1")
    for name in "ab":
        week_1.commit_row(_prepared(week_1, name, f"key-{name}", volume))
    week_1.commit_row(_refused("bad", "key-bad"))
    week_1.close()
    assert gather(root, _plan("ab") | {"bad": Planned("key-bad", 2)}, "run") == (2, 1, 0)
    week_2 = new_shard(root, 1, "week-2")
    week_2.commit_row(_prepared(week_2, "c", "key-c", volume))
    week_2.close()
    assert gather(root, _plan("c"), "second run") == (1, 0, 3)
    cases = read_prepared(root)
    assert [one.case.case_id for one in cases] == ["c", "a", "b"]
    assert [load_volume(one.array_uri).shape[0] for one in cases] == [2, 2, 2]
    assert [one.case_id for one in read_refused(root)] == ["bad"]


def test_a_case_of_the_manifest_that_changed_gives_way_and_its_neighbour_does_not(
    root: str,
) -> None:
    volume = np.zeros((2, *GRID_SHAPE), np.float32)
    for number, (names, key) in enumerate((("ab", "key"), ("a", "new"))):
        shard = new_shard(root, number, "s")
        for name in names:
            shard.commit_row(_prepared(shard, name, f"{key}-{name}", volume))
        shard.close()
    assert gather(root, _plan("a", "new"), "run") == (1, 0, 1)
    assert [one.array_uri.split("/shards/")[1] for one in read_prepared(root)] == [
        "00001-s/arrays/a.npy",
        "00000-s/arrays/b.npy",
    ]
    assert len(list(Path(root).rglob("*.npy"))) == 2


def test_refusals_of_the_run_outlast_the_prepared_rows_of_their_shard(root: str) -> None:
    first = new_shard(root, 0, "s")
    first.commit_row(_prepared(first, "a", "old-a"))
    first.commit_row(_refused("b", "key-b"))
    first.close()
    second = new_shard(root, 1, "s")
    second.commit_row(_prepared(second, "a", "key-a"))
    second.close()
    for _ in range(2):  # killed before the run's end was noted, and gathered again
        assert gather(root, _plan("ab"), "run") == (1, 1, 0)
        assert [row["case_id"] for row in standing_rows(first, "run")] == ["b"]


def test_a_gather_that_fails_midway_leaves_no_table(root: str) -> None:
    for number, name in enumerate("ab"):
        shard = new_shard(root, number, "s")
        shard.commit_row(_prepared(shard, name, f"key-{name}"))
        shard.close()
    (Path(root) / "shards" / "00000-s" / "studies.parquet").write_bytes(b"damaged")
    with pytest.raises(ManifestError, match="is damaged"):
        gather(root, _plan("ab"), "run")
    assert sorted(path.name for path in Path(root).iterdir()) == ["run.json", "shards"]


def test_attempts_are_counted_from_one(root: str) -> None:
    shard = new_shard(root, 0, "s")
    assert [shard.begin_attempt("a", "") for _ in range(3)] == [1, 2, 3]
    assert shard.begin_attempt("b", "") == 1


def test_a_store_that_has_vanished_is_not_made_anew(tmp_path: Path) -> None:
    shard = new_shard(str(tmp_path / "gone"), 0, "s")
    with pytest.raises(StoreError, match="vanished"):
        shard.commit_row(_refused("a", "key-a"))
    assert not (tmp_path / "gone").exists()


def test_a_damaged_row_is_an_error_for_people(root: str) -> None:
    shard = new_shard(root, 0, "s")
    shard.commit_row(_refused("a", "key-a"))
    (Path(shard.path) / "rows" / "a.json").write_text("{")
    with pytest.raises(ManifestError, match="is damaged"):
        shard.close()


_numbers = itertools.count()


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from(["prepare", "refuse", "close", "session", "gather"]), max_size=12))
def test_whatever_the_order_of_events_the_tables_hold_each_study_once(events: list[str]) -> None:
    root = f"memory://shards-{next(_numbers)}"
    write_run(root, {"run_id": "run", "state": "open"})
    shard, number, known = new_shard(root, 0, "s"), 0, set()
    for event in events:
        if event in ("prepare", "refuse"):
            name = "a" if event == "prepare" else "b"
            row = _prepared(shard, name, f"key-{name}") if name == "a" else _refused("b", "key-b")
            shard.commit_row(row)
            known.add(name)
        elif event == "close":
            shard.close()
        elif event == "session":
            number += 1
            shard = new_shard(root, number, "s")
        else:
            gather(root, _plan("ab"), "run")
    assert gather(root, _plan("ab"), "run") == ("a" in known, "b" in known, 0)
