"""The encoder's two costs on one GPU: embedding as served, and a step of MAE pretraining.

Embedding is held against `bench.plain_encoder` (MONAI's ViT, eager, float32, a volume at a time)
and against the same network with the same batch and precision, so that one sees what batching
and bfloat16 bring and what the lean network brings. A MAE step drops three tokens of four or one,
in bfloat16, at the paper's size. Refuses to start where torch sees no GPU.

Axis suffixes: B batch, C channels, X Y Z voxels, D embedding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import torch

from bench.encoding import smallest_cosine, some_volumes
from bench.plain_encoder import plain_encoder
from bench.result import Ratio, seconds_in_turns
from pirta.contracts.study import CHANNELS, GRID_SHAPE
from pirta.models.config import paper
from pirta.models.mae import MaskedAutoencoder
from pirta.models.runtime import load_encoder
from pirta.settings import SHIPPED_WEIGHTS

EMBED_BATCH = 64
MAE_BATCH = 64
KEEP_FRACTION = 0.25
DECODER_SIZE = 384  # of the run `gpu`


def run() -> Iterator[Ratio]:
    """Measure on the first GPU.

    Raises:
        SystemExit: there is none.
    """
    if not torch.cuda.is_available():
        raise SystemExit("bench on_gpu: torch sees no GPU; run it where one is.")
    yield from _embedding()
    yield _mae_step()


def _embedding() -> Iterator[Ratio]:
    served = load_encoder(
        SHIPPED_WEIGHTS / "encoder", device="cuda", num_threads=1, precision="auto"
    )
    few_BCXYZ = some_volumes()
    volume_BCXYZ = np.concatenate([few_BCXYZ] * (EMBED_BATCH // len(few_BCXYZ)))
    plain = plain_encoder(served.model).cuda()
    on_gpu = torch.from_numpy(volume_BCXYZ).cuda()

    def as_served() -> None:  # from NumPy to NumPy: the copies count
        served.embed(volume_BCXYZ)

    def network_alone() -> None:
        with torch.inference_mode(), _half():
            served.model(on_gpu)
        torch.cuda.synchronize()

    def plainly_one_by_one() -> None:
        with torch.inference_mode():
            for one_CXYZ in volume_BCXYZ:
                plain(torch.from_numpy(one_CXYZ[None]).cuda()).embedding_BD.cpu()

    def plainly_together() -> None:
        with torch.inference_mode(), _half():
            plain(on_gpu)
        torch.cuda.synchronize()

    served_s, alone_s, one_s, together_s = seconds_in_turns(
        as_served, network_alone, plainly_one_by_one, plainly_together, repeats=9
    )
    cosine = smallest_cosine(served, plain, few_BCXYZ)
    yield Ratio(
        f"Embedding on a GPU, shipped encoder, {served.precision}, batch {EMBED_BATCH}",
        "as served", EMBED_BATCH / served_s,
        "MONAI's ViT, float32, batch 1", EMBED_BATCH / one_s, "volumes/s", one_s / served_s,
        f"copies to and from the GPU on both sides; smallest cosine of the two {cosine:.6f}",
    )  # fmt: skip
    yield Ratio(
        f"The network alone on a GPU, bfloat16, batch {EMBED_BATCH}, volumes on the GPU",
        "shipped encoder", EMBED_BATCH / alone_s,
        "MONAI's ViT and a dense stem", EMBED_BATCH / together_s, "volumes/s",
        together_s / alone_s, "what the lean stem and attention bring, all else equal",
    )  # fmt: skip


def _mae_step() -> Ratio:
    config = paper()
    generator = torch.Generator().manual_seed(0)
    shape = (MAE_BATCH, len(CHANNELS), *GRID_SHAPE)
    volume_BCXYZ = torch.rand(shape, generator=generator).cuda()
    all_but_one = 1 - 1 / config.num_tokens
    memory: list[int] = []

    def stepper(keep_fraction: float) -> Callable[[], None]:
        model = MaskedAutoencoder(
            config, keep_fraction=keep_fraction, decoder_size=DECODER_SIZE
        ).cuda()
        optimiser = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05)

        def step() -> None:
            optimiser.zero_grad(set_to_none=True)
            with _half():
                loss = model(volume_BCXYZ)
            loss.backward()
            optimiser.step()
            torch.cuda.synchronize()

        return step

    steps = [stepper(KEEP_FRACTION), stepper(all_but_one)]
    for step in steps:
        step()
        torch.cuda.reset_peak_memory_stats()
        step()
        memory.append(torch.cuda.max_memory_allocated())
    dropped_s, full_s = seconds_in_turns(*steps, repeats=7)
    peaks = " and ".join(f"{used / 2**30:.1f} GiB" for used in memory)
    return Ratio(
        f"MAE step on a GPU, ViT-B, 12 layers of 768, bfloat16, batch {MAE_BATCH}",
        f"{KEEP_FRACTION:.0%} of the tokens", MAE_BATCH / dropped_s,
        "all tokens but one", MAE_BATCH / full_s, "volumes/s", full_s / dropped_s,
        f"stem, decoder and optimiser cost the same on both sides; peaks {peaks}, both models held",
    )  # fmt: skip


def _half() -> torch.autocast:
    return torch.autocast("cuda", dtype=torch.bfloat16)
