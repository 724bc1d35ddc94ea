"""Training examples for the encoder, made afresh at every step from (seed, step, place).

A normal brain gets a new infarct by the physics of `pirta.cohort.lesions`, so that no case can
be learnt by heart; real lesion cases are mixed in. An example depends on the three numbers alone,
its place being that in the batch of all workers: a run that was killed goes on with the very
examples it would have seen, on however many workers.

Axis suffixes: B batch, C channels, X Y Z voxels (RAS+, 2x2x4 mm), N tokens and M cells a token
as in `pirta.models`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pirta.cohort.lesions import grow_lesion, insert_lesion, plan_lesion
from pirta.contracts.finding import LABELS, Finding, InfarctType, Label, LesionClass
from pirta.contracts.study import GRID_SPACING_MM
from pirta.errors import ManifestError
from pirta.models.config import EncoderConfig
from pirta.models.patches import to_patches
from train_jobs.augment import NoiseBank, Strength, normalise, vary
from train_jobs.pose import Pose, draw_pose, move
from train_jobs.training_pool import PoolCase, TrainingPool

Groups: TypeAlias = tuple[tuple[PoolCase, ...], ...]

UNKNOWN = -100  # torch's cross-entropy leaves such targets out

# A lesion of 16 voxels (0.25 ml) in a cell makes it a full lesion cell.
_FULL_CELL_VOXELS = 16.0
# What counts as seen: the DWI rose by this share.
_VISIBLE_RISE = 1.08
_LEAST_VISIBLE_VOXELS = 6
_NOISE_SEED = 20260


@dataclass(frozen=True)
class Example:
    """One volume with its answer; `lesion_XYZ` is 1 where lesion shows."""

    volume_CXYZ: NDArray[np.float32]
    lesion_XYZ: NDArray[np.uint8]
    label: Label
    finding: Finding | None


@dataclass(frozen=True)
class Batch:
    """Examples as tensors.

    Attributes:
        labels_B: index in `LABELS`.
        lesion_BNM: how much each cell is lesion, 0 to 1.
        infarct_types_B, classes_B: index of the finding's parts, UNKNOWN for normals.
    """

    volume_BCXYZ: Tensor
    labels_B: Tensor
    lesion_BNM: Tensor
    infarct_types_B: Tensor
    classes_B: Tensor


class ExampleMaker:
    """Draws examples from a pool.

    Args:
        real_share: of the strokes that are cohort cases, not fresh insertions.
        guest_share: of the normal brains and hosts that are guests, where there are any.
        site_balanced: every site equally likely, whatever it holds.

    Raises:
        ManifestError: the pool holds no normal brain with a territory map.
    """

    def __init__(
        self,
        pool: TrainingPool,
        *,
        real_share: float,
        strength: Strength,
        guest_share: float = 0.0,
        site_balanced: bool = False,
    ) -> None:
        if not pool.hosts:
            raise ManifestError(
                "The training store holds no normal case with a territory map.",
                remedy="Make the cohort with territory maps kept, and normal cases in the split.",
            )
        self._pool = pool
        self._real_share = real_share
        self._guest_share = guest_share if pool.guests else 0.0
        self._strength = strength
        self._bank = NoiseBank(_NOISE_SEED)
        self._hosts = _groups(pool.hosts, site_balanced)
        self._by_label = {
            label: _groups(cases, site_balanced) for label, cases in pool.by_label.items()
        }

    def draw(self, rng: np.random.Generator) -> Example:
        """Return one example; the four labels are equally likely."""
        label = LABELS[int(rng.integers(len(LABELS)))]
        guest = rng.random() < self._guest_share
        if label is Label.NORMAL:
            example = self._real(rng, self._normal(rng, self._by_label[label], guest))
        elif self._by_label[label] and rng.random() < self._real_share:
            example = self._real(rng, _one_of(rng, self._by_label[label]))
        else:
            example = self._fresh(rng, self._normal(rng, self._hosts, guest), label)
        volume = vary(rng, example.volume_CXYZ, example.lesion_XYZ, self._bank, self._strength)
        return Example(volume, example.lesion_XYZ, example.label, example.finding)

    def _normal(self, rng: np.random.Generator, groups: Groups, guest: bool) -> PoolCase:
        return _one_of(rng, (self._pool.guests,) if guest else groups)

    def _pose(self, rng: np.random.Generator) -> Pose:
        strength = self._strength
        return draw_pose(
            rng, zoom=strength.zoom, shift_mm=strength.shift_mm, pitch_deg=strength.pitch_deg
        )

    def _real(self, rng: np.random.Generator, case: PoolCase) -> Example:
        volume, (lesion,) = move(self._pose(rng), case.volume_CXYZ, [_lesion_map(case)])
        return Example(volume, lesion, case.label, case.finding)

    def _fresh(self, rng: np.random.Generator, host: PoolCase, label: Label) -> Example:
        """Move the host first and insert then, so that the lesion's border stays its own."""
        assert host.territory_XYZ is not None
        volume, (territory,) = move(self._pose(rng), host.volume_CXYZ, [host.territory_XYZ])
        for _ in range(4):
            plan = plan_lesion(rng, label=label)
            share_XYZ = grow_lesion(rng, plan, territory, GRID_SPACING_MM)
            dwi, adc = insert_lesion(
                volume[0], volume[1], share_XYZ, plan=plan, b_value_s_mm2=rng.uniform(800, 1200)
            )
            lesion = (dwi > _VISIBLE_RISE * volume[0]).astype(np.uint8)
            if int(lesion.sum()) >= _LEAST_VISIBLE_VOXELS:
                break  # else it fell into CSF: a case that no one could call
        return Example(normalise(np.stack([dwi, adc])), lesion, label, plan.finding)


