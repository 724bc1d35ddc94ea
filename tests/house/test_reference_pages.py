"""The documents keep up with the code: settings, errors, and every command that they show."""

from __future__ import annotations

import ast
import importlib.util
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import BaseModel

from pirta import errors
from pirta.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
SHELL_BLOCK = re.compile(r"```(?:bash|sh|shell|console)\n(.*?)```", re.DOTALL)


def _load_script(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, ROOT / "scripts" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _setting_names(model: type[BaseModel], prefix: str = "") -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        kind = field.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            names += _setting_names(kind, f"{prefix}{name}.")
        else:
            names.append(prefix + name)
    return names


def test_every_setting_is_listed_in_the_docs() -> None:
    page = (ROOT / "docs" / "SETTINGS.md").read_text(encoding="utf-8")
    missing = [name for name in _setting_names(Settings) if f"`{name}`" not in page]
    assert not missing, f"run `make docs`: {missing}"


def test_every_setting_says_what_it_is_for() -> None:
    def mute(model: type[BaseModel]) -> list[str]:
        found = []
        for name, field in model.model_fields.items():
            kind = field.annotation
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                found += mute(kind)
            elif not field.description:
                found.append(f"{model.__name__}.{name}")
        return found

    assert not mute(Settings)


def test_every_error_code_is_listed_in_the_docs() -> None:
    page = (ROOT / "docs" / "ERRORS.md").read_text(encoding="utf-8")
    missing = [kind.code for kind in errors.error_classes() if f"`{kind.code}`" not in page]
    assert not missing, f"run `make docs`: {missing}"


def test_the_reference_pages_are_what_the_code_says() -> None:
    writer = _load_script("write_reference")
    for name, page in (("SETTINGS", writer.settings_page()), ("ERRORS", writer.errors_page())):
        written = (ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8")
        assert written == page, f"docs/{name}.md is stale: run `make docs`"


def test_error_classes_are_defined_in_the_error_tree_only(
    sources: dict[Path, ast.Module],
) -> None:
    tree_names = {kind.__name__ for kind in errors.error_classes()}
    elsewhere = [
        f"{path}:{node.name}"
        for path, tree in sources.items()
        if path != Path("platform/pirta/errors.py") and path.parts[0] != "tests"
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        and {getattr(kind, "id", getattr(kind, "attr", "")) for kind in node.bases} & tree_names
    ]
    assert not elsewhere, f"move these to pirta.errors: {elsewhere}"


def _shown_commands() -> list[tuple[str, str]]:
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
    shown = []
    for page in pages:
        for block in SHELL_BLOCK.findall(page.read_text(encoding="utf-8")):
            for line in block.replace("\\\n", " ").splitlines():
                command = line.removeprefix("$ ").strip()
                shown.append((page.name, re.sub(r"^(?:\w+=\S* )*", "", command)))
    return shown


def _make_targets() -> set[str]:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    return set(re.findall(r"^([a-z][a-z-]*):", text, flags=re.MULTILINE))


def test_every_make_target_that_the_docs_show_exists() -> None:
    unknown = [
        (page, command)
        for page, command in _shown_commands()
        if command.startswith("make ")
        and not {word for word in command.split()[1:2] if "=" not in word} <= _make_targets()
    ]
    assert not unknown


def test_every_pirta_command_that_the_docs_show_exists() -> None:
    shown = [(p, c) for p, c in _shown_commands() if re.match(r"(\S*/)?pirta\s", c)]
    if not shown:
        pytest.skip("the documents show no pirta command yet")
    import typer

    from pirta_cli.main import app

    top: Any = typer.main.get_command(app)
    problems = []
    for page, command in shown:
        node: Any = top
        words = command.split("#")[0].split()[1:]
        while words and hasattr(node, "commands"):
            word = words.pop(0)
            if word not in node.commands:
                problems.append(f"{page}: {command}: no command '{word}'")
                break
            node = node.commands[word]
        known = {opt for param in node.params for opt in (*param.opts, *param.secondary_opts)}
        known.add("--help")
        options = {word.split("=")[0] for word in words if word.startswith("--")}
        problems += [f"{page}: {command}: no option {opt}" for opt in sorted(options - known)]
    assert not problems, "\n".join(problems)


def test_every_module_that_the_docs_run_exists() -> None:
    for page, command in _shown_commands():
        module = re.search(r"python -m ([\w.]+)", command)
        if module:
            assert importlib.util.find_spec(module.group(1)), f"{page}: {command}"


def test_the_set_up_needs_less_than_two_seconds_when_nothing_changed() -> None:
    """Runs the set-up twice; in a checkout without its .venv there is nothing to repeat."""
    if not (ROOT / ".venv" / "setup-stamp").is_file():
        pytest.skip("no .venv made by the set-up here")
    done = subprocess.run(
        [sys.executable, "scripts/check_installed.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    subprocess.run(["bash", "scripts/setup.sh"], cwd=ROOT, check=True, timeout=60)
    subprocess.run(["bash", "scripts/setup.sh"], cwd=ROOT, check=True, timeout=2)
