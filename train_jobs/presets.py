"""Named runs of the encoder's two jobs, as functions that return a frozen settings record.

`paper` keeps what the paper states and says where it is silent; `gpu` is for one GPU; `demo`
makes the weights that ship with the repository on two cores; `tiny` is for tests.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from pirta.errors import TrainingError
from pirta.models import config as sizes
from pirta.models.config import EncoderConfig

Run = TypeVar("Run", bound="LoopSettings")


class LoopSettings(BaseModel):
    """What both jobs' training loop needs.

    A step's batch is cut into `num_pieces` pieces of `batch_size` volumes, a number that does not
    change with the workers there are: where an elastic run has fewer than its most, each takes
    more pieces, and the curve stays the same.

    Attributes:
        num_steps: optimizer steps.
        batch_size: volumes of a piece, which go through the network at once.
        accumulate_steps: pieces a worker takes before the optimizer's step, where all are there.
        real_share: share of stroke examples that are cohort cases, not fresh insertions.
        guest_share: share of the normal brains and hosts that come from a second store, where
            one is given: a hospital's own normals.
        site_balanced: every site equally often, whatever number of cases it has.
        num_workers: Ray Train workers, or (fewest, most) for an elastic run.
        num_threads: torch threads a worker.
        loader_processes: processes beside a worker that make its examples.
        save_every_steps: steps between two checkpoints to resume from.
        use_bf16: autocast to bfloat16 where the device has units for it; emulated, as on a CPU
            with AVX2 alone, a step takes about ten times as long.
        layer_decay: the rate of each layer as a share of that of the next one above; 1 is off.
        strategy: how several workers hold the network: "ddp" a copy each, "fsdp2" cut over them.
        checkpoint_activations: blocks compute their activations again in the backward pass: about
            a third more time for a fraction of the memory.
        best_by: the held-out figure whose best checkpoint is kept beside the last ones, empty
            for none; `best_is_lowest` where less of it is better.
        max_failures: how often Ray Train replaces lost or failed workers.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    encoder: EncoderConfig
    num_steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    accumulate_steps: int = Field(default=1, ge=1)
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=0.05, ge=0)
    warmup_share: float = Field(default=0.05, ge=0, lt=1)
    clip_norm: float = Field(default=1.0, gt=0)
    real_share: float = Field(default=0.25, ge=0, le=1)
    guest_share: float = Field(default=0.25, ge=0, le=1)
    site_balanced: bool = False
    seed: int = 0
    num_workers: int | tuple[int, int] = 1
    num_threads: int = Field(default=1, ge=1)
    loader_processes: int = Field(default=1, ge=0)
    save_every_steps: int = Field(ge=1)
    use_gpu: bool = False
    use_bf16: bool = True
    layer_decay: float = Field(default=1.0, gt=0, le=1)
    strategy: Literal["ddp", "fsdp2"] = "ddp"
    checkpoint_activations: bool = False
    best_by: str = ""
    best_is_lowest: bool = False
    max_failures: int = Field(default=3, ge=0)

    @property
    def num_pieces(self) -> int:
        """Pieces of a step's batch."""
        workers = self.num_workers
        return self.accumulate_steps * (workers if isinstance(workers, int) else workers[1])

    @property
    def effective_batch(self) -> int:
        """Volumes of an optimizer step, over all workers."""
        return self.batch_size * self.num_pieces


class MaeRun(LoopSettings):
    """Stage 1. `keep_fraction` is the paper's q; the decoder's size is ours.

    Attributes:
        num_volumes: how many of the store's volumes are seen; None: all.
    """

    num_volumes: int | None = Field(default=None, ge=1)
    keep_fraction: float = Field(default=0.25, gt=0, lt=1)
    decoder_size: int = Field(default=128, ge=4)
    best_by: str = "val_mae_error"
    best_is_lowest: bool = True


class TerritoryRun(LoopSettings):
    """Stage 2: territory classes, with the lesion map beside them.

    Attributes:
        cell_weight: of the lesion map's loss; without it small cohorts are learnt by heart.
        finding_weight: of the infarct type's and class's loss: it orders the neighbours within
            a territory.
        lesion_cell_weight: of a lesion cell against an empty one.
        contrast_weight: of the loss that draws a label's embeddings together: retrieval looks at
            them, and the class head alone leaves them spread.
        contrast_temperature: of that loss; lower looks at the nearest only.
    """

    cell_weight: float = Field(default=1.0, ge=0)
    finding_weight: float = Field(default=0.2, ge=0)
    lesion_cell_weight: float = Field(default=6.0, gt=0)
    contrast_weight: float = Field(default=0.3, ge=0)
    contrast_temperature: float = Field(default=0.1, gt=0)
    best_by: str = "val_balanced_accuracy"


