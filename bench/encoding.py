"""Embedding four studies at once against one at a time, by the demo-sized encoder on one thread.

Fresh weights: the values change nothing in the time. Axis suffixes: B batch, C channels,
X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch

from bench.result import Ratio, seconds_in_turns
from pirta.contracts.study import CHANNELS, GRID_SHAPE
from pirta.models.config import demo
from pirta.models.encoder import TerritoryEncoder

BATCH = 4


def run() -> Iterator[Ratio]:
    """Measure volumes a second in a batch of four and one by one."""
    torch.set_num_threads(1)
    encoder = TerritoryEncoder(demo()).eval()
    generator = torch.Generator().manual_seed(0)
    volume_BCXYZ = torch.rand((BATCH, len(CHANNELS), *GRID_SHAPE), generator=generator)

    def together() -> None:
        with torch.inference_mode():
            encoder(volume_BCXYZ)

    def one_by_one() -> None:
        with torch.inference_mode():
            for one_CXYZ in volume_BCXYZ:
                encoder(one_CXYZ[None])

    together_s, single_s = seconds_in_turns(together, one_by_one, repeats=9)
    yield Ratio(
        "Embedding with the demo encoder, one thread",
        f"batch {BATCH}", BATCH / together_s, "batch 1", BATCH / single_s, "volumes/s",
        single_s / together_s,
        f"{encoder.config.num_tokens} tokens a volume",
    )  # fmt: skip
