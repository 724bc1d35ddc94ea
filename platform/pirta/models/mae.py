"""Masked autoencoder pretraining of the encoder's body (paper, stage 1), on MONAI's network.

Three of four patches are removed, the rest goes through the encoder, and a light decoder has
to draw what was removed. Afterwards the decoder is dropped.

Axis suffixes: B batch, C channels, X Y Z voxels, N patches, P values a patch.
"""

from __future__ import annotations

from typing import cast

import torch
from monai.networks.nets import MaskedAutoEncoderViT
from torch import Tensor, nn

from pirta.models.config import EncoderConfig
from pirta.models.encoder import TerritoryEncoder, scale_volume
from pirta.models.patches import NestedPatchEmbedding, to_patches


class MaskedAutoencoder(nn.Module):
    """MONAI's masked autoencoder over the encoder's own patch embedding.

    `keep_fraction` is the paper's q = 0.25, which it calls mask ratio: the share that stays.
    """

    def __init__(self, config: EncoderConfig, *, keep_fraction: float, decoder_size: int) -> None:
        super().__init__()
        self.config = config
        self.net = MaskedAutoEncoderViT(
            in_channels=2,
            img_size=config.volume_vox,
            patch_size=config.patch_vox,
            hidden_size=config.hidden_size,
            mlp_dim=config.mlp_size,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            masking_ratio=1.0 - keep_fraction,
            decoder_hidden_size=decoder_size,
            decoder_mlp_dim=2 * decoder_size,
            decoder_num_layers=2,
            decoder_num_heads=4,
            pos_embed_type="learnable",  # the other kind wants a size divisible by 6
            decoder_pos_embed_type="learnable",
        )
        self.net.patch_embedding = NestedPatchEmbedding(config)
        self.net.decoder_embed = _Float32Linear(config.hidden_size, decoder_size)

    def forward(self, volume_BCXYZ: Tensor) -> Tensor:
        """Return the mean squared error over the removed patches that hold brain."""
        scaled = scale_volume(volume_BCXYZ)
        drawn_BNP, removed_BN = self.net(scaled)
        target_BNP = to_patches(scaled[:, :2], patch_vox=self.config.patch_vox)
        brain_BN = to_patches(volume_BCXYZ, patch_vox=self.config.patch_vox).amax(dim=2) > 0
        counted_BN = removed_BN.bool() & brain_BN
        error_BN = (drawn_BNP.float() - target_BNP.float()).square().mean(dim=2)
        total = (error_BN * counted_BN).sum()
        return cast(Tensor, total / counted_BN.sum().clamp(min=1))


class _Float32Linear(nn.Linear):
    """MONAI writes tokens into a float32 buffer at this point, which autocast would break."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input).float()


def start_from_mae(encoder: TerritoryEncoder, mae: MaskedAutoencoder) -> None:
    """Copy the pretrained stem and blocks into the encoder; its heads stay as they are."""
    assert encoder.config == mae.config
    num_layers = encoder.config.num_layers
    with torch.no_grad():
        encoder.vit.patch_embedding.load_state_dict(mae.net.patch_embedding.state_dict())
        for index in range(num_layers):
            encoder.vit.blocks[index].load_state_dict(mae.net.blocks[index].state_dict())
        encoder.vit.norm.load_state_dict(mae.net.blocks[num_layers].state_dict())
