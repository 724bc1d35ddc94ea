"""The territory encoder: a prepared volume to an embedding, a class, and a coarse lesion map.

MONAI's ViT over patches. A linear head says for each 16 mm cell whether it holds lesion and of
which territory; the embedding is made from all tokens' mean, from the tokens weighted by
that map, and from what the map adds up to: a small infarct is a fraction of a percent of the
brain, and drowns in a plain mean.

Axis suffixes: B batch, C channels (0 DWI in brain medians, 1 ADC in 10⁻³ mm²/s, background 0),
X Y Z voxels (RAS+, 2x2x4 mm), N tokens, M cells a token, K labels in the order of `LABELS`,
D embedding, F entries of a finding.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
from monai.networks.nets import ViT
from torch import Tensor, nn

from pirta.contracts.finding import LABELS, InfarctType, LesionClass
from pirta.models.attention import lean_attention
from pirta.models.config import EncoderConfig
from pirta.models.stem import NestedPatchEmbedding

# A cell's lesion logit before training: lesions are rare.
_LESION_PRIOR = -4.0
_CLASS_SCALE = 12.0

NUM_FINDING_ENTRIES = len(InfarctType) + len(LesionClass)


@dataclass(frozen=True)
class EncoderOutput:
    """What the encoder says of a batch.

    Attributes:
        embedding_BD: unit length.
        logits_BK: of the four labels.
        token_logits_BN: whether a patch holds lesion: that of its most suspicious cell.
        cell_logits_BNMK: of each cell, none (entry 0) or lesion of a territory.
        finding_logits_BF: infarct types, then classes; trained on strokes alone.
    """

    embedding_BD: Tensor
    logits_BK: Tensor
    token_logits_BN: Tensor
    cell_logits_BNMK: Tensor
    finding_logits_BF: Tensor


class TerritoryEncoder(nn.Module):
    """DWI/ADC volume to embedding and territory."""

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        num_labels = len(LABELS)
        self.vit = make_vit(config)
        self.cell_features = nn.Linear(config.stem_widths[-1], config.hidden_size)
        self.token_features = nn.Linear(
            config.hidden_size, config.cells_a_token * config.hidden_size // 4
        )
        self.cell_mix = nn.Linear(config.hidden_size // 4, config.hidden_size)
        self.cell_head = nn.Linear(config.hidden_size, num_labels)
        self.project = nn.Linear(2 * config.hidden_size + 2 * num_labels, config.dimensions)
        self.class_head = nn.Linear(config.dimensions, num_labels)
        self.finding_head = nn.Linear(config.dimensions, NUM_FINDING_ENTRIES)
        with torch.no_grad():
            self.cell_head.bias[1:] += _LESION_PRIOR

    def forward(self, volume_BCXYZ: Tensor) -> EncoderOutput:
        """Return the encoder's answer for volumes of shape `(B, 2, 96, 112, 48)`.

        Raises:
            GeometryError: the volumes are on another grid.
        """
        stem = cast(NestedPatchEmbedding, self.vit.patch_embedding)
        cells_BNMD = stem.cells(volume_BCXYZ)
        tokens_BND = stem.from_cells(cells_BNMD)
        for block in self.vit.blocks:
            tokens_BND = block(tokens_BND)
        tokens_BND = self.vit.norm(tokens_BND)
        cell_logits = self._cell_logits(tokens_BND, cells_BNMD).float()
        lesion_BNM = torch.logsumexp(cell_logits[..., 1:], dim=-1) - cell_logits[..., 0]
        token_logits = lesion_BNM.amax(dim=2)
        # A unit vector rounded to half precision is none, and neighbours differ in the rounding.
        with torch.autocast(volume_BCXYZ.device.type, enabled=False):
            embedding = self._embed(tokens_BND.float(), token_logits, cell_logits)
            return EncoderOutput(
                embedding_BD=embedding,
                logits_BK=self.class_head(_CLASS_SCALE * embedding),
                token_logits_BN=token_logits,
                cell_logits_BNMK=cell_logits,
                finding_logits_BF=self.finding_head(_CLASS_SCALE * embedding),
            )

    def _cell_logits(self, tokens_BND: Tensor, cells_BNMD: Tensor) -> Tensor:
        """Join what a cell shows with what its surroundings are."""
        context = self.token_features(tokens_BND).unflatten(2, (self.config.cells_a_token, -1))
        mixed = nn.functional.gelu(self.cell_mix(context) + self.cell_features(cells_BNMD))
        return cast(Tensor, self.cell_head(mixed))

    def _embed(self, tokens_BND: Tensor, token_logits_BN: Tensor, cell_logits: Tensor) -> Tensor:
        weights_BN = torch.sigmoid(token_logits_BN)
        total_B1 = weights_BN.sum(dim=1, keepdim=True)
        weighted_BD = torch.einsum("bn,bnd->bd", weights_BN, tokens_BND) / (total_B1 + 0.5)
        odds_BCK = cell_logits.flatten(1, 2)
        odds_BCK = odds_BCK - odds_BCK[..., :1]
        brightest_BK = odds_BCK.amax(dim=1)
        amount_BK = torch.log1p(torch.sigmoid(odds_BCK).sum(dim=1))
        parts = [tokens_BND.mean(dim=1), weighted_BD, brightest_BK / 4.0, amount_BK]
        return nn.functional.normalize(self.project(torch.cat(parts, dim=1)), dim=1)


def make_vit(config: EncoderConfig) -> ViT:
    """Return MONAI's ViT with the nested patch embedding in it."""
    vit = ViT(
        in_channels=2,
        img_size=config.volume_vox,
        patch_size=config.patch_vox,
        hidden_size=config.hidden_size,
        mlp_dim=config.mlp_size,
        num_layers=config.num_layers,
        num_heads=config.num_heads,
    )
    vit.patch_embedding = NestedPatchEmbedding(config)
    lean_attention(vit.blocks)
    return vit
