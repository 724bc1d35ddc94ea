"""The command line as a whole: help at once, one line and exit code 2 for a user's mistake."""

from __future__ import annotations

import io
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

from pirta.errors import InputError, UnavailableError
from pirta_cli.main import app

COMMANDS = (
    "demo", "cohort", "preprocess", "pseudonym", "train", "release", "case", "serve", "report",
    "structure", "evaluate", "writer-memory",
)  # fmt: skip


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    for command in COMMANDS:
        assert command in result.output


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command: str) -> None:
    result = CliRunner().invoke(app, [command, "--help"])
    assert result.exit_code == 0
    assert "Usage" in result.output


def test_help_loads_neither_torch_nor_ray() -> None:
    code = (
        "import sys; sys.argv=['pirta','--help']\n"
        "from pirta_cli.main import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(sorted({'torch','ray','monai','pymilvus','vllm','numpy'} & set(sys.modules)))"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert result.stdout.strip().endswith("[]")


def test_a_users_mistake_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    missing = str(tmp_path / "dwi.nii.gz")
    result = subprocess.run(
        [sys.executable, "-m", "pirta_cli.main", "report", "--dwi", missing, "--adc", missing],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("error [file_missing]: The DWI file")


@pytest.mark.parametrize(
    "given",
    [
        [],
        ["--dwi"],
        ["--dwi", "--b0"],
        ["--adc", "--b0", "--b-value"],
        ["--study", "--dwi"],
        ["--study", "--dwi", "--adc"],
    ],
    ids=" ".join,
)
def test_report_options_that_make_no_study_are_refused_before_anything_is_read(
    given: list[str],
) -> None:
    words = [word for option in given for word in (option, "7")]
    result = CliRunner().invoke(app, ["report", *words])
    assert isinstance(result.exception, InputError)
    assert "makes no study" in result.exception.message


def test_a_study_folder_leaves_the_command_line_as_one_archive_with_its_b_value(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "x_dwi.mha").write_bytes(b"image")
    seen: list[dict[str, Any]] = []
    monkeypatch.setattr(
        httpx, "post", lambda *_a, **kwargs: seen.append(kwargs) or httpx.Response(500)
    )
    words = ["report", "--study", str(tmp_path / "study"), "--b-value", "800"]
    assert isinstance(CliRunner().invoke(app, words).exception, UnavailableError)
    assert set(seen[0]["files"]) == {"study"}
    assert seen[0]["data"] == {"b_value": "800"}
    packed = zipfile.ZipFile(io.BytesIO(seen[0]["files"]["study"][1]))
    assert packed.read("x_dwi.mha") == b"image"
