"""`python -m bench [NAME ...]`: run the short benchmarks or those named, print and write a table.

bench-out/bench.json holds the figures with the machine they come from, bench.md the table.
"""

from __future__ import annotations

import importlib
import json
import os
import platform
import signal
import sys
import time
from dataclasses import asdict
from pathlib import Path

from bench.result import Ratio

BENCHMARKS = ("retrieval", "encoding", "augmentation", "mae_step", "preprocessing")
ON_REQUEST = (
    "retrieval_million",
    "preprocess_scaling",
    "preprocess_memory",
    "train_overhead",
    "release_switch",
    "writer_throughput",
    "on_gpu",
)  # minutes each, or a GPU: by name only
OUT = Path("bench-out")


def table(ratios: list[Ratio]) -> str:
    """Return the ratios as a Markdown table."""
    lines = [
        "| What | Ours | Baseline | Ratio | Note |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [
        f"| {one.question} | {one.ours_name}: {one.ours:.3g} {one.unit} "
        f"| {one.baseline_name}: {one.baseline:.3g} {one.unit} "
        f"| **{one.ratio:.3g}×** | {one.note} |"
        for one in ratios
    ]
    return "\n".join(lines) + "\n"


def main(names: list[str]) -> int:
    """Run, show and write; return the exit code."""
    known = (*BENCHMARKS, *ON_REQUEST)
    unknown = sorted(set(names) - set(known))
    if unknown:
        sys.stderr.write(f"no benchmark {', '.join(unknown)}; there are {', '.join(known)}\n")
        return 2
    # Let `with` blocks end the servers they started, when something else ends this process.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ratios: list[Ratio] = []
    started = time.perf_counter()
    for name in names or BENCHMARKS:
        for one in importlib.import_module(f"bench.{name}").run():
            ratios.append(one)
            after_s = time.perf_counter() - started
            sys.stderr.write(f"bench: {after_s:4.0f} s  {one.question}: {one.ratio:.3g}x\n")
    OUT.mkdir(exist_ok=True)
    machine = {
        "processor": platform.machine(),
        "num_cpus": os.cpu_count(),
        "load_average_1_min": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
        "duration_s": round(time.perf_counter() - started, 1),
    }
    content = {"machine": machine, "ratios": [asdict(one) for one in ratios]}
    (OUT / "bench.json").write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    page = table(ratios) + f"\nMeasured on {json.dumps(machine)}; above 1× ours is better.\n"
    (OUT / "bench.md").write_text(page, encoding="utf-8")
    sys.stdout.write(page)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
