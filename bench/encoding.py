"""The shipped encoder as it is served, against the same network written plainly, one by one.

The baseline is `bench.plain_encoder`: MONAI's ViT in float32, eager, a volume at a time. Ours is
`LoadedEncoder.embed`, what Serve's replicas and the batch jobs call, alone and in a batch. A
third figure says what share of this machine's matrix-multiply rate the served path reaches: its
multiplications, counted by torch, over what one large product does in the same minutes.

One torch thread on every side. Volumes are prepared studies of the synthetic store, whose
"brains" fill 24 % of the grid (a head fills some 17 %). Axis suffixes: B batch, C channels,
X Y Z voxels, D embedding.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.flop_counter import FlopCounterMode

from bench.plain_encoder import plain_encoder
from bench.result import Ratio, seconds_in_turns
from bench.synthetic_store import write_synthetic_store
from pirta.cohort.prepared_store import load_volume, read_prepared
from pirta.models.encoder import TerritoryEncoder
from pirta.models.runtime import LoadedEncoder, load_encoder
from pirta.settings import SHIPPED_WEIGHTS

BATCH = 8
MATRIX_SIDE = 1024


def run() -> Iterator[Ratio]:
    """Measure volumes a second, and the share of the matrix-multiply rate."""
    # As served by default: in bfloat16 where the processor has units for it.
    encoder = load_encoder(
        SHIPPED_WEIGHTS / "encoder", device="cpu", num_threads=1, precision="auto"
    )
    volume_BCXYZ = some_volumes()
    plain = plain_encoder(encoder.model)
    batch = torch.from_numpy(volume_BCXYZ)

    def ours_together() -> None:
        encoder.embed(volume_BCXYZ)

    def ours_alone() -> None:
        for one_CXYZ in volume_BCXYZ:
            encoder.embed(one_CXYZ[None])

    def plainly() -> None:
        with torch.inference_mode():
            for one_CXYZ in batch:
                plain(one_CXYZ[None])

    matrix = torch.rand(MATRIX_SIDE, MATRIX_SIDE).to(getattr(torch, encoder.precision))

    def multiply() -> None:
        matrix @ matrix

    together_s, alone_s, plain_s, multiply_s = seconds_in_turns(
        ours_together, ours_alone, plainly, multiply, repeats=9
    )
    cosine = smallest_cosine(encoder, plain, volume_BCXYZ)
    for name, ours_s in ((f"batch {BATCH}", together_s), ("batch 1", alone_s)):
        yield Ratio(
            f"Embedding, shipped encoder, {encoder.precision}, one thread, {name}",
            "as served", BATCH / ours_s, "MONAI's ViT, float32, batch 1", BATCH / plain_s,
            "volumes/s", plain_s / ours_s, f"smallest cosine of the two {cosine:.6f}",
        )  # fmt: skip
    ours_rate, machine_rate = _flops(encoder, volume_BCXYZ) / together_s, 2 * MATRIX_SIDE**3
    yield Ratio(
        f"Multiplications of the served encoder against one large product, {encoder.precision}",
        "encoder", ours_rate / 1e9, f"{MATRIX_SIDE}² matrices", machine_rate / multiply_s / 1e9,
        "GFLOP/s", ours_rate * multiply_s / machine_rate,
        "share of the machine's matrix-multiply rate; cutting cells and norms count as nothing",
    )  # fmt: skip


def some_volumes() -> NDArray[np.float32]:
    """Return `BATCH` prepared volumes of the synthetic store, float32, `(B, C, X, Y, Z)`."""
    with tempfile.TemporaryDirectory(prefix="pirta-bench-") as folder:
        store = str(Path(folder) / "store")
        write_synthetic_store(store)
        cases = read_prepared(store)[:BATCH]
        return np.stack([load_volume(one.array_uri) for one in cases])


def smallest_cosine(
    encoder: LoadedEncoder, plain: TerritoryEncoder, volume_BCXYZ: NDArray[np.float32]
) -> float:
    """Return the smallest cosine between the two networks' embeddings of a volume."""
    served_BD, _ = encoder.embed(volume_BCXYZ)
    with torch.inference_mode():
        device = next(plain.parameters()).device
        plain_BD = plain(torch.from_numpy(volume_BCXYZ).to(device)).embedding_BD.cpu().numpy()
    return float((served_BD * plain_BD).sum(axis=1).min())


def _flops(encoder: LoadedEncoder, volume_BCXYZ: NDArray[np.float32]) -> int:
    with FlopCounterMode(display=False) as counter:
        encoder.embed(volume_BCXYZ)
    return counter.get_total_flops()
