"""What the encoder's two jobs learn: MAE (stage 1) and territory classes (stage 2).

Axis suffixes: B batch, K labels, N tokens, M cells a token, F entries of a finding.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from pirta.contracts.finding import LABELS, InfarctType
from pirta.models.checkpoint import verify_manifest
from pirta.models.config import EncoderConfig
from pirta.models.encoder import EncoderOutput, TerritoryEncoder
from pirta.models.mae import MaskedAutoencoder, start_from_mae
from pirta.models.weights import load_weights
from train_jobs.augment import Strength
from train_jobs.data import Batch, ExampleMaker, StepBatches, as_stored
from train_jobs.presets import LoopSettings, MaeRun, TerritoryRun
from train_jobs.training_pool import (
    LoadCases,
    PoolCase,
    TrainingPool,
    limited,
    load_pool,
    load_training_pool,
)

MAE_KIND = "mae"
_BATCH = 8


class MaeTask:
    """Draw removed patches. Half the volumes hold lesions, which it never is told."""

    def __init__(
        self,
        settings: MaeRun,
        store: str,
        guests: str | None = None,
        *,
        load: LoadCases | None = None,
    ) -> None:
        self._settings = settings
        pool = load_training_pool(store, guests, labelled=False, load=load)
        self._pool = limited(pool, settings.num_volumes)
        self._held_out = load_pool(store, split="val", required=False, labelled=False, load=load)
        self.model = make_mae(settings)

    def batches(self) -> StepBatches:
        """Return the pieces of every step's batch."""
        return _batches(self._pool, self._settings)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return the error over removed patches."""
        return model(batch.volume_BCXYZ), {}

    def validate(self) -> dict[str, float]:
        """Return the error on held-out cases, at fixed masks."""
        torch.manual_seed(0)
        errors = [
            float(self.model(volumes_BCXYZ))
            for volumes_BCXYZ, _ in _volumes(self._held_out.cases, _device_of(self.model))
        ]
        return {"val_mae_error": float(np.mean(errors))} if errors else {}


class TerritoryTask:
    """Call the territory, and say where the lesion is."""

    def __init__(
        self,
        settings: TerritoryRun,
        store: str,
        mae: Path | None,
        guests: str | None = None,
        *,
        load: LoadCases | None = None,
    ) -> None:
        self._settings = settings
        self._pool = load_training_pool(store, guests, load=load)
        self._held_out = load_pool(store, split="val", required=False, load=load)
        torch.manual_seed(settings.seed)
        self.model = TerritoryEncoder(settings.encoder)
        if mae is not None:
            start_from_mae(self.model, load_mae(mae, settings.encoder))

    def batches(self) -> StepBatches:
        """Return the pieces of every step's batch."""
        return _batches(self._pool, self._settings)

    def loss(self, model: nn.Module, batch: Batch) -> tuple[Tensor, dict[str, float]]:
        """Return the weighted sum of the class, lesion map, finding and contrast losses."""
        output: EncoderOutput = model(batch.volume_BCXYZ)
        classes = cross_entropy(output.logits_BK.float(), batch.labels_B)
        cells = cell_loss(output.cell_logits_BNMK, batch, self._settings.lesion_cell_weight)
        finding = finding_loss(output.finding_logits_BF.float(), batch)
        contrast = contrast_loss(
            output.embedding_BD, batch.labels_B, temperature=self._settings.contrast_temperature
        )
        total = (
            classes
            + self._settings.cell_weight * cells
            + self._settings.finding_weight * finding
            + self._settings.contrast_weight * contrast
        )
        correct = (output.logits_BK.argmax(dim=1) == batch.labels_B).float().mean()
        return total, {
            "classes": float(classes.detach()),
            "cells": float(cells.detach()),
            "contrast": float(contrast.detach()),
            "accuracy": float(correct),
        }

    def validate(self) -> dict[str, float]:
        """Return balanced accuracy and stroke sensitivity and specificity, held-out cases."""
        truth: list[int] = []
        called: list[int] = []
        for volumes_BCXYZ, labels in _volumes(self._held_out.cases, _device_of(self.model)):
            called += self.model(volumes_BCXYZ).logits_BK.argmax(dim=1).tolist()
            truth += labels
        return _called_figures(np.array(truth, int), np.array(called, int))


def make_mae(settings: MaeRun) -> MaskedAutoencoder:
    """Return the untrained autoencoder of a run."""
    torch.manual_seed(settings.seed)
    return MaskedAutoencoder(
        settings.encoder,
        keep_fraction=settings.keep_fraction,
        decoder_size=settings.decoder_size,
    )


