"""Memory for two: what is counted, when it is refused, and where the free memory is read."""

from __future__ import annotations

from pathlib import Path

import pytest

from pirta.errors import MemoryShortError
from pirta.releases.memory import (
    MIB,
    bytes_needed,
    check_memory,
    folder_bytes,
    read_free_bytes,
)
from tests.unit.releases.examples import make_release

SIZES = {"weights/encoder": 100 * MIB, "weights/base": 1000 * MIB, "weights/adapter": 10 * MIB}


def test_the_first_release_needs_every_part() -> None:
    needs = bytes_needed(make_release(), held=(), folder_bytes=SIZES.__getitem__)
    assert needs["encoder"] == 120 * MIB
    assert needs["writer"] == round(1.2 * 1000 * MIB) + 12 * MIB
    assert needs["retriever"] == 3 * (768 * 4 + 4096)


def test_parts_that_are_held_already_cost_nothing_again() -> None:
    needs = bytes_needed(make_release(2), held=[make_release(1)], folder_bytes=SIZES.__getitem__)
    assert (needs["encoder"], needs["writer"]) == (0, 0)
    assert needs["retriever"] > 0
    shared = make_release(2, collection="cases_1")
    needs = bytes_needed(shared, held=[make_release(1)], folder_bytes=SIZES.__getitem__)
    assert needs == {"encoder": 0, "retriever": 0, "writer": 0}
    check_memory(needs, free_bytes=0)  # nothing to load is never refused


def test_a_graph_index_costs_more_than_a_flat_one() -> None:
    flat = make_release().model_copy(update={"num_cases": 10**6})
    graph = flat.model_copy(update={"index_kind": "HNSW"})
    needs = [
        bytes_needed(one, held=(), folder_bytes=SIZES.__getitem__)["retriever"]
        for one in (flat, graph)
    ]
    assert needs[0] == 10**6 * (768 * 4 + 4096) < needs[1]


def test_a_refusal_says_how_much_is_missing_and_of_what() -> None:
    needs = {"encoder": 100 * MIB, "writer": 1000 * MIB + 1, "retriever": 0}
    told = (
        r"^357 MiB of memory are missing: .* encoder 100 MiB, writer 1001 MiB, "
        r"256 MiB stay reserved, 1000 MiB are free"
    )
    with pytest.raises(MemoryShortError, match=told):
        check_memory(needs, free_bytes=1000 * MIB)
    check_memory(needs, free_bytes=1356 * MIB + 1)
    with pytest.raises(MemoryShortError, match=r"^1 MiB"):
        check_memory(needs, free_bytes=1356 * MIB)


@pytest.mark.parametrize(
    ("files", "free_mib"),
    [
        ({}, 4000),
        ({"memory.max": "max", "memory.current": "1"}, 4000),
        ({"memory.max": str(3000 * MIB), "memory.current": str(1000 * MIB)}, 2000),
        ({"memory.max": str(9000 * MIB), "memory.current": str(1000 * MIB)}, 4000),
        ({"memory.max": str(1000 * MIB), "memory.current": str(1001 * MIB)}, 0),
        (
            {
                "memory/memory.limit_in_bytes": str(3000 * MIB),
                "memory/memory.usage_in_bytes": str(2500 * MIB),
            },
            500,
        ),
    ],
)
def test_the_free_memory_is_the_machines_or_its_containers(
    tmp_path: Path, files: dict[str, str], free_mib: int
) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text(
        f"MemTotal: 9000000 kB\nMemAvailable: {4000 * 1024} kB\nHugePages_Total: 0\n"
    )
    for name, content in files.items():
        path = tmp_path / "sys/fs/cgroup" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content + "\n")
    assert read_free_bytes(tmp_path) == free_mib * MIB


def test_this_machine_has_free_memory_and_a_folder_its_size(tmp_path: Path) -> None:
    assert read_free_bytes() > 0
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep/weights").write_bytes(b"1" * 1000)
    (tmp_path / "manifest").write_bytes(b"1" * 24)
    assert folder_bytes(str(tmp_path)) == 1024
    assert folder_bytes(str(tmp_path / "nowhere")) == 0
