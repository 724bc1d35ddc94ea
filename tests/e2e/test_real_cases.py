"""Two real, public studies through `pirta report` against the running graph.

One is stripped already, at 2 mm; the other has its skull, 5 mm slices, and an ADC in mm²/s. What
the phantom-trained encoder says of them is not asserted: that they come through, in form, is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from pirta.contracts.report import Report

if TYPE_CHECKING:
    from tests.e2e.conftest import Graph

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
ISLES = DATA / "isles22-strokecase0009" / "sub-strokecase0009_ses-0001"
JHU = DATA / "jhu-ads-subject02" / "Subject02"


@pytest.mark.parametrize(
    ("dwi", "adc"),
    [(f"{ISLES}_dwi.nii.gz", f"{ISLES}_adc.nii.gz"), (f"{JHU}_DWI.nii.gz", f"{JHU}_ADC.nii.gz")],
    ids=["isles22-strokecase0009", "jhu-ads-subject02"],
)
def test_a_real_study_becomes_a_report_on_the_command_line(
    graph: Graph, tmp_path: Path, dwi: str, adc: str
) -> None:
    if not Path(dwi).is_file():
        pytest.skip("the real cases (../shared/data beside the checkout) are absent")
    registry = tmp_path / "registry.json"
    registry.write_text(json.dumps({"age_years": 75, "nihss": 8}), encoding="utf-8")
    command = [sys.executable, "-m", "pirta_cli.main", "report", "--dwi", dwi, "--adc", adc]
    result = subprocess.run(
        [*command, "--registry", str(registry), "--url", graph.url, "--format", "json"],
        capture_output=True,
        text=True,
        check=False,
        timeout=200,
    )
    assert result.returncode == 0, result.stderr
    report = Report.model_validate_json(result.stdout)
    assert report.clinical_presentation.startswith("A 75-year-old")
    assert report.nihss == "8.0"
    assert len(report.evidence) == graph.settings.index.top_k
    assert report.provenance.release_id == graph.release.release_id
