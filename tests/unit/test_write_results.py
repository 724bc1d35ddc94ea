"""Evaluations are put between their marks, and the rest of the page stays as it is."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="module")
def script(repository: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(
        "write_results", repository / "scripts" / "write_results.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


PAGE = "# Results\n\n<!-- begin:in -->\nold \\1\n<!-- end:in -->\n\nAfter.\n"


def _evaluation(folder: Path) -> Path:
    (folder / "figures").mkdir(parents=True)
    (folder / "evaluation.md").write_text("| a \\| b | 1 |\n")
    (folder / "figures" / "roc.png").write_bytes(b"png")
    return folder


def test_the_section_is_replaced_with_its_pictures_and_again_without_change(
    script: ModuleType, tmp_path: Path
) -> None:
    page, run = tmp_path / "docs" / "RESULTS.md", _evaluation(tmp_path / "run")
    page.parent.mkdir()
    page.write_text(PAGE)
    script.main([f"in={run}", "--page", str(page)])
    text = page.read_text()
    assert text == (
        "# Results\n\n<!-- begin:in -->\n\n| a \\| b | 1 |\n\n![roc](figures/in/roc.png)\n\n"
        "<!-- end:in -->\n\nAfter.\n"
    )
    assert (page.parent / "figures" / "in" / "roc.png").read_bytes() == b"png"
    script.main([f"in={run}", "--page", str(page)])
    assert page.read_text() == text


def test_a_page_without_marks_and_a_folder_without_tables_are_refused(
    script: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    page, run = tmp_path / "RESULTS.md", _evaluation(tmp_path / "run")
    page.write_text(PAGE)
    for given, reason in ((f"out={run}", "begin:out"), (f"in={tmp_path}", "no NAME=FOLDER")):
        with pytest.raises(SystemExit):
            script.main([given, "--page", str(page)])
        assert reason in capsys.readouterr().err
    assert page.read_text() == PAGE