def _groups(cases: Sequence[PoolCase], site_balanced: bool) -> Groups:
    """The cases site by site, or all in one group."""
    if not site_balanced:
        return (tuple(cases),) if cases else ()
    sites = sorted({case.site for case in cases})
    return tuple(tuple(case for case in cases if case.site == site) for site in sites)


def _one_of(rng: np.random.Generator, groups: Groups) -> PoolCase:
    group = groups[int(rng.integers(len(groups)))]
    return group[int(rng.integers(len(group)))]


class StepBatches(Dataset[Batch]):
    """The pieces of each step's batch, by number; for a DataLoader with `batch_size=None`.

    A step's batch is cut into `num_pieces` pieces of `batch_size` volumes, and piece `p` of step
    `s` is item `s * num_pieces + p`. Who passes which piece through the network, one worker or
    eight, changes nothing in what is in it.
    """

    def __init__(
        self,
        maker: ExampleMaker,
        config: EncoderConfig,
        *,
        batch_size: int,
        num_pieces: int,
        seed: int,
    ) -> None:
        self._maker = maker
        self._config = config
        self._batch_size = batch_size
        self._num_pieces = num_pieces
        self._seed = seed

    def __getitem__(self, number: int) -> Batch:
        step, piece = divmod(number, self._num_pieces)
        first = piece * self._batch_size
        return collate(
            [self._draw(step, first + place) for place in range(self._batch_size)], self._config
        )

    def _draw(self, step: int, place: int) -> Example:
        return self._maker.draw(np.random.default_rng([self._seed, step, place]))


def as_stored(case: PoolCase) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Return a case's volume in float32, and its lesion map (all 0 where it has none)."""
    return case.volume_CXYZ.astype(np.float32), _lesion_map(case)


def _lesion_map(case: PoolCase) -> NDArray[np.uint8]:
    if case.mask_XYZ is not None:
        return case.mask_XYZ
    return np.zeros(case.volume_CXYZ.shape[1:], np.uint8)


def collate(examples: list[Example], config: EncoderConfig) -> Batch:
    """Return examples as one batch, volumes in float16 until the network wants them."""
    lesion_BXYZ = torch.from_numpy(np.stack([example.lesion_XYZ for example in examples]))
    findings = [example.finding for example in examples]
    return Batch(
        volume_BCXYZ=torch.from_numpy(
            np.stack([example.volume_CXYZ.astype(np.float16) for example in examples])
        ),
        labels_B=torch.tensor([LABELS.index(example.label) for example in examples]),
        lesion_BNM=lesion_cells(lesion_BXYZ, config),
        infarct_types_B=torch.tensor(
            [UNKNOWN if f is None else list(InfarctType).index(f.infarct_type) for f in findings]
        ),
        classes_B=torch.tensor(
            [UNKNOWN if f is None else list(LesionClass).index(f.lesion_class) for f in findings]
        ),
    )


def lesion_cells(lesion_BXYZ: Tensor, config: EncoderConfig) -> Tensor:
    """Return how much each cell is lesion, 0 to 1, shape `(B, N, M)`."""
    tokens_BNP = to_patches(lesion_BXYZ[:, None].float(), patch_vox=config.patch_vox)
    batch, num_tokens = tokens_BNP.shape[:2]
    patches = tokens_BNP.reshape(batch * num_tokens, 1, *config.patch_vox)
    counts = to_patches(patches, patch_vox=config.cell_vox).sum(dim=2)
    return (counts / _FULL_CELL_VOXELS).clamp(max=1.0).reshape(batch, num_tokens, -1)
