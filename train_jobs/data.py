"""Training examples for the encoder, made afresh at every step from (seed, step, place).

A normal brain gets a new infarct by the physics of `pirta.cohort.lesions`, so that no case can
be learnt by heart; real lesion cases are mixed in. An example depends on the three numbers alone,
its place being that in the batch of all workers: a run that was killed goes on with the very
examples it would have seen, on however many workers.

Axis suffixes: B batch, C channels, X Y Z voxels (RAS+, 2x2x4 mm), N tokens and M cells a token
as in `pirta.models`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from pirta.cohort.lesions import grow_lesion, insert_lesion, plan_lesion
from pirta.contracts.finding import LABELS, Finding, InfarctType, Label, Laterality, LesionClass
from pirta.contracts.study import GRID_SPACING_MM
from pirta.errors import ManifestError
from pirta.models.config import EncoderConfig
from pirta.models.patches import to_patches
from train_jobs.augment import NoiseBank, Strength, normalise, vary
from train_jobs.pose import Pose, draw_pose, move
from train_jobs.training_pool import HOSTS_REMEDY, NO_HOSTS, PoolCase, TrainingPool

Groups: TypeAlias = tuple[tuple[PoolCase, ...], ...]

UNKNOWN = -100  # torch's cross-entropy leaves such targets out

# A lesion of 16 voxels (0.25 ml) in a cell makes it a full lesion cell.
_FULL_CELL_VOXELS = 16.0
# What counts as seen: the DWI rose by this share.
_VISIBLE_RISE = 1.08
_LEAST_VISIBLE_VOXELS = 6
_NOISE_SEED = 20260
_LESION_TRIES = 4
# A territory of a host on one side: 1.6 ml, so that a moved head still has some of it.
_LEAST_ROOM_VOXELS = 100
_OTHER_SIDE = {Laterality.LEFT: Laterality.RIGHT, Laterality.RIGHT: Laterality.LEFT}


@dataclass(frozen=True)
class Example:
    """One volume with its answer; `lesion_XYZ` is 1 where lesion shows, where that is known."""

    volume_CXYZ: NDArray[np.float32]
    lesion_XYZ: NDArray[np.uint8]
    label: Label
    finding: Finding | None
    lesion_known: bool = True


@dataclass(frozen=True)
class Batch:
    """Examples as tensors.

    Attributes:
        labels_B: index in `LABELS`.
        lesion_BNM: how much each cell is lesion, 0 to 1.
        lesion_known_B: 0 where nobody drew the lesion, else 1.
        infarct_types_B, classes_B: index of the finding's parts, UNKNOWN for normals.
    """

    volume_BCXYZ: Tensor
    labels_B: Tensor
    lesion_BNM: Tensor
    lesion_known_B: Tensor
    infarct_types_B: Tensor
    classes_B: Tensor


class ExampleMaker:
    """Draws examples from a pool.

    Args:
        real_share: of the strokes that are cohort cases, not fresh insertions.
        guest_share: of the normal brains and hosts that are guests, where there are any.
        site_balanced: every site equally likely, whatever it holds.

    Raises:
        ManifestError: the pool holds no normal brain with a territory map, or none whose map
            has room for a lesion of each territory.
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
            raise ManifestError(NO_HOSTS, remedy=HOSTS_REMEDY)
        self._real_share = real_share
        self._guest_share = guest_share if pool.guests else 0.0
        self._guests = _groups(pool.guests, False)
        self._strength = strength
        self._bank = NoiseBank(_NOISE_SEED)
        self._hosts = _hosts_by_label(pool.hosts, site_balanced)
        self._guest_hosts = _hosts_by_label(pool.guests, False)
        _check_hosts(self._hosts)
        self._by_label = {
            label: _groups(cases, site_balanced) for label, cases in pool.by_label.items()
        }

    def draw(self, rng: np.random.Generator) -> Example:
        """Return one example; the four labels are equally likely."""
        label = LABELS[int(rng.integers(len(LABELS)))]
        guest = rng.random() < self._guest_share
        if label is Label.NORMAL:
            example = self._real(
                rng, _one_of(rng, self._guests if guest else self._by_label[label])
            )
        elif self._by_label[label] and not guest and rng.random() < self._real_share:
            example = self._real(rng, _one_of(rng, self._by_label[label]))
        else:
            # Guests are as often hosts as normals, so that their scanner tells nothing.
            hosts = self._guest_hosts[label] if guest else ()
            example = self._fresh(rng, hosts or self._hosts[label], label)
        strength = self._strength
        if not example.lesion_known:  # a slab or a lost box could take the lesion away unseen
            strength = replace(strength, faults=0.0)
        volume = vary(rng, example.volume_CXYZ, example.lesion_XYZ, self._bank, strength)
        return replace(example, volume_CXYZ=volume)

    def _pose(self, rng: np.random.Generator) -> Pose:
        strength = self._strength
        return draw_pose(
            rng, zoom=strength.zoom, shift_mm=strength.shift_mm, pitch_deg=strength.pitch_deg
        )

    def _real(self, rng: np.random.Generator, case: PoolCase) -> Example:
        pose = self._pose(rng)
        volume, (lesion,) = move(pose, case.volume_CXYZ, [_lesion_map(case)])
        finding = mirrored(case.finding) if pose.mirrored else case.finding
        return Example(volume, lesion, case.label, finding, case.lesion_known)

    def _fresh(self, rng: np.random.Generator, hosts: Groups, label: Label) -> Example:
        """Move the host first and insert then, so that the lesion's border stays its own."""
        host = _one_of(rng, hosts)
        assert host.territory_XYZ is not None
        volume, (territory,) = move(self._pose(rng), host.volume_CXYZ, [host.territory_XYZ])
        for _ in range(_LESION_TRIES):
            plan = plan_lesion(rng, label=label)
            share_XYZ = grow_lesion(rng, plan, territory, GRID_SPACING_MM)
            dwi, adc = insert_lesion(
                volume[0], volume[1], share_XYZ, plan=plan, b_value_s_mm2=rng.uniform(800, 1200)
            )
            lesion = (dwi > _VISIBLE_RISE * volume[0]).astype(np.uint8)
            if int(lesion.sum()) >= _LEAST_VISIBLE_VOXELS:
                break  # else it fell into CSF: a case that no one could call
        return Example(normalise(np.stack([dwi, adc])), lesion, label, plan.finding)


