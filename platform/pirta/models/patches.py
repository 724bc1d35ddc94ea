"""Cut a 3D volume into non-overlapping patches, and put it together again.

Axis suffixes: B batch, C channels, X Y Z voxels (RAS+), N patches in X-Y-Z order, P values a
patch (C * px * py * pz), R chosen patches of the whole batch.
"""

from __future__ import annotations

from torch import Tensor

from pirta.errors import GeometryError


def to_patches(volume_BCXYZ: Tensor, *, patch_vox: tuple[int, int, int]) -> Tensor:
    """Return each volume's patches as rows, shape `(B, N, P)`.

    Raises:
        GeometryError: a side is not a multiple of its patch side.
    """
    split = _split(volume_BCXYZ, patch_vox)
    return split.reshape(len(split), split.shape[1:4].numel(), -1)


def take_patches(
    volume_BCXYZ: Tensor, chosen_BN: Tensor, *, patch_vox: tuple[int, int, int]
) -> Tensor:
    """Return the patches where `chosen_BN` is true, of all volumes, shape `(R, P)`.

    As `to_patches(...)[chosen_BN]`, without copying the others.

    Raises:
        GeometryError: a side is not a multiple of its patch side.
    """
    split = _split(volume_BCXYZ, patch_vox)
    return split[chosen_BN.reshape(split.shape[:4])].flatten(1)


def from_patches(
    patches_BNP: Tensor, *, patch_vox: tuple[int, int, int], volume_vox: tuple[int, int, int]
) -> Tensor:
    """Undo `to_patches`: shape `(B, C, X, Y, Z)`."""
    px, py, pz = patch_vox
    nx, ny, nz = (side // step for side, step in zip(volume_vox, patch_vox, strict=True))
    batch = patches_BNP.shape[0]
    split = patches_BNP.reshape(batch, nx, ny, nz, -1, px, py, pz)
    return split.permute(0, 4, 1, 5, 2, 6, 3, 7).reshape(batch, -1, *volume_vox)


def _split(volume_BCXYZ: Tensor, patch_vox: tuple[int, int, int]) -> Tensor:
    """Return a view of shape `(B, patches along X, Y, Z, C, px, py, pz)`."""
    batch, channels, *sides = volume_BCXYZ.shape
    if len(sides) != 3 or any(side % step for side, step in zip(sides, patch_vox, strict=True)):
        raise GeometryError(
            f"A volume of {tuple(sides)} voxels does not split into patches of {patch_vox}.",
            remedy="Prepare the volume on the encoder's grid first.",
        )
    (px, py, pz), (nx, ny, nz) = patch_vox, [s // p for s, p in zip(sides, patch_vox, strict=True)]
    split = volume_BCXYZ.reshape(batch, channels, nx, px, ny, py, nz, pz)
    return split.permute(0, 2, 4, 6, 1, 3, 5, 7)
