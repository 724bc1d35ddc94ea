"""The loop's plan and rates follow from the settings alone."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from pirta.errors import TrainingError
from train_jobs.writer_loop import batch_plan, learning_rate, row_parts
from train_jobs.writer_presets import (
    ADAPTER_RUNS,
    BASE_RUNS,
    LoopSettings,
    adapter_paper,
    named_run,
)
from train_jobs.writer_tokens import TokenRow, batch_of

SETTINGS = LoopSettings(
    epochs=3, batch_size=4, learning_rate=1e-3, answers_only=True, save_every_steps=10
)


def test_each_epoch_shows_each_row_once_but_for_incomplete_batches() -> None:
    lengths = np.random.default_rng(0).integers(5, 90, size=130).tolist()
    plan = batch_plan(lengths, SETTINGS)
    steps = len(plan) // 3
    assert steps == 32
    for epoch in range(3):
        rows = [row for batch in plan[epoch * steps : (epoch + 1) * steps] for row in batch]
        assert len(rows) == len(set(rows)) == 128
        assert all(len(batch) == 4 for batch in plan)
    assert plan == batch_plan(lengths, SETTINGS)
    assert plan[:steps] != plan[steps : 2 * steps]


def test_rows_of_like_length_share_a_step() -> None:
    lengths = np.random.default_rng(0).integers(5, 90, size=256).tolist()
    plan = batch_plan(lengths, SETTINGS)
    spread = [
        max(lengths[row] for row in batch) - min(lengths[row] for row in batch) for batch in plan
    ]
    assert float(np.mean(spread)) < 12


def test_the_rate_warms_up_then_falls_to_a_tenth() -> None:
    rates = [learning_rate(step, 200, SETTINGS) for step in range(200)]
    assert rates[0] == pytest.approx(1e-4)
    assert max(rates) == pytest.approx(1e-3)
    assert rates.index(max(rates)) in (9, 10)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] == pytest.approx(1e-4, rel=0.01)


@pytest.mark.parametrize("runs", [BASE_RUNS, ADAPTER_RUNS])
def test_every_named_run_is_called_by_its_name(runs: dict[str, object]) -> None:
    for name in runs:
        assert named_run(runs, name).name == name  # type: ignore[arg-type, attr-defined]


def test_an_unknown_run_is_named_with_the_known_ones() -> None:
    with pytest.raises(TrainingError, match=r"no run 'big'.*paper, qlora, demo, tiny"):
        named_run(ADAPTER_RUNS, "big")


def test_the_papers_run_is_the_papers() -> None:
    run = adapter_paper()
    assert run.base_name == "meta-llama/Meta-Llama-3-8B-Instruct"
    assert (run.loop.epochs, run.loop.batch_size) == (10, 16)
    assert run.loop.answers_only
    assert (run.num_beside_real, run.real_copies) == (0, 1)


def test_the_papers_loss_sees_the_answers_tokens_and_no_others() -> None:
    rows = [TokenRow((1, 2, 3, 4, 5), 3), TokenRow((1, 6, 7), 2)]
    _, mask_BT, labels_BT = batch_of(rows, pad_id=0, answers_only=adapter_paper().loop.answers_only)
    assert labels_BT.tolist() == [[-100, -100, -100, 4, 5], [-100, -100, 7, -100, -100]]
    assert mask_BT.tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]


@pytest.mark.parametrize("rows_at_once", [1, 2, 3, 8])
def test_a_step_in_parts_has_the_whole_batchs_loss_and_gradient(rows_at_once: int) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=64, hidden_size=16, intermediate_size=24, num_hidden_layers=1,
            num_attention_heads=2, num_key_value_heads=1,
        )
    )  # fmt: skip
    rng = np.random.default_rng(0)
    rows = [
        TokenRow(tuple(rng.integers(1, 64, size=length).tolist()), length // 2)
        for length in (6, 9, 14, 7, 11)
    ]
    ids_BT, mask_BT, labels_BT = batch_of(rows, pad_id=0, answers_only=True)
    whole = model(input_ids=ids_BT, attention_mask=mask_BT, labels=labels_BT).loss
    whole.backward()
    expected = {name: value.grad.clone() for name, value in model.named_parameters()}
    model.zero_grad()
    total = 0.0
    for part, share in row_parts(labels_BT, rows_at_once):
        loss = (
            share
            * model(
                input_ids=ids_BT[part], attention_mask=mask_BT[part], labels=labels_BT[part]
            ).loss
        )
        loss.backward()
        total += float(loss.detach())
    assert total == pytest.approx(float(whole.detach()), rel=1e-5)
    for name, value in model.named_parameters():
        torch.testing.assert_close(value.grad, expected[name], rtol=1e-4, atol=1e-6)