def mirrored(finding: Finding | None) -> Finding | None:
    """Return the finding of a head whose left and right changed places."""
    if finding is None or finding.laterality not in _OTHER_SIDE:
        return finding
    return finding.model_copy(update={"laterality": _OTHER_SIDE[finding.laterality]})


def _hosts_by_label(cases: Sequence[PoolCase], site_balanced: bool) -> dict[Label, Groups]:
    """The hosts that hold enough of a label's territory on both sides: a slab may hold none."""
    codes = {label: LABELS.index(label) for label in LABELS if label is not Label.NORMAL}
    return {
        label: _groups([case for case in cases if _has_room(case, code)], site_balanced)
        for label, code in codes.items()
    }


def _has_room(case: PoolCase, territory_code: int) -> bool:
    if case.territory_XYZ is None:
        return False
    number_X = (case.territory_XYZ == territory_code).sum(axis=(1, 2))
    if not number_X.any():
        return False
    middle = round(float(np.flatnonzero((case.territory_XYZ > 0).any(axis=(1, 2))).mean()))
    on_each_side = (number_X[:middle].sum(), number_X[middle + 1 :].sum())
    return int(min(on_each_side)) >= _LEAST_ROOM_VOXELS


def _check_hosts(hosts: Mapping[Label, Groups]) -> None:
    missing = [str(label) for label, groups in hosts.items() if not groups]
    if missing:
        raise ManifestError(
            f"No normal case of the training store has {_LEAST_ROOM_VOXELS} voxels on each side "
            f"of the territory {' and '.join(missing)}.",
            remedy="Add normal studies that cover the whole brain.",
        )


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
        lesion_known_B=torch.tensor([float(example.lesion_known) for example in examples]),
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
