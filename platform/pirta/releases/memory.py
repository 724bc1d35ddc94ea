"""Whether a second release fits beside the active one, asked before it is loaded.

A replica counts what it does not hold yet: parts of the same content are shared between releases
and cost nothing twice. The estimate is coarse and on the large side; running out of memory while
the active release answers would be worse than a refusal that names what is missing.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path

from pirta.contracts.release import Release
from pirta.errors import MemoryShortError

MIB = 1024 * 1024
LOADED_PER_STORED = 1.2  # a checkpoint in memory, with what surrounds its weights
RESERVE_BYTES = 256 * MIB  # left to the requests that are under way
_FLOAT32_BYTES = 4
_ROW_TEXT_BYTES = 4096  # a case's findings and report beside its vector
_HNSW_LINK_BYTES = 2 * 32 * 4  # twice m links a row, four bytes each

# The bytes of the files in a checkpoint's folder.
FolderBytes = Callable[[str], int]


def bytes_needed(
    release: Release, *, held: Collection[Release], folder_bytes: FolderBytes
) -> dict[str, int]:
    """Return what each deployment's replica needs to load a release beside those that it holds.

    The retriever's share is what the collection takes where Milvus holds it; in Milvus's own
    process or beside it, the memory is the machine's.
    """
    needs = {"encoder": 0, "retriever": 0, "writer": 0}
    if release.encoder_sha256 not in {one.encoder_sha256 for one in held}:
        needs["encoder"] = _loaded(release.encoder_path, folder_bytes)
    if release.collection not in {one.collection for one in held}:
        needs["retriever"] = _index_bytes(release)
    if release.writer_base_sha256 not in {one.writer_base_sha256 for one in held}:
        needs["writer"] += _loaded(release.writer_base_path, folder_bytes)
    if release.writer_adapter_sha256 not in {one.writer_adapter_sha256 for one in held}:
        needs["writer"] += _loaded(release.writer_adapter_path, folder_bytes)
    return needs


def check_memory(
    needs: Mapping[str, int], *, free_bytes: int, reserve_bytes: int = RESERVE_BYTES
) -> None:
    """Raise MemoryShortError unless what is needed leaves the reserve free.

    Args:
        needs: bytes by deployment, of those replicas that share this machine's memory.
    """
    missing_bytes = sum(needs.values()) + reserve_bytes - free_bytes
    if missing_bytes <= 0 or not any(needs.values()):
        return
    parts = ", ".join(f"{name} {_mib(value)} MiB" for name, value in needs.items() if value)
    raise MemoryShortError(
        f"{_mib(missing_bytes)} MiB of memory are missing: the release needs {parts}, "
        f"{_mib(reserve_bytes)} MiB stay reserved, {_mib(free_bytes)} MiB are free.",
        remedy="Retire a release that is only kept warm, or give the replica more memory.",
    )


def read_free_bytes(root: Path = Path("/")) -> int:
    """Return what this process may still take: the machine's free memory, or its container's.

    Args:
        root: below which `proc` and `sys` lie.
    """
    values = {}
    for line in (root / "proc/meminfo").read_text(encoding="ascii").splitlines():
        name, _, rest = line.partition(":")
        values[name] = rest.split()
    free_bytes = int(values["MemAvailable"][0]) * 1024
    cgroup = root / "sys/fs/cgroup"
    for limit_file, usage_file in (
        ("memory.max", "memory.current"),  # cgroup v2
        ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes"),  # v1
    ):
        try:
            limit = (cgroup / limit_file).read_text(encoding="ascii").strip()
            usage = (cgroup / usage_file).read_text(encoding="ascii").strip()
        except OSError:
            continue
        if limit != "max":
            free_bytes = min(free_bytes, max(int(limit) - int(usage), 0))
    return free_bytes


def folder_bytes(folder: str) -> int:
    """Return the size of the files in a checkpoint's folder; 0 where there is none."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def _loaded(folder: str, folder_bytes: FolderBytes) -> int:
    return round(LOADED_PER_STORED * folder_bytes(folder))


def _index_bytes(release: Release) -> int:
    links = _HNSW_LINK_BYTES if release.index_kind == "HNSW" else 0
    return release.num_cases * (release.dimensions * _FLOAT32_BYTES + _ROW_TEXT_BYTES + links)


def _mib(num_bytes: int) -> int:
    return -(-num_bytes // MIB)
