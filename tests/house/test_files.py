"""How a file looks: its opening paragraph, its length, its name, and what it may not hold."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 300
MOST_FUNCTION_LINES = 60
MOST_WEIGHTS_BYTES = 25_000_000
VAGUE_NAMES = {"utils", "util", "helpers", "helper", "common", "manager", "base", "misc"}

# Written in two halves, so that this file does not name what it forbids.
FORBIDDEN_TEXT = {
    "/wo" + "rk/": "a path of one machine",
    "/ro" + "ot/": "a path of one machine",
    "py" + "pi.org": "a package registry's host",
    "pythonhos" + "ted": "a package registry's host",
    "find-" + "links": "a package registry's set-up",
    "cla" + "ude": "a tool that code was written with",
    "cop" + "ilot": "a tool that code was written with",
}
# constraints.txt names packages that vLLM depends on; the licence is not ours to word.
FREE_WORDED = {"constraints.txt", "LICENSE"}


def test_every_source_file_opens_with_a_paragraph(sources: dict[Path, ast.Module]) -> None:
    bare = [str(path) for path, tree in sources.items() if not ast.get_docstring(tree)]
    assert not bare, f"files without an opening paragraph: {bare}"


def test_no_source_file_is_longer_than_300_lines(sources: dict[Path, ast.Module]) -> None:
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in sources}
    long = {path: lines for path, lines in lengths.items() if lines > MOST_LINES}
    assert not long, f"files with more than {MOST_LINES} lines: {long}"


def test_no_function_has_more_than_60_lines_below_its_docstring(
    sources: dict[Path, ast.Module],
) -> None:
    long = {}
    for path, tree in sources.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                first = node.body[1] if ast.get_docstring(node) and node.body[1:] else node
                lines = (node.end_lineno or node.lineno) - first.lineno + 1
                if lines > MOST_FUNCTION_LINES:
                    long[f"{path}:{node.name}"] = lines
    assert not long, f"functions with more than {MOST_FUNCTION_LINES} lines: {long}"


def test_every_public_function_of_the_product_says_what_it_does(
    sources: dict[Path, ast.Module],
) -> None:
    mute = []
    for path, tree in sources.items():
        if path.parts[0] == "tests":
            continue
        for node in tree.body:
            is_definition = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
            if is_definition and not node.name.startswith("_") and not ast.get_docstring(node):
                mute.append(f"{path}:{node.name}")
    assert not mute, f"public names without a docstring: {mute}"


def test_no_module_has_a_name_that_says_nothing(sources: dict[Path, ast.Module]) -> None:
    vague = [str(path) for path in sources if path.stem in VAGUE_NAMES]
    assert not vague, f"name these after what they hold: {vague}"


def test_platform_is_a_source_root_and_never_a_package() -> None:
    assert not (ROOT / "platform" / "__init__.py").exists()


def test_no_carried_file_names_a_machine_a_registry_or_a_tool(carried_files: list[Path]) -> None:
    found = []
    for path in carried_files:
        if path.name in FREE_WORDED or path.stat().st_size > 2_000_000:
            continue
        content = path.read_bytes().lower()
        if b"\0" in content:
            continue
        found += [
            f"{path.relative_to(ROOT)}: {text} ({why})"
            for text, why in FORBIDDEN_TEXT.items()
            if text.encode() in content
        ]
    assert not found, "\n".join(found)


def test_the_shipped_weights_stay_within_25_megabytes(carried_files: list[Path]) -> None:
    weights = ROOT / "platform" / "pirta" / "weights"
    sizes = {p.name: p.stat().st_size for p in carried_files if p.is_relative_to(weights)}
    assert sum(sizes.values()) <= MOST_WEIGHTS_BYTES, sizes


def test_no_weights_are_pickled(carried_files: list[Path]) -> None:
    pickled = [p.name for p in carried_files if p.suffix in {".pt", ".pth", ".pkl", ".bin"}]
    assert not pickled, f"ship safetensors instead of {pickled}"
