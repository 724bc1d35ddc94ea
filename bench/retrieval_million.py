"""The retrieval benchmark at a million cases, or as many as the memory takes; by name only.

A million embeddings are 3 GB. They are held here (for the exact answer), by faiss and by Milvus,
which needs about twice their size while it seals them: 14 GB in all. With less free memory fewer
rows are measured, and the lines say how many. Only FLAT: the graph of a million rows takes two
cores hours to build (`retrieval` measures it at 40,000).
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil

from bench.embeddings import DIMENSIONS
from bench.result import Ratio
from bench.retrieval import measure
from bench.standalone_milvus import StandaloneMilvus, is_installed
from pirta.errors import SettingsError
from pirta.retrieval.milvus import MilvusIndex

_COPIES = 5  # ours, faiss's, and Milvus's with a half more for its sealing
_BYTES_A_ROW = 4 * DIMENSIONS
_REPEATS = 60


def run() -> Iterator[Ratio]:
    """Measure FLAT at the largest number of rows up to a million.

    Raises:
        SettingsError: no Milvus is installed.
    """
    if not is_installed():
        raise SettingsError(
            "This benchmark needs the wheel 'milvus', which is not installed.",
            remedy="Install the extra `dev` on Linux, x86_64.",
        )
    fitting = int(psutil.virtual_memory().available * 0.9 / (_COPIES * _BYTES_A_ROW))
    num_rows = min(1_000_000, fitting // 50_000 * 50_000)
    with (
        tempfile.TemporaryDirectory() as folder,
        StandaloneMilvus(Path(folder) / "milvus") as server,
    ):
        index = MilvusIndex(server.uri, timeout_s=300)
        yield from measure(index, "Milvus", num_rows, kinds=("FLAT",), repeats=_REPEATS)
