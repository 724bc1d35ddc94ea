"""The loop on a toy network, without Ray: resume, pieces, failures, and what a run leaves."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from pirta.errors import CheckpointError, StoreError, TrainingError
from pirta.models.config import demo
from train_jobs.checkpoint_store import CheckpointStore
from train_jobs.data import Batch
from train_jobs.loop import run_loop, seed_of
from train_jobs.optimizer import make_optimizer, rate, rate_scale, set_rate
from train_jobs.parallel import pieces_of, wrap
from train_jobs.presets import TerritoryRun, mae_tiny, territory_tiny
from train_jobs.progress import mend
from train_jobs.run_folder import draw_curves
from train_jobs.run_record import read_curve
from train_jobs.worker import PlainWorker

_FIGURES = ("step_s", "waiting_share")


class _ToyBatches:
    """Four volumes of four values a step, cut into pieces; see `StepBatches`."""

    def __init__(self, num_pieces: int, broken_at: int | None) -> None:
        self._num_pieces = num_pieces
        self._broken_at = broken_at

    def __getitem__(self, number: int) -> Batch:
        step, piece = divmod(number, self._num_pieces)
        size = 4 // self._num_pieces
        rows = [
            np.random.default_rng([step, piece * size + place]).normal(size=4)
            for place in range(size)
        ]
        volume = torch.tensor(np.stack(rows), dtype=torch.float32)
        if step == self._broken_at:
            volume[0, 0] = torch.nan
        labels = torch.zeros(size, dtype=torch.long)
        return Batch(volume, labels, labels, labels, labels, labels)


class ToyTask:
    """Learn a sum, with dropout: its random numbers have to be those of the step too."""

    def __init__(
        self, num_pieces: int = 1, *, broken_at: int | None = None, width: int = 8
    ) -> None:
        torch.manual_seed(0)
        self.model: nn.Module = nn.Sequential(
            nn.Linear(4, width), nn.Dropout(0.5), nn.Linear(width, 1)
        )
        self._batches = _ToyBatches(num_pieces, broken_at)

    def batches(self) -> _ToyBatches:
        return self._batches

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        error = model(batch.volume_BCXYZ)[:, 0] - batch.volume_BCXYZ.sum(dim=1)
        return error.square().mean(), {"extra": 1.0}

    def validate(self) -> dict[str, float]:
        volume = torch.ones(1, 4)
        return {"val_balanced_accuracy": float(self.model(volume).square().sum())}


class _Stopped(Exception):
    pass


class _StoppingWorker(PlainWorker):
    """Ends the run right after the checkpoint of a step is stored, as a kill would."""

    stop_after = 0

    def report(self, step: int, figures: Mapping[str, float], folder: Path | None) -> None:
        super().report(step, figures, folder)
        if step == self.stop_after:
            assert self._last is not None
            self._last.result()
            raise _Stopped


def _settings(**changes: object) -> TerritoryRun:
    fixed = {"num_steps": 8, "save_every_steps": 2, "use_bf16": False, "best_by": ""}
    return territory_tiny().model_copy(update=fixed | changes)


def _no_cases(*_: object) -> Sequence[object]:
    return ()


def _train(
    run_dir: Path, settings: TerritoryRun, task: ToyTask, *, stop_after: int = 0
) -> CheckpointStore:
    run_dir.mkdir(exist_ok=True)
    store = CheckpointStore(str(run_dir / "checkpoints"))
    worker = _StoppingWorker(store, _no_cases, device=torch.device("cpu"))  # type: ignore[arg-type]
    worker.stop_after = stop_after
    with worker:
        run_loop(task, settings, worker, run_dir=run_dir)  # type: ignore[arg-type]
    return store


def _losses(run_dir: Path) -> dict[int, float]:
    return {step: line["loss"] for step, line in read_curve(run_dir).items()}


@pytest.mark.parametrize("stop_after", [2, 6])
def test_a_run_that_was_stopped_goes_on_to_the_same_losses_and_weights(
    tmp_path: Path, stop_after: int
) -> None:
    settings = _settings()
    undisturbed, stopped = ToyTask(), ToyTask()
    _train(tmp_path / "a", settings, undisturbed)
    with pytest.raises(_Stopped):
        _train(tmp_path / "b", settings, stopped, stop_after=stop_after)
    resumed = ToyTask()
    _train(tmp_path / "b", settings, resumed)
    assert _losses(tmp_path / "a") == _losses(tmp_path / "b")
    assert len(_losses(tmp_path / "a")) == 8
    for one, other in zip(undisturbed.model.parameters(), resumed.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_gradients_of_a_steps_pieces_add_up_to_those_of_the_whole_batch(tmp_path: Path) -> None:
    whole, cut = ToyTask(1), ToyTask(4)
    for task in (whole, cut):
        task.model[1] = nn.Identity()  # type: ignore[operator]  # masks are drawn piece by piece
    _train(tmp_path / "whole", _settings(), whole)
    _train(tmp_path / "cut", _settings(batch_size=1, accumulate_steps=4), cut)
    one, other = _losses(tmp_path / "whole"), _losses(tmp_path / "cut")
    assert list(one) == list(other)
    np.testing.assert_allclose(list(one.values()), list(other.values()), rtol=1e-5)


def test_a_loss_that_is_no_number_ends_the_run_and_the_last_checkpoint_stays(
    tmp_path: Path,
) -> None:
    with pytest.raises(TrainingError, match=r"loss of step 6 is nan.*learning rate"):
        _train(tmp_path / "run", _settings(), ToyTask(broken_at=5))
    latest = CheckpointStore(str(tmp_path / "run" / "checkpoints")).latest()
    assert latest is not None
    assert latest.step == 4


def test_a_checkpoint_of_another_network_is_refused(tmp_path: Path) -> None:
    with pytest.raises(_Stopped):
        _train(tmp_path / "run", _settings(), ToyTask(), stop_after=2)
    with pytest.raises(CheckpointError, match="do not fit the network"):
        _train(tmp_path / "run", _settings(), ToyTask(width=9))


def test_a_storage_that_fails_ends_the_run_with_a_remedy(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: CheckpointStore, folder: Path, *, step: int, figures: object) -> str:
        if step == 4:
            raise StoreError("The output cannot be written: no space is left.", remedy="")
        return publish(self, folder, step=step, figures=figures)  # type: ignore[arg-type]

    publish = CheckpointStore.publish
    monkeypatch.setattr(CheckpointStore, "publish", fail)
    with pytest.raises(TrainingError, match=r"no space is left.*run the same command"):
        _train(tmp_path / "run", _settings(), ToyTask())
    monkeypatch.undo()
    store = _train(tmp_path / "run", _settings(), ToyTask())
    latest = store.latest()
    assert latest is not None
    assert latest.step == 8
    _train(tmp_path / "undisturbed", _settings(), ToyTask())
    assert _losses(tmp_path / "run") == _losses(tmp_path / "undisturbed")


def test_a_run_leaves_its_curve_events_summary_and_picture(tmp_path: Path) -> None:
    run = tmp_path / "run"
    _train(run, _settings(num_steps=12), ToyTask())
    line = read_curve(run)[12]
    assert set(line) == {"step", "loss", "extra", "learning_rate", *_FIGURES}
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["last_step"], summary["steady_steps"]) == (12, 7)
    assert 0 <= summary["waiting_share"] <= 1
    assert summary["examples_per_s"] > 0
    assert list((run / "tensorboard").glob("events.*"))
    picture = draw_curves(run)
    assert picture is not None
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert draw_curves(tmp_path) is None


def test_a_line_cut_short_by_a_kill_costs_that_line_alone(tmp_path: Path) -> None:
    path = tmp_path / "curve.jsonl"
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "lo')
    mend(path)
    with path.open("a") as stream:
        stream.write('{"step": 2, "loss": 1.0}\n')
    assert _losses(tmp_path) == {1: 2.0, 2: 1.0}


def test_the_rate_follows_the_depth_of_a_layer() -> None:
    settings = territory_tiny().model_copy(update={"encoder": demo(), "layer_decay": 0.5})
    depths = {
        "vit.patch_embedding.first.weight": 5,
        "vit.blocks.0.mlp.linear1.weight": 4,
        "vit.blocks.3.attn.qkv.weight": 1,
        "net.blocks.4.weight": 0,  # the norm after the last block
        "net.decoder_blocks.0.mlp.linear1.weight": 0,
        "class_head.weight": 0,
    }
    for name, below in depths.items():
        assert rate_scale(name, settings) == 0.5**below, name
    flat = settings.model_copy(update={"layer_decay": 1.0})
    assert {rate_scale(name, flat) for name in depths} == {1.0}


def test_each_group_gets_its_share_of_the_rate_and_decay_is_for_matrices() -> None:
    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.ModuleList([nn.Linear(2, 2)])
            self.head = nn.Linear(2, 2)

    settings = territory_tiny().model_copy(update={"layer_decay": 0.5})
    optimizer = make_optimizer(Network(), settings)
    set_rate(optimizer, settings, 3)
    found = {(group["lr"], group["weight_decay"]) for group in optimizer.param_groups}
    of_step = rate(settings, 3)
    assert found == {(share * of_step, decay) for share in (1, 0.5) for decay in (0.05, 0.0)}


@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_every_piece_is_taken_once_by_however_many_workers(world: int) -> None:
    settings = mae_tiny().model_copy(update={"num_workers": (1, 4), "accumulate_steps": 3})
    assert settings.effective_batch == 24
    taken = [pieces_of(settings, rank=rank, world=world) for rank in range(world)]
    assert sorted(piece for pieces in taken for piece in pieces) == list(range(12))


def test_workers_without_a_piece_and_unequal_shares_of_fsdp2_are_refused() -> None:
    settings = mae_tiny().model_copy(update={"num_workers": (1, 4)})
    with pytest.raises(TrainingError, match="4 pieces cannot be shared out among 5 workers"):
        pieces_of(settings, rank=0, world=5)
    cut = settings.model_copy(update={"strategy": "fsdp2"})
    with pytest.raises(TrainingError, match=r"among 3 workers \(fsdp2\).*accumulate_steps"):
        pieces_of(cut, rank=0, world=3)


def test_activations_computed_again_give_the_same_gradients() -> None:
    from train_jobs.tasks import make_mae

    volume = torch.rand(1, 2, 96, 112, 48, generator=torch.Generator().manual_seed(0))
    gradients = []
    for again in (False, True):
        settings = mae_tiny().model_copy(update={"checkpoint_activations": again})
        model = wrap(make_mae(settings), settings, world=1)
        torch.manual_seed(1)
        model(volume).backward()
        gradients.append([value.grad for value in model.parameters() if value.grad is not None])
    for one, other in zip(*gradients, strict=True):
        assert torch.equal(one, other)


def test_seeds_differ_by_step_and_piece() -> None:
    seeds = {seed_of(0, step, piece) for step in range(20) for piece in range(20)}
    assert len(seeds) == 400
    assert seed_of(1, 2, 3) == seed_of(1, 2, 3)
