"""The encoder's shape, as one frozen record that lies in its manifest.

It says how large the network is and nothing of how it is trained. Voxel counts are in X-Y-Z
order on the prepared grid (RAS+, 2x2x4 mm).
"""

from __future__ import annotations

from itertools import pairwise

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pirta.contracts.study import GRID_SHAPE


class EncoderConfig(BaseModel):
    """A vision transformer over non-overlapping patches of a DWI/ADC volume.

    Attributes:
        patch_vox: a token's patch; 16x16x8 voxels are a 32 mm cube.
        stem_vox: the sub-patches that the stem looks at first; each a divisor of the next, the
            last a divisor of `patch_vox`. The last ones are the cells of the lesion map.
        stem_widths: features of each sub-patch.
        dimensions: length of the embedding (768 in the paper).
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    volume_vox: tuple[int, int, int] = GRID_SHAPE
    patch_vox: tuple[int, int, int] = (16, 16, 8)
    stem_vox: tuple[tuple[int, int, int], tuple[int, int, int]] = ((4, 4, 2), (8, 8, 4))
    stem_widths: tuple[int, int] = (32, 96)
    hidden_size: int = Field(default=192, ge=8)
    mlp_size: int = Field(default=512, ge=8)
    num_layers: int = Field(default=4, ge=1)
    num_heads: int = Field(default=6, ge=1)
    dimensions: int = Field(default=768, ge=1)

    @model_validator(mode="after")
    def _sides_divide(self) -> EncoderConfig:
        sides = (*self.stem_vox, self.patch_vox, self.volume_vox)
        for small, large in pairwise(sides):
            if any(b % a for a, b in zip(small, large, strict=True)):
                raise ValueError(f"{large} voxels are not whole multiples of {small}")
        if self.hidden_size % self.num_heads:
            raise ValueError(f"hidden_size {self.hidden_size} over {self.num_heads} heads")
        return self

    @property
    def grid(self) -> tuple[int, int, int]:
        """Patches along X, Y and Z."""
        return _divide(self.volume_vox, self.patch_vox)

    @property
    def num_tokens(self) -> int:
        """Patches in a volume."""
        return self.grid[0] * self.grid[1] * self.grid[2]

    @property
    def cell_vox(self) -> tuple[int, int, int]:
        """The cells of the lesion map."""
        return self.stem_vox[-1]

    @property
    def cells_a_token(self) -> int:
        """Cells in a patch."""
        x, y, z = _divide(self.patch_vox, self.cell_vox)
        return x * y * z


def paper() -> EncoderConfig:
    """Return a ViT-Base-sized encoder; the paper names the 768 dimensions and no more."""
    return EncoderConfig(
        stem_widths=(64, 256), hidden_size=768, mlp_size=3072, num_layers=12, num_heads=12
    )


def demo() -> EncoderConfig:
    """Return the encoder that ships with the repository (about two million parameters)."""
    return EncoderConfig()


def tiny() -> EncoderConfig:
    """Return an encoder for tests: seconds on one core, and of no use."""
    return EncoderConfig(
        stem_widths=(8, 16), hidden_size=32, mlp_size=32, num_layers=1, num_heads=2, dimensions=32
    )


def _divide(large: tuple[int, int, int], small: tuple[int, int, int]) -> tuple[int, int, int]:
    return (large[0] // small[0], large[1] // small[1], large[2] // small[2])
