"""What the ports make of the errors that Ray raises."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from ray.exceptions import ActorDiedError, RayTaskError
from ray.serve.exceptions import BackPressureError

from pirta.errors import GeometryError, PirtaError, UnavailableError
from serve_apps import handles
from serve_apps.handles import call


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(handles, "_PAUSE_S", 0.0)


def answers(*outcomes: Any) -> Callable[[], Any]:
    left = list(outcomes)

    async def one() -> Any:
        outcome = left.pop(0)
        if isinstance(outcome, BaseException):
            raise outcome
        return outcome

    return one


def through_ray(error: Exception, *, hops: int = 1) -> Exception:
    for _ in range(hops):
        error = RayTaskError("f", "traceback", error).as_instanceof_cause()
    return error


async def test_a_call_whose_replica_died_is_sent_again() -> None:
    assert await call("encoder", answers(ActorDiedError(), ActorDiedError(), 7)) == 7


async def test_a_replica_that_keeps_dying_is_unavailable() -> None:
    with pytest.raises(UnavailableError, match="encoder died 3 times"):
        await call("encoder", answers(*[ActorDiedError()] * 3, 7))


@pytest.mark.parametrize("hops", [1, 2, 3])
async def test_a_typed_error_comes_back_as_itself_through_every_replica(hops: int) -> None:
    raised = GeometryError("It is 4D.", remedy="Send a 3D volume.")
    with pytest.raises(GeometryError) as caught:
        await call("preprocessor", answers(through_ray(raised, hops=hops)))
    assert type(caught.value) is GeometryError
    assert (caught.value.message, caught.value.remedy) == (raised.message, raised.remedy)


async def test_a_typed_error_is_not_tried_again() -> None:
    with pytest.raises(GeometryError):
        await call("p", answers(through_ray(GeometryError("x", remedy="y")), 7))


async def test_a_full_queue_is_unavailable_at_once() -> None:
    for error in (BackPressureError(8, 8), through_ray(BackPressureError(8, 8))):
        with pytest.raises(UnavailableError):
            await call("encoder", answers(error, 7))


async def test_a_fault_of_ours_is_not_made_a_typed_error() -> None:
    with pytest.raises(RayTaskError) as caught:
        await call("encoder", answers(through_ray(ZeroDivisionError("x"))))
    assert not isinstance(caught.value, PirtaError)