def mae_paper() -> MaeRun:
    """Stated: q 0.25, AdamW, MSE, rate 6.4e-3, decay 0.05, 500 epochs of 39,259 volumes.

    Silent: the batch. 4096 is what MAE trains with, in whose rule (1.5e-4 for each 256) it stands
    for 2.4e-3; 6.4e-3 asks for no smaller one. Warm-up over 40 epochs, as there. 8 workers of
    8 pieces of 64 volumes; on fewer workers each takes more pieces, and the curve is the same.
    """
    return MaeRun(
        name="paper",
        encoder=sizes.paper(),
        num_steps=500 * 39_259 // 4096,
        batch_size=64,
        accumulate_steps=8,
        learning_rate=6.4e-3,
        warmup_share=0.08,
        num_workers=(1, 8),
        loader_processes=8,
        decoder_size=384,
        save_every_steps=50,
        use_gpu=True,
    )


def mae_gpu() -> MaeRun:
    """One GPU of 24 GB and some hundred to a few thousand volumes: hours.

    The paper's network at an effective batch of 256; the rate follows MAE's rule for it, with the
    paper's share: 6.4e-3 / 16.
    """
    return MaeRun(
        name="gpu",
        encoder=sizes.paper(),
        num_steps=8000,
        batch_size=64,
        accumulate_steps=4,
        learning_rate=4e-4,
        warmup_share=0.08,
        loader_processes=8,
        decoder_size=384,
        save_every_steps=250,
        use_gpu=True,
    )


def mae_demo() -> MaeRun:
    """A short pretraining on two cores."""
    return MaeRun(
        name="demo",
        encoder=sizes.demo(),
        num_steps=200,
        batch_size=16,
        learning_rate=1e-3,
        warmup_share=0.1,
        save_every_steps=50,
    )


def mae_tiny() -> MaeRun:
    """For tests: a few seconds."""
    return MaeRun(
        name="tiny",
        encoder=sizes.tiny(),
        num_steps=6,
        batch_size=2,
        learning_rate=1e-3,
        decoder_size=16,
        loader_processes=0,
        save_every_steps=2,
    )


def territory_paper() -> TerritoryRun:
    """Stated: linear head, cross-entropy, AdamW, rate 1e-3, decay 0.05, 1000 epochs (827 cases).

    Silent: the batch; 64 here, so 12,921 steps. Ours: the lesion map's, the finding's and the
    contrast's losses; weight 0 turns each off. `layer_decay` stays 1: the paper has none.
    """
    return TerritoryRun(
        name="paper",
        encoder=sizes.paper(),
        num_steps=1000 * 827 // 64,
        batch_size=16,
        learning_rate=1e-3,
        real_share=1.0,
        num_workers=(1, 4),
        loader_processes=8,
        save_every_steps=500,
        use_gpu=True,
    )


def territory_gpu() -> TerritoryRun:
    """One GPU of 24 GB, from the weights of the MAE run of this name, fresh lesions: hours.

    The stem and the lower blocks keep more of what they learnt (`layer_decay` 0.75, as MAE's own
    fine-tuning of ViT-B); pieces of 32 let the contrast loss meet each label several times.
    """
    return TerritoryRun(
        name="gpu",
        encoder=sizes.paper(),
        num_steps=6000,
        batch_size=32,
        accumulate_steps=2,
        learning_rate=5e-4,
        layer_decay=0.75,
        loader_processes=8,
        save_every_steps=250,
        use_gpu=True,
    )


def territory_demo() -> TerritoryRun:
    """What ships with the repository."""
    return TerritoryRun(
        name="demo",
        encoder=sizes.demo(),
        num_steps=2400,
        batch_size=16,
        learning_rate=1e-3,
        save_every_steps=100,
    )


def territory_tiny() -> TerritoryRun:
    """For tests: a few seconds."""
    return TerritoryRun(
        name="tiny",
        encoder=sizes.tiny(),
        num_steps=6,
        batch_size=2,
        learning_rate=1e-3,
        loader_processes=0,
        save_every_steps=2,
    )


MAE_RUNS: Mapping[str, Callable[[], MaeRun]] = {
    "paper": mae_paper,
    "gpu": mae_gpu,
    "demo": mae_demo,
    "tiny": mae_tiny,
}
TERRITORY_RUNS: Mapping[str, Callable[[], TerritoryRun]] = {
    "paper": territory_paper,
    "gpu": territory_gpu,
    "demo": territory_demo,
    "tiny": territory_tiny,
}


def find_run(runs: Mapping[str, Callable[[], Run]], name: str) -> Run:
    """Return the run of that name.

    Raises:
        TrainingError: there is none.
    """
    if name not in runs:
        raise TrainingError(
            f"There is no run '{name}'.", remedy=f"The runs are: {', '.join(sorted(runs))}."
        )
    return runs[name]()
