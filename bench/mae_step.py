"""One step of MAE pretraining with three of four tokens dropped, against keeping all but one.

Both sides run the same network, decoder, loss and optimiser; only the share of the tokens that
the encoder's blocks see differs (the paper's q = 0.25). At the size of the shipped encoder and at
the paper's. Axis suffixes: B batch, C channels, X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from bench.result import Ratio, seconds_in_turns
from pirta.contracts.study import CHANNELS, GRID_SHAPE
from pirta.models.config import EncoderConfig, demo, paper
from pirta.models.mae import MaskedAutoencoder

KEEP_FRACTION = 0.25
DECODER_SIZE = 128


def run() -> Iterator[Ratio]:
    """Measure forward, backward and AdamW's step."""
    torch.set_num_threads(1)
    yield _measure("shipped size", demo(), batch=4, repeats=5)
    yield _measure("ViT-B, 12 layers of 768", paper(), batch=2, repeats=3)


def _measure(name: str, config: EncoderConfig, *, batch: int, repeats: int) -> Ratio:
    generator = torch.Generator().manual_seed(0)
    volume_BCXYZ = torch.rand((batch, len(CHANNELS), *GRID_SHAPE), generator=generator)
    all_but_one = 1 - 1 / config.num_tokens
    dropped_s, full_s = seconds_in_turns(
        _stepper(config, KEEP_FRACTION, volume_BCXYZ),
        _stepper(config, all_but_one, volume_BCXYZ),
        repeats=repeats,
    )
    return Ratio(
        f"MAE step, {name}, batch {batch}, one thread",
        f"{KEEP_FRACTION:.0%} of the tokens", batch / dropped_s,
        "all tokens but one", batch / full_s, "volumes/s", full_s / dropped_s,
        "stem, decoder and optimiser cost the same on both sides",
    )  # fmt: skip


def _stepper(
    config: EncoderConfig, keep_fraction: float, volume_BCXYZ: Tensor
) -> Callable[[], None]:
    model = MaskedAutoencoder(config, keep_fraction=keep_fraction, decoder_size=DECODER_SIZE)
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        model(volume_BCXYZ).backward()
        optimiser.step()

    return step
