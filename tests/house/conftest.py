"""The files that the house rules look at: whatever git would carry, ours and written by hand."""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ROOTS = ("platform", "train_jobs", "serve_apps", "bench", "fuzz", "scripts", "tests")


@pytest.fixture(scope="session")
def carried_files() -> list[Path]:
    """Every file that is tracked or about to be: ignored ones left out."""
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=False,
    )
    if listing.returncode != 0:
        pytest.skip("not a git checkout: which files belong to the repository is not known")
    names = [name for name in listing.stdout.decode().split("\0") if name]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


@pytest.fixture(scope="session")
def sources(carried_files: list[Path]) -> dict[Path, ast.Module]:
    """Every Python file of ours, parsed; paths are relative to the repository."""
    ours = [
        path.relative_to(ROOT)
        for path in carried_files
        if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in SOURCE_ROOTS
    ]
    return {path: ast.parse((ROOT / path).read_text(encoding="utf-8")) for path in ours}


def statements_run_at_import(tree: ast.Module) -> Iterator[ast.AST]:
    """Yield every node that runs when the module is imported: no function bodies, no main."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and "__name__" in ast.dump(node.test):
            continue
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [*node.decorator_list, *node.args.defaults]
        elif not isinstance(node, ast.Lambda):
            waiting += ast.iter_child_nodes(node)


@pytest.fixture(scope="session")
def import_time_nodes(sources: dict[Path, ast.Module]) -> dict[Path, list[ast.AST]]:
    """For each file, the nodes that run at its import."""
    return {path: list(statements_run_at_import(tree)) for path, tree in sources.items()}
