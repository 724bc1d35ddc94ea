"""Masked autoencoder pretraining of the encoder's body (paper, stage 1), on MONAI's network.

Three of four patches are removed before anything looks at them, the rest goes through the
encoder, and a light decoder has to draw what was removed. Afterwards the decoder is dropped.

Axis suffixes: B batch, C channels, X Y Z voxels, N patches, K patches that stay, D features, P
values a patch, R removed patches that hold brain, of the whole batch.
"""

from __future__ import annotations

from typing import cast

import torch
from monai.networks.nets import MaskedAutoEncoderViT
from torch import Tensor, nn

from pirta.models.attention import lean_attention
from pirta.models.config import EncoderConfig
from pirta.models.encoder import TerritoryEncoder
from pirta.models.patches import take_patches
from pirta.models.stem import NestedPatchEmbedding, centre_volume


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
        lean_attention([*self.net.blocks, *self.net.decoder_blocks])
        x, y, z = config.patch_vox
        self._patch_values = 2 * x * y * z
        self.num_kept = int(keep_fraction * config.num_tokens)

    def forward(self, volume_BCXYZ: Tensor) -> Tensor:
        """Return the mean squared error over the removed patches that hold brain.

        Which patches stay is drawn from torch's generator of the volumes' device.
        """
        num_volumes, device = len(volume_BCXYZ), volume_BCXYZ.device
        kept_BK = (
            torch.rand(num_volumes, self.config.num_tokens, device=device)
            .argsort(dim=1)[:, : self.num_kept]
            .sort(dim=1)
            .values
        )
        stem = cast(NestedPatchEmbedding, self.net.patch_embedding)
        brain_BNM = stem.holds_brain(volume_BCXYZ)
        counted_BN = brain_BNM.any(dim=2).scatter(1, kept_BK, False)
        cells_BKMD = stem.cells(volume_BCXYZ, kept_BK, brain_BNM=brain_BNM)
        encoded = self._encode(stem.from_cells(cells_BKMD, kept_BK))
        decoded_BND = self._decode(encoded, kept_BK)
        drawn_RP = self.net.decoder_pred(decoded_BND[counted_BN])
        values_RP = take_patches(volume_BCXYZ, counted_BN, patch_vox=self.config.patch_vox)
        target_RP = centre_volume(
            values_RP.view(len(values_RP), 2, self._patch_values // 2)
        ).flatten(1)
        total = nn.functional.mse_loss(drawn_RP.float(), target_RP, reduction="sum")
        return total / (target_RP.shape[1] * counted_BN.sum().clamp(min=1))

    def _encode(self, tokens_BKD: Tensor) -> Tensor:
        """Return the features of the class token and of the patches that stay, `(B, 1 + K, D)`."""
        class_B1D = self.net.cls_token.expand(len(tokens_BKD), -1, -1)
        return cast(Tensor, self.net.blocks(torch.cat([class_B1D, tokens_BKD], dim=1)))

    def _decode(self, encoded: Tensor, kept_BK: Tensor) -> Tensor:
        """Return the decoder's features of all patches, `(B, N, D)`."""
        net = self.net
        narrow = net.decoder_embed(encoded)
        index = kept_BK[:, :, None].expand(-1, -1, narrow.shape[2])
        masks = net.mask_tokens.to(narrow.dtype).expand(len(narrow), self.config.num_tokens, -1)
        places = net.decoder_pos_embedding
        tokens_BND = masks.scatter(1, index, narrow[:, 1:]) + places
        class_B1D = narrow[:, :1].to(tokens_BND.dtype)
        return cast(Tensor, net.decoder_blocks(torch.cat([class_B1D, tokens_BND], dim=1))[:, 1:])


def start_from_mae(encoder: TerritoryEncoder, mae: MaskedAutoencoder) -> None:
    """Copy the pretrained stem and blocks into the encoder; its heads stay as they are."""
    assert encoder.config == mae.config
    num_layers = encoder.config.num_layers
    with torch.no_grad():
        encoder.vit.patch_embedding.load_state_dict(mae.net.patch_embedding.state_dict())
        for index in range(num_layers):
            encoder.vit.blocks[index].load_state_dict(mae.net.blocks[index].state_dict())
        encoder.vit.norm.load_state_dict(mae.net.blocks[num_layers].state_dict())
