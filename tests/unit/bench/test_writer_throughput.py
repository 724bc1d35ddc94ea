"""The baseline answers as it should, and a queue's waits are those of a queue that is simulated."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.__main__ import ON_REQUEST
from bench.writer_throughput import PlainWriter, drawn_prompts, waits_in_a_queue
from pirta.reporting.answer import parse_answer
from pirta.settings import WriterSettings


def simulated(one_s: list[float], clients: int) -> list[float]:
    """Let clients queue one by one: each asks again at the moment that it is answered."""
    now_s, asked_s, waits = 0.0, [0.0] * clients, []
    for number, taken_s in enumerate(one_s):
        now_s += taken_s
        client = number % clients
        waits.append(now_s - asked_s[client])
        asked_s[client] = now_s
    return waits


@given(st.lists(st.floats(0.001, 10), min_size=1, max_size=60), st.integers(1, 9))
def test_waits_are_those_of_clients_that_stand_in_a_queue(one_s: list[float], clients: int) -> None:
    found = waits_in_a_queue(one_s, clients=clients)
    expected = simulated(one_s, clients)
    # Once everybody has been answered, each wait is a full round of the queue.
    assert found[1:] == pytest.approx(expected[clients:])


def test_one_client_waits_for_its_own_answers_only() -> None:
    assert waits_in_a_queue([1.0, 2.0, 3.0], clients=1) == pytest.approx([1.0, 2.0, 3.0])


def test_prompts_follow_from_their_seed_and_are_new_at_each() -> None:
    assert drawn_prompts(3, 5) == drawn_prompts(3, 5)
    assert set(drawn_prompts(3, 20)).isdisjoint(drawn_prompts(4, 20))


def test_the_baseline_answers_the_same_alone_and_in_a_batch_padded_on_the_left() -> None:
    plain, prompts = PlainWriter(WriterSettings()), drawn_prompts(0, 4)
    assert len({len(prompt) for prompt in prompts}) > 1
    alone = plain.answers(prompts, batch_size=1)
    assert plain.answers(prompts, batch_size=4) == alone
    assert all(parse_answer(answer) for answer in alone)


def test_the_benchmark_is_known_by_its_name() -> None:
    assert "writer_throughput" in ON_REQUEST