def load_mae(folder: Path, config: EncoderConfig) -> MaskedAutoencoder:
    """Return the autoencoder of a finished MAE job.

    Raises:
        CheckpointError: the folder holds none, or one of another size.
    """
    from pirta.errors import CheckpointError

    manifest = verify_manifest(folder, kind=MAE_KIND)
    settings = MaeRun.model_validate(manifest.run)
    if settings.encoder != config:
        raise CheckpointError(
            f"The MAE checkpoint in {folder} has another encoder size than this run.",
            remedy="Pretrain with the run of the same name.",
        )
    mae = make_mae(settings)
    load_weights(folder, mae)
    return mae


def cell_loss(cell_logits_BNMK: Tensor, batch: Batch, lesion_cell_weight: float) -> Tensor:
    """Return the lesion map's cross-entropy, with lesion cells weighted up.

    A cell's target is `lesion` of the case's territory and the rest nothing; averaged over a
    number of cells that does not depend on how large the lesions are. A stroke without a mask
    says nothing of any cell, and counts as nothing.
    """
    lesion_BNM = batch.lesion_BNM
    log_BNMK = torch.log_softmax(cell_logits_BNMK.float(), dim=-1)
    index_BNM1 = batch.labels_B[:, None, None, None].expand(*lesion_BNM.shape, 1)
    log_own_BNM = log_BNMK.gather(-1, index_BNM1).squeeze(-1)
    terms = lesion_cell_weight * lesion_BNM * log_own_BNM + (1 - lesion_BNM) * log_BNMK[..., 0]
    terms = terms * batch.lesion_known_B[:, None, None]
    return -terms.sum() / (0.02 * lesion_BNM.numel())


def finding_loss(finding_logits_BF: Tensor, batch: Batch) -> Tensor:
    """Return the cross-entropy of infarct type and class over the strokes; 0 without any."""
    if not (batch.classes_B >= 0).any():
        return finding_logits_BF.sum() * 0.0
    num_types = len(InfarctType)
    types = cross_entropy(finding_logits_BF[:, :num_types], batch.infarct_types_B)
    return types + cross_entropy(finding_logits_BF[:, num_types:], batch.classes_B)


def contrast_loss(embedding_BD: Tensor, labels_B: Tensor, *, temperature: float) -> Tensor:
    """Return the supervised contrastive loss of unit embeddings; 0 where no label comes twice.

    Source: Khosla et al., Supervised Contrastive Learning, 2020, equation 2 (L_out).
    """
    similarity_BB = embedding_BD @ embedding_BD.T / temperature
    itself_BB = torch.eye(len(labels_B), dtype=torch.bool, device=labels_B.device)
    same_BB = (labels_B[:, None] == labels_B[None, :]) & ~itself_BB
    log_share_BB = torch.log_softmax(similarity_BB.masked_fill(itself_BB, -1e9), dim=1)
    num_same_B = same_BB.sum(dim=1)
    terms_B = -torch.where(same_BB, log_share_BB, 0.0).sum(dim=1) / num_same_B.clamp(min=1)
    return terms_B.sum() / (num_same_B > 0).sum().clamp(min=1)


def _batches(pool: TrainingPool, settings: LoopSettings) -> StepBatches:
    maker = ExampleMaker(
        pool,
        real_share=settings.real_share,
        strength=Strength(),
        guest_share=settings.guest_share,
        site_balanced=settings.site_balanced,
    )
    return StepBatches(
        maker,
        settings.encoder,
        batch_size=settings.batch_size,
        num_pieces=settings.num_pieces,
        seed=settings.seed,
    )


def _device_of(model: nn.Module) -> torch.device:
    return next(model.parameters()).device


def _volumes(cases: Iterable[PoolCase], device: torch.device) -> Iterator[tuple[Tensor, list[int]]]:
    chosen = list(cases)
    for start in range(0, len(chosen), _BATCH):
        some = chosen[start : start + _BATCH]
        volumes = np.stack([as_stored(case)[0] for case in some])
        yield torch.from_numpy(volumes).to(device), [LABELS.index(case.label) for case in some]


def _called_figures(truth: np.ndarray, called: np.ndarray) -> dict[str, float]:
    figures = {}
    recalls = [
        float((called[truth == index] == index).mean())
        for index in range(len(LABELS))
        if (truth == index).any()
    ]
    if recalls:
        figures["val_balanced_accuracy"] = float(np.mean(recalls))
    if (truth > 0).any():
        figures["val_stroke_sensitivity"] = float((called[truth > 0] > 0).mean())
    if (truth == 0).any():
        figures["val_stroke_specificity"] = float((called[truth == 0] == 0).mean())
    return figures
