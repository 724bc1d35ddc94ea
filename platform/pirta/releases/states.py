"""The life of a release: its states, and which step leads from where to where.

    built -> verified | rejected          the gates; they may be measured again
    verified -> staging -> staged         every replica loads it beside the active one
    staged -> active -> staged            a switch; the one before stays warm for the way back
    any but active -> draining -> retired -> dropped
    retired -> verified | rejected        to be served again it passes the gates again

Nothing is stored here; see `pirta.releases.lifecycle`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from pirta.errors import ReleaseStateError

State = Literal[
    "built", "verified", "rejected", "staging", "staged", "active", "draining", "retired", "dropped"
]  # fmt: skip
STATES: tuple[State, ...] = get_args(State)

# Replicas hold the parts of releases in these states, and of no others.
WANTED_STATES: tuple[State, ...] = ("staging", "staged", "active", "draining")


@dataclass(frozen=True)
class Step:
    """A step that an operator, or the driver on his behalf, asks for.

    Attributes:
        sources: states from which it goes.
        done: states in which it has been done already; asked for again it changes nothing.
    """

    name: str
    sources: tuple[State, ...]
    done: tuple[State, ...] = ()

    def is_due(self, release_id: str, state: State) -> bool:
        """Return whether the step is still to be done.

        Raises:
            ReleaseStateError: the step does not go from this state.
        """
        if state in self.done:
            return False
        if state not in self.sources:
            needed = " or ".join(self.sources)
            raise ReleaseStateError(
                f"Release {release_id} is {state}; {self.name} needs it {needed}.",
                remedy=_WAYS_ON[state].format(release_id),
            )
        return True


VERIFY = Step("verify", ("built", "verified", "rejected", "retired"))
BEGIN_STAGING = Step("stage", ("verified",), done=("staging", "staged"))
FINISH_STAGING = Step("stage", ("staging",), done=("staged",))
FAIL_STAGING = Step("stage", ("staging",), done=("verified",))
ACTIVATE = Step("activate", ("staged",))
ROLL_BACK = Step("rollback", ("staged",))
BEGIN_RETIREMENT = Step(
    "retire", ("built", "rejected", "verified", "staging", "staged"), done=("draining", "retired")
)
FINISH_RETIREMENT = Step("retire", ("draining",), done=("retired",))
DROP = Step("drop", ("retired",), done=("dropped",))

_WAYS_ON: dict[State, str] = {
    "built": "Verify it: `pirta release verify {}`.",
    "rejected": "Look at its gates with `pirta release show {}`, and build one that passes.",
    "verified": "Stage it: `pirta release stage {}`.",
    "staging": "Let its replicas finish, or go on with `pirta release stage {}`.",
    "staged": "Activate it with `pirta release activate {0}`, or retire it with "
    "`pirta release retire {0}`.",
    "active": "Activate another release first, or roll back.",
    "draining": "Let its last requests end: `pirta release retire {}` waits for them.",
    "retired": "To serve it again, begin with `pirta release verify {0}`; `pirta release drop {0}` "
    "removes its collection.",
    "dropped": "Its collection is gone: build it again.",
}
