"""The store against a plain model of it: any order of steps leaves the same states in both."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from pirta.errors import (
    ActivationConflictError,
    CollectionInUseError,
    NoActiveReleaseError,
    ReleaseStateError,
    UnknownReleaseError,
)
from pirta.releases.states import WANTED_STATES
from pirta.releases.store import ReleaseStore
from tests.unit.releases.examples import FAILED, PASSED, Hands, make_release

# Three collections of two releases each.
RELEASES = [make_release(number, collection=f"cases_{number // 2}") for number in range(6)]
NAMES = [release.release_id for release in RELEASES]
numbers = st.integers(0, len(RELEASES) - 1)
REFUSALS = (
    ActivationConflictError,
    CollectionInUseError,
    NoActiveReleaseError,
    ReleaseStateError,
    UnknownReleaseError,
)


class StoreMachine(RuleBasedStateMachine):
    """Drives a store and the model beside it; a refusal in one is a refusal in the other."""

    empty: Path

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp(prefix="pirta-model-"))
        shutil.copy(self.empty, self.folder / "releases.db")
        self.hands = Hands()
        self.store = ReleaseStore(f"sqlite:///{self.folder / 'releases.db'}", clock=self.hands)
        self.state: dict[str, str] = {}
        self.pinned: set[str] = set()
        self.active: str | None = None
        self.previous: str | None = None
        self.version = 0
        self.was_back = False
        self.leases: dict[str, tuple[str, float]] = {}
        self.now_s = 0.0
        self.withdrawn: set[str] = set()
        self.num_requests = 0

    def teardown(self) -> None:
        self.store.close()
        shutil.rmtree(self.folder)

    def attempt(self, allowed: bool, call: object) -> bool:
        """Call the store; return whether it did it, which must be what the model says."""
        assert callable(call)
        try:
            call()
        except REFUSALS:
            assert not allowed
            return False
        assert allowed
        return True

    def in_flight(self, name: str) -> int:
        return sum(held == name and ends_s > self.now_s for held, ends_s in self.leases.values())

    @initialize()
    def begin_with_two_releases(self) -> None:
        for number in (0, 2):
            self.add(number)
            self.verify(number, True)

    @rule(number=numbers)
    def add(self, number: int) -> None:
        self.store.add(RELEASES[number], actor="ann")
        if self.state.get(NAMES[number], "dropped") == "dropped":
            self.state[NAMES[number]] = "built"
            self.pinned.discard(NAMES[number])

    @rule(number=numbers, passes=st.booleans())
    def verify(self, number: int, passes: bool) -> None:
        name = NAMES[number]
        gates = [PASSED if passes else FAILED]
        allowed = self.state.get(name) in {"built", "verified", "rejected", "retired"}
        if self.attempt(allowed, lambda: self.store.record_gates(name, gates, actor="ann")):
            self.state[name] = "verified" if passes else "rejected"

    @rule(number=numbers)
    def begin_staging(self, number: int) -> None:
        name = NAMES[number]
        state = self.state.get(name)
        allowed = state in {"verified", "staging", "staged"}
        done = self.attempt(allowed, lambda: self.store.begin_staging(name, actor="ann"))
        if done and state == "verified":
            self.state[name] = "staging"

    @rule(number=numbers, fails=st.booleans())
    def end_staging(self, number: int, fails: bool) -> None:
        name = NAMES[number]
        target = "verified" if fails else "staged"
        call = (
            (lambda: self.store.fail_staging(name, "no memory"))
            if fails
            else (lambda: self.store.finish_staging(name))
        )
        if self.attempt(self.state.get(name) in {"staging", target}, call):
            self.state[name] = target

    @rule(number=numbers, behind=st.sampled_from([None, 0, 0, 1]))
    def activate(self, number: int, behind: int | None) -> None:
        name = NAMES[number]
        expected = None if behind is None else self.version - behind
        allowed = not behind and self.state.get(name) in {"staged", "active"}
        call = lambda: self.store.activate(name, expected_version=expected, actor="ann")  # noqa: E731
        if self.attempt(allowed, call) and self.active != name:
            self.switch(name)
            self.was_back = False

    @rule(behind=st.sampled_from([None, 0, 1]))
    def roll_back(self, behind: int | None) -> None:
        expected = None if behind is None else self.version - behind
        warm = self.previous is not None and self.state[self.previous] == "staged"
        twice = behind is None and self.was_back
        call = lambda: self.store.rollback(expected_version=expected, actor="ann")  # noqa: E731
        if self.attempt(not behind and warm and not twice, call):
            assert self.previous is not None
            self.switch(self.previous)
            self.was_back = True

    def switch(self, name: str) -> None:
        if self.active is not None:
            self.state[self.active] = "staged"
        self.state[name] = "active"
        self.active, self.previous = name, self.active
        self.version += 1

    @rule(number=numbers)
    def begin_retirement(self, number: int) -> None:
        name = NAMES[number]
        state = self.state.get(name)
        allowed = state not in {None, "active", "dropped"}
        done = self.attempt(allowed, lambda: self.store.begin_retirement(name, actor="ann"))
        if done and state != "retired":
            self.state[name] = "draining"

    @rule(number=numbers)
    def finish_retirement(self, number: int) -> None:
        name = NAMES[number]
        state = self.state.get(name)
        allowed = state == "retired" or (state == "draining" and not self.in_flight(name))
        if self.attempt(allowed, lambda: self.store.finish_retirement(name)):
            self.state[name] = "retired"

    @rule(number=numbers, aliased=st.sampled_from([False, False, True]))
    def drop(self, number: int, aliased: bool) -> None:
        name = NAMES[number]
        twin = NAMES[number ^ 1]  # of the same collection
        state = self.state.get(name)
        unused = self.state.get(twin, "dropped") == "dropped"
        free = state == "retired" and name not in self.pinned and unused and not aliased
        aliases = ["pirta_active"] if aliased else []
        call = lambda: self.store.mark_dropped(name, actor="ann", aliases=aliases)  # noqa: E731
        if self.attempt(state == "dropped" or free, call):
            self.state[name] = "dropped"

    @rule(number=numbers, pinned=st.booleans())
    def pin(self, number: int, pinned: bool) -> None:
        name = NAMES[number]
        call = self.store.pin if pinned else self.store.unpin
        if self.attempt(name in self.state, lambda: call(name, actor="ann")):
            (self.pinned.add if pinned else self.pinned.discard)(name)

    @rule()
    def begin_request(self) -> None:
        self.num_requests += 1
        request_id = f"r-{self.num_requests}"
        try:
            ticket = self.store.begin_request(request_id, ttl_s=60)
        except NoActiveReleaseError:
            assert self.active is None
            return
        assert ticket.release.release_id == self.active
        assert ticket.withdrawn == self.withdrawn
        self.leases[request_id] = (ticket.release.release_id, self.now_s + 60)

    @rule(which=st.integers(0, 20))
    def end_request(self, which: int) -> None:
        request_id = f"r-{which}"
        self.store.end_request(request_id)
        self.leases.pop(request_id, None)

    @rule(case=st.integers(0, 3))
    def withdraw(self, case: int) -> None:
        self.store.withdraw(f"c-{case}", reason="wrong label", actor="ann")
        self.withdrawn.add(f"c-{case}")

    @rule(seconds=st.integers(1, 50))
    def wait(self, seconds: int) -> None:
        self.hands.move(seconds=seconds)
        self.now_s += seconds

    @invariant()
    def the_store_says_what_the_model_says(self) -> None:
        stored = {one.release_id: one for one in self.store.list()}
        assert {name: one.state for name, one in stored.items()} == self.state
        assert {name for name, one in stored.items() if one.pinned} == self.pinned
        switch = self.store.active()
        known = switch and (switch.release_id, switch.previous_release_id, switch.version)
        assert known == (self.active and (self.active, self.previous, self.version))
        wanted = {release.release_id for release in self.store.wanted()}
        assert wanted == {name for name in self.state if self.state[name] in WANTED_STATES}
        for name in self.state:
            assert self.store.in_flight(name) == self.in_flight(name)


def test_any_order_of_steps_leaves_the_store_as_the_plain_model_says(tmp_path: Path) -> None:
    store = ReleaseStore(f"sqlite:///{tmp_path / 'releases.db'}")
    store.migrate()
    store.close()
    StoreMachine.empty = tmp_path / "releases.db"
    run_state_machine_as_test(
        StoreMachine,
        settings=settings(
            max_examples=20,
            stateful_step_count=30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
