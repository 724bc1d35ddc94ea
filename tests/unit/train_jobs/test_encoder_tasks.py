"""Losses, rates, state and presets of the encoder's jobs, without Ray."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch.nn.functional import log_softmax, normalize

from pirta.errors import TrainingError
from pirta.models.config import tiny
from pirta.models.encoder import NUM_FINDING_ENTRIES, TerritoryEncoder
from train_jobs.data import UNKNOWN, Batch
from train_jobs.launch import _check_snapshot
from train_jobs.optimizer import make_optimizer, set_rate
from train_jobs.presets import (
    MAE_RUNS,
    TERRITORY_RUNS,
    find_run,
    mae_paper,
    mae_tiny,
    territory_paper,
    territory_tiny,
)
from train_jobs.progress import ProgressFollower, ProgressWriter, describe
from train_jobs.run_folder import claim_run_dir
from train_jobs.state import load_state, save_state
from train_jobs.tasks import MaeTask, TerritoryTask, cell_loss, contrast_loss, finding_loss


def _batch(labels: list[int], lesion: torch.Tensor) -> Batch:
    kinds = torch.tensor([UNKNOWN if label == 0 else 1 for label in labels])
    known = torch.ones(len(labels))
    return Batch(torch.zeros(1), torch.tensor(labels), lesion, known, kinds, kinds)


def test_the_cell_loss_equals_the_sum_cell_by_cell() -> None:
    torch.manual_seed(0)
    logits, lesion = torch.randn(2, 3, 4, 4), torch.rand(2, 3, 4)
    lesion[0] = 0
    total = 0.0
    for b, label in enumerate([0, 2]):
        for n in range(3):
            for m in range(4):
                share = float(lesion[b, n, m])
                logs = log_softmax(logits[b, n, m], dim=0)
                total -= 5.0 * share * float(logs[label]) + (1 - share) * float(logs[0])
    found = cell_loss(logits, _batch([0, 2], lesion), 5.0)
    assert math.isclose(float(found), total / (0.02 * 24), rel_tol=1e-5)


def test_a_stroke_whose_lesion_nobody_drew_teaches_no_cell_anything() -> None:
    logits = torch.randn(2, 3, 4, 4, requires_grad=True)
    batch = replace(_batch([1, 2], torch.zeros(2, 3, 4)), lesion_known_B=torch.tensor([0.0, 1.0]))
    cell_loss(logits, batch, 5.0).backward()
    assert logits.grad is not None
    assert not logits.grad[0].any()
    assert logits.grad[1].any()


@pytest.mark.parametrize("stage", ["mae", "territory"])
def test_held_out_volumes_go_where_the_network_is(stage: str, synthetic_store: str) -> None:
    """The meta device refuses a tensor of another device, as a GPU does."""
    task = (
        MaeTask(mae_tiny(), synthetic_store)
        if stage == "mae"
        else TerritoryTask(territory_tiny(), synthetic_store, None)
    )
    seen: list[str] = []

    class Recorder(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.weight = torch.nn.Parameter(torch.zeros(1, device="meta"))

        def forward(self, volume_BCXYZ: torch.Tensor) -> torch.Tensor:
            seen.append(volume_BCXYZ.device.type)
            raise InterruptedError

    task.model = Recorder()  # type: ignore[assignment]
    with pytest.raises(InterruptedError):
        task.validate()
    assert seen == ["meta"]


def test_the_finding_loss_of_normals_alone_is_zero_and_has_a_gradient() -> None:
    logits = torch.randn(2, NUM_FINDING_ENTRIES, requires_grad=True)
    loss = finding_loss(logits, _batch([0, 0], torch.zeros(2, 1, 1)))
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert logits.grad is not None


def test_the_contrast_loss_equals_the_mean_over_pairs_of_a_label() -> None:
    torch.manual_seed(0)
    embedding = normalize(torch.randn(5, 8), dim=1)
    labels = [0, 1, 0, 0, 2]
    terms = []
    for i, label in enumerate(labels):
        others = [j for j in range(5) if j != i]
        total = sum(math.exp(float(embedding[i] @ embedding[j]) / 0.2) for j in others)
        same = [j for j in others if labels[j] == label]
        if same:
            logs = [float(embedding[i] @ embedding[j]) / 0.2 - math.log(total) for j in same]
            terms.append(-sum(logs) / len(same))
    found = contrast_loss(embedding, torch.tensor(labels), temperature=0.2)
    assert math.isclose(float(found), sum(terms) / len(terms), rel_tol=1e-5)


@pytest.mark.parametrize("labels", [[0], [0, 1, 2]])
def test_the_contrast_loss_without_pairs_is_zero_and_its_gradient_finite(labels: list[int]) -> None:
    embedding = torch.randn(len(labels), 8, requires_grad=True)
    loss = contrast_loss(normalize(embedding, dim=1), torch.tensor(labels), temperature=0.1)
    loss.backward()
    assert float(loss.detach()) == 0.0
    assert embedding.grad is not None
    assert torch.isfinite(embedding.grad).all()


def test_the_rate_warms_up_and_falls_to_zero() -> None:
    settings = territory_tiny().model_copy(update={"num_steps": 100, "warmup_share": 0.1})
    optimizer = make_optimizer(torch.nn.Linear(2, 2), settings)
    rates = []
    for step in range(100):
        set_rate(optimizer, settings, step)
        rates.append(optimizer.param_groups[0]["lr"] / settings.learning_rate)
    assert math.isclose(rates[0], 0.1)
    assert math.isclose(max(rates), 1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.01


def test_training_goes_on_from_a_saved_state_as_if_never_stopped(tmp_path: Path) -> None:
    settings = territory_tiny()

    def step(model: TerritoryEncoder, optimizer: torch.optim.Optimizer, seed: int) -> None:
        volume = torch.rand(1, 2, 96, 112, 48, generator=torch.Generator().manual_seed(seed))
        output = model(volume)
        optimizer.zero_grad()
        (output.logits_BK.square().sum() + output.cell_logits_BNMK.mean()).backward()
        optimizer.step()

    torch.manual_seed(0)
    model = TerritoryEncoder(tiny())
    optimizer = make_optimizer(model, settings)
    step(model, optimizer, 1)
    save_state(tmp_path, model, optimizer, step=1)
    torch.manual_seed(9)
    resumed = TerritoryEncoder(tiny())
    resumed_optimizer = make_optimizer(resumed, settings)
    assert load_state(tmp_path, resumed, resumed_optimizer) == 1
    step(model, optimizer, 2)
    step(resumed, resumed_optimizer, 2)
    for one, other in zip(model.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    assert not [path for path in tmp_path.iterdir() if path.suffix not in {".safetensors", ".json"}]


def test_the_task_learns_from_the_store_and_validates_on_its_other_split(
    synthetic_store: str,
) -> None:
    task = TerritoryTask(territory_tiny(), synthetic_store, None)
    batch = task.batches()[0]
    loss, figures = task.loss(
        task.model, Batch(batch.volume_BCXYZ.float(), *list(vars(batch).values())[1:])
    )
    assert torch.isfinite(loss)
    assert set(figures) == {"classes", "cells", "contrast", "accuracy"}
    with torch.inference_mode():
        held_out = task.validate()
    assert set(held_out) == {
        "val_balanced_accuracy",
        "val_stroke_sensitivity",
        "val_stroke_specificity",
    }


def test_the_paper_runs_keep_what_the_paper_states() -> None:
    mae, territory = mae_paper(), territory_paper()
    assert (mae.keep_fraction, mae.learning_rate, mae.weight_decay) == (0.25, 6.4e-3, 0.05)
    assert (territory.learning_rate, territory.weight_decay) == (1e-3, 0.05)
    assert mae.encoder == territory.encoder
    assert mae.encoder.dimensions == 768
    assert mae.effective_batch == 4096
    assert mae.num_steps * mae.effective_batch / 39_259 == pytest.approx(500, rel=0.001)


def test_runs_of_one_name_fit_together_and_an_unknown_one_is_refused() -> None:
    for name in MAE_RUNS:
        assert find_run(MAE_RUNS, name).encoder == find_run(TERRITORY_RUNS, name).encoder
        assert find_run(MAE_RUNS, name).name == name
    with pytest.raises(TrainingError, match=r"no run 'large'.*demo, gpu, paper, tiny"):
        find_run(MAE_RUNS, "large")


def test_a_folder_holds_one_run(tmp_path: Path) -> None:
    claim_run_dir(tmp_path, {"steps": 1}, name="mae", resume=False)
    claim_run_dir(tmp_path, {"steps": 1}, name="mae", resume=True)
    with pytest.raises(TrainingError, match="holds this run already"):
        claim_run_dir(tmp_path, {"steps": 1}, name="mae", resume=False)
    with pytest.raises(TrainingError, match="other settings: steps"):
        claim_run_dir(tmp_path, {"steps": 2}, name="mae", resume=True)
    with pytest.raises(TrainingError, match="asked for 'territory'"):
        claim_run_dir(tmp_path, {"steps": 1}, name="territory", resume=True)


def test_half_a_list_of_checkpoints_is_said_with_its_remedy(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint_manager_snapshot.json"
    _check_snapshot(path)
    path.write_text('{"checkpo')
    with pytest.raises(TrainingError, match="cut short"):
        _check_snapshot(path)


def test_progress_is_followed_line_by_line_and_goes_on_after_a_resume(tmp_path: Path) -> None:
    shown: list[str] = []
    ProgressWriter(tmp_path, num_steps=4).write(1, {"loss": 0.5})
    with ProgressFollower(tmp_path, shown.append, every_s=0.01):
        ProgressWriter(tmp_path, num_steps=4, first_step=1).write(2, {"loss": 0.25})
    assert len(shown) == 1
    assert shown[0].startswith("step 2/4 · loss 0.25 · ")


def test_a_progress_line_reads_well() -> None:
    line = {"step": 5, "num_steps": 10, "steps_per_s": 0.05, "remaining_s": 200.0, "loss": 0.51}
    assert describe(line) == "step 5/10 · loss 0.51 · 0.05 steps/s · 3 min left"
