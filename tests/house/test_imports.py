"""What importing costs and does: the layers, the price of a contract, nothing at import."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
READS_OF_THE_WORLD = {"environ", "getenv", "environb"}
CALLS_WITH_CONSEQUENCES = {"load_settings", "open", "urlopen", "basicConfig", "parse_args"}

LIST_FOREIGN_MODULES = """
import importlib, pkgutil, sys
before = set(sys.modules)
import pirta.contracts
for module in pkgutil.walk_packages(pirta.contracts.__path__, "pirta.contracts."):
    importlib.import_module(module.name)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(" ".join(sorted(new - set(sys.stdlib_module_names))))
"""


def _run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_the_standard_librarys_platform_wins_in_the_repository_root() -> None:
    done = _run("import platform; print(platform.system())")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_contracts_cost_pydantic_and_nothing_more() -> None:
    done = _run(LIST_FOREIGN_MODULES)
    assert done.returncode == 0, done.stderr
    allowed = {"pirta", "pydantic", "pydantic_core", "annotated_types"}
    allowed |= {"typing_extensions", "typing_inspection"}
    foreign = {name for name in done.stdout.split() if not name.startswith("_sysconfigdata")}
    assert foreign <= allowed, sorted(foreign - allowed)


@pytest.mark.parametrize("module", ["pirta", "pirta.errors", "pirta.settings", "pirta_cli.main"])
def test_nothing_heavy_comes_with_the_first_modules(module: str) -> None:
    done = _run(f"import sys, {module}; print(' '.join(sys.modules))")
    assert done.returncode == 0, done.stderr
    heavy = {"torch", "ray", "transformers", "vllm", "monai", "pandas", "scipy", "SimpleITK"}
    assert not heavy & set(done.stdout.split())


def test_rooms_know_only_what_lies_below_them() -> None:
    command = Path(sys.executable).parent / "lint-imports"
    done = subprocess.run(
        [str(command), "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_only_the_milvus_modules_of_retrieval_import_pymilvus(
    sources: dict[Path, ast.Module],
) -> None:
    strangers = []
    for path, tree in sources.items():
        at_home = path.parent.name == "retrieval" and path.stem.startswith("milvus")
        if path.parts[0] == "tests" or at_home:
            continue
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            strangers += [f"{path}:{name}" for name in names if name.split(".")[0] == "pymilvus"]
    assert not strangers, f"ask through pirta.retrieval.index.Index: {strangers}"


def test_nothing_reads_the_environment_at_import(
    import_time_nodes: dict[Path, list[ast.AST]],
) -> None:
    readers = [
        f"{path}:{getattr(node, 'lineno', 0)}"
        for path, nodes in import_time_nodes.items()
        for node in nodes
        if isinstance(node, ast.Attribute | ast.Name)
        and (node.attr if isinstance(node, ast.Attribute) else node.id) in READS_OF_THE_WORLD
    ]
    assert not readers, f"read it in a function, and pass the value on: {readers}"


def test_nothing_is_opened_parsed_or_configured_at_import(
    import_time_nodes: dict[Path, list[ast.AST]],
) -> None:
    callers = []
    for path, nodes in import_time_nodes.items():
        for node in nodes:
            if isinstance(node, ast.Call):
                target = node.func
                name = getattr(target, "attr", getattr(target, "id", ""))
                if name in CALLS_WITH_CONSEQUENCES:
                    callers.append(f"{path}:{node.lineno}: {name}()")
    assert not callers, f"these run at import: {callers}"


def test_broad_excepts_stand_only_where_a_failure_is_counted_and_kept(
    sources: dict[Path, ast.Module],
) -> None:
    """The gateway, the per-item boundary of a batch, and the fuzzer, whose find any failure is.

    A bare `except:` stands nowhere.
    """
    boundaries = {"serve_apps", "pipelines", "fuzz"}
    broad = []
    for path, tree in sources.items():
        if path.parts[0] == "tests":
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.ExceptHandler):
                named = getattr(node.type, "id", "bare" if node.type is None else "")
                at_boundary = boundaries & set(path.parts) and named != "bare"
                last = node.body[-1]
                if isinstance(last, ast.Raise) and last.exc is None:
                    continue  # tidies up and passes the failure on
                if named in {"bare", "Exception", "BaseException"} and not at_boundary:
                    broad.append(f"{path}:{node.lineno}")
    assert not broad, f"name the error that is expected: {broad}"
