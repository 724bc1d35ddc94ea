"""`pirta release` and `pirta case` on a real store of releases; Milvus does not answer here."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from pirta.errors import (
    ActivationConflictError,
    InputError,
    PirtaError,
    ReleaseStateError,
    UnavailableError,
    UnknownReleaseError,
)
from pirta.releases.store import ReleaseStore
from pirta.releases.stored import Activation
from pirta_cli.main import app
from pirta_cli.release_commands import split_of
from pirta_cli.release_inspection import EXIT_UNREADABLE
from tests.unit.pipelines.release_examples import (
    add_staged,
    add_verified,
    make_release,
    open_store,
)


@pytest.fixture
def releases(tmp_path: Path) -> Iterator[ReleaseStore]:
    store = open_store(tmp_path)
    yield store
    store.close()


@pytest.fixture
def settings(tmp_path: Path) -> str:
    path = tmp_path / "settings.toml"
    path.write_text(
        f'[releases]\nstore_url = "sqlite:///{tmp_path / "releases.db"}"\n'
        "stage_timeout_s = 0.2\n"
        '[index]\nuri = "http://127.0.0.1:9"\ntimeout_s = 0.3\n'
    )
    return str(path)


def _run(settings: str, *words: str) -> Result:
    return CliRunner().invoke(app, [*words, "--settings", settings])


def _refused(settings: str, kind: type[PirtaError], *words: str) -> str:
    result = _run(settings, *words)
    assert isinstance(result.exception, kind), result.exception
    return str(result.exception)


def test_an_empty_store_is_made_and_says_how_to_begin(settings: str) -> None:
    result = _run(settings, "release", "list")
    assert result.exit_code == 0
    assert "pirta release build" in result.output


def test_the_list_shows_states_and_gates_and_no_dropped_release_unless_asked(
    releases: ReleaseStore, settings: str
) -> None:
    verified = add_verified(releases, make_release("cases_a"))
    releases.add(built := make_release("cases_b"), actor="a test")
    gone = add_verified(releases, make_release("cases_c"))
    releases.begin_retirement(gone, actor="a test")
    releases.finish_retirement(gone)
    releases.mark_dropped(gone, actor="a test")
    lines = _run(settings, "release", "list").output.splitlines()
    assert [line.split()[:2] for line in lines[2:]] == [
        [verified, "verified"],
        [built.release_id, "built"],
    ]
    assert "1 of 1" in lines[2]
    assert "not measured" in lines[3]
    assert gone in _run(settings, "release", "list", "--all").output


def test_a_record_that_cannot_be_read_is_listed_as_such_and_the_others_as_ever(
    releases: ReleaseStore, settings: str, tmp_path: Path
) -> None:
    bad = add_verified(releases, make_release("cases_a"))
    good = add_staged(releases, make_release("cases_b"))
    _overwrite(tmp_path / "releases.db", bad, '{"of": "a later version"}')
    result = _run(settings, "release", "list")
    assert result.exit_code == EXIT_UNREADABLE
    assert [line.split()[:2] for line in result.stdout.splitlines()[2:]] == [
        [good, "staged"],
        [bad, "verified"],
    ]
    assert "unreadable" in result.stdout
    assert f"record of {bad} cannot be read" in result.stderr


def _overwrite(path: Path, release_id: str, content: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            "UPDATE release SET content = ? WHERE release_id = ?", (content, release_id)
        )


def test_show_prints_the_record_the_gates_and_the_requests_as_json(
    releases: ReleaseStore, settings: str
) -> None:
    release_id = add_verified(releases, make_release("cases_a"))
    content = json.loads(_run(settings, "release", "show", release_id).output)
    assert content["release_id"] == release_id
    assert content["release"]["collection"] == "cases_a"
    assert (content["state"], content["num_requests_under_way"]) == ("verified", 0)
    assert content["gates"][0]["name"] == "rows"
    assert "rel-none" in _refused(settings, UnknownReleaseError, "release", "show", "rel-none")


def test_a_switch_and_the_way_back_are_made_although_milvus_is_away(
    releases: ReleaseStore, settings: str
) -> None:
    first = add_staged(releases, make_release("cases_a"))
    second = add_staged(releases, make_release("cases_b"))
    result = _run(settings, "release", "activate", first, "--expected-version", "0")
    assert f"{first} is active (switch 1)" in result.stdout
    assert "pirta_active does not lead to what is active yet" in result.stderr
    conflict = _refused(
        settings, ActivationConflictError, "release", "activate", second,
        "--expected-version", "0", "--actor", "late",
    )  # fmt: skip
    assert first in conflict
    result = _run(settings, "release", "activate", second, "--actor", "ward")
    assert "switch 2" in result.stdout
    assert f"{first} is active since" in result.stderr
    back = _run(settings, "release", "rollback").stdout
    assert f"{first} is active (switch 3, before it {second})" in back
    again = _refused(settings, ActivationConflictError, "release", "rollback")
    assert f"rolled back to {first}" in again
    events = _run(settings, "release", "events", "--last", "2").output
    assert "ward" in events
    assert "rolled back" in events


def test_a_switch_that_was_made_while_the_command_began_is_told_and_not_overrun(
    releases: ReleaseStore, settings: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = add_staged(releases, make_release("cases_a"))
    theirs = add_staged(releases, make_release("cases_b"))
    activate = ReleaseStore.activate

    def overtaken(store: ReleaseStore, release_id: str, **given: Any) -> Activation:
        if releases.active() is None:
            activate(releases, theirs, expected_version=0, actor="ward")
        return activate(store, release_id, **given)

    monkeypatch.setattr(ReleaseStore, "activate", overtaken)
    told = _refused(settings, ActivationConflictError, "release", "activate", mine)
    assert f"ward activated {theirs}" in told


def test_a_stage_without_a_service_says_so_and_leaves_the_release_verified(
    releases: ReleaseStore, settings: str
) -> None:
    release_id = add_verified(releases, make_release())
    assert "pirta serve" in _refused(settings, UnavailableError, "release", "stage", release_id)
    assert releases.get(release_id).state == "verified"


def test_retire_and_pin_end_at_the_state_that_they_name(
    releases: ReleaseStore, settings: str
) -> None:
    release_id = add_staged(releases, make_release())
    assert "is pinned" in _run(settings, "release", "pin", release_id).output
    assert "is retired" in _run(settings, "release", "retire", release_id).output
    stored = releases.get(release_id)
    assert (stored.state, stored.pinned) == ("retired", True)
    assert "not pinned" in _run(settings, "release", "unpin", release_id).output
    active = add_staged(releases, make_release("cases_b"))
    _run(settings, "release", "activate", active)
    assert "active" in _refused(settings, ReleaseStateError, "release", "retire", active)


def test_a_withdrawal_lists_the_reports_that_cited_the_case(
    releases: ReleaseStore, settings: str
) -> None:
    release_id = add_staged(releases, make_release())
    releases.activate(release_id, expected_version=None, actor="a test")
    releases.begin_request("request-1", ttl_s=60)
    releases.end_request("request-1", study_id="study-7", cited=["case-1"])
    words = ["case", "withdraw", "case-1", "--reason", "wrong label"]
    with_milvus = _run(settings, *words)
    assert isinstance(with_milvus.exception, UnavailableError), "it may be a misspelt id"
    assert releases.withdrawn() == frozenset()
    result = _run(settings, *words, "--anyway")
    assert "study-7" in result.stdout
    assert releases.withdrawn() == {"case-1"}
    assert "study-7" in _run(settings, "case", "citations", "case-1").stdout
    assert "No report cited" in _run(settings, "case", "citations", "case-2").stderr


@pytest.mark.parametrize("reason", ["", "asked for by Dr. Novak on 2024-03-12"])
def test_a_reason_that_says_nothing_or_names_somebody_is_refused(
    reason: str, releases: ReleaseStore, settings: str
) -> None:
    words = ["case", "withdraw", "case-1", "--reason", reason, "--anyway"]
    assert "Novak" not in _refused(settings, InputError, *words)
    assert releases.withdrawn() == frozenset()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("store", ("store", "query")),
        ("store:val", ("store", "val")),
        ("s3://bucket/store", ("s3://bucket/store", "query")),
        ("s3://bucket/store:all", ("s3://bucket/store", "all")),
    ],
)
def test_a_golden_store_is_named_with_or_without_its_split(
    text: str, expected: tuple[str, str]
) -> None:
    assert split_of(text, otherwise="query") == expected
