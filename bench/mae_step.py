"""One step of MAE pretraining with three of four tokens dropped, against keeping all but one.

Both sides run the same network, decoder, loss and optimiser; only the share of the tokens that
the encoder's blocks see differs (the paper's q = 0.25). Axis suffixes: B batch, C channels,
X Y Z voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch

from bench.result import Ratio, seconds_in_turns
from pirta.contracts.study import CHANNELS, GRID_SHAPE
from pirta.models.config import demo
from pirta.models.mae import MaskedAutoencoder

BATCH = 4
KEEP_FRACTION = 0.25
DECODER_SIZE = 128


def run() -> Iterator[Ratio]:
    """Measure forward, backward and AdamW's step."""
    torch.set_num_threads(1)
    config = demo()
    generator = torch.Generator().manual_seed(0)
    volume_BCXYZ = torch.rand((BATCH, len(CHANNELS), *GRID_SHAPE), generator=generator)

    def stepper(keep_fraction: float) -> Callable[[], None]:
        model = MaskedAutoencoder(config, keep_fraction=keep_fraction, decoder_size=DECODER_SIZE)
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05)

        def step() -> None:
            optimiser.zero_grad(set_to_none=True)
            model(volume_BCXYZ).backward()
            optimiser.step()

        return step

    all_but_one = 1 - 1 / config.num_tokens
    dropped_s, full_s = seconds_in_turns(stepper(KEEP_FRACTION), stepper(all_but_one), repeats=5)
    yield Ratio(
        f"MAE step, batch {BATCH}, one thread",
        f"{KEEP_FRACTION:.0%} of the tokens", BATCH / dropped_s,
        "all tokens but one", BATCH / full_s, "volumes/s", full_s / dropped_s,
        "stem, decoder and optimiser cost the same on both sides",
    )  # fmt: skip
