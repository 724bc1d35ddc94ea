"""Names in a BIDS-like folder: which files make a study, and what is told of those that do not."""

from __future__ import annotations

from pathlib import Path

import pytest

from pirta.cohort.bids_folder import find_bids_studies
from pirta.errors import ManifestError


def _touch(root: Path, *paths: str) -> str:
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return str(root)


@pytest.mark.parametrize(
    ("images", "mask"),
    [
        ("rawdata/sub-1/ses-1/dwi/sub-1_ses-1", "derivatives/sub-1/ses-1/sub-1_ses-1"),
        ("sub-1/ses-1/dwi/sub-1_ses-1", "derivatives/lesion/sub-1/ses-1/dwi/sub-1_ses-1"),
        ("rawdata/sub-1/ses-1/sub-1_ses-1", "derivatives/sub-1/ses-1/sub-1_ses-1"),
        ("sub-1/sub-1", "derivatives/sub-1/sub-1"),
        ("sub-1/dwi/sub-1_run-2", "derivatives/sub-1/sub-1_run-2"),
        ("sub-1/dwi/sub-1_ses-1_acq-trace_run-01", "derivatives/x/sub-1_ses-1_acq-trace_run-01"),
        ("sub-1/dwi/sub-1_ses-1", "derivatives/x/sub-1_ses-1_desc-lesion"),
        ("sub-1/dwi/sub-1_ses-1", "derivatives/x/sub-1_ses-1_space-orig_label-lesion"),
        ("sub-1/dwi/sub-1_run-1_desc-trace", "derivatives/x/sub-1_run-1"),
    ],
)
def test_a_study_is_found_in_every_published_form(tmp_path: Path, images: str, mask: str) -> None:
    folder = _touch(
        tmp_path,
        f"{images}_dwi.nii.gz", f"{images}_dwi.json", f"{images}_adc.nii.gz",
        f"{images}_flair.nii.gz", f"{mask}_msk.nii.gz", "participants.tsv",
    )  # fmt: skip
    (study,) = find_bids_studies(folder)
    assert study.problem is None
    assert study.subject == "sub-1"
    assert study.dwi_uri == f"{folder}/{images}_dwi.nii.gz"
    assert study.adc_uri == f"{folder}/{images}_adc.nii.gz"
    assert study.mask_uri == f"{folder}/{mask}_msk.nii.gz"
    assert study.sidecar_uri == f"{folder}/{images}_dwi.json"


def test_two_runs_are_two_studies_of_one_subject(tmp_path: Path) -> None:
    for run in ("run-1", "run-2"):
        _touch(
            tmp_path,
            f"sub-1/dwi/sub-1_{run}_dwi.nii.gz",
            f"sub-1/dwi/sub-1_{run}_adc.nii.gz",
            f"derivatives/sub-1_{run}_msk.nii.gz",
        )
    studies = find_bids_studies(str(tmp_path))
    assert [one.case_id for one in studies] == ["sub-1_run-1", "sub-1_run-2"]
    assert {one.subject for one in studies} == {"sub-1"}
    assert not any(one.problem for one in studies)


def test_a_mask_that_belongs_to_no_run_is_told_and_not_guessed(tmp_path: Path) -> None:
    folder = _touch(
        tmp_path,
        "sub-1/dwi/sub-1_run-1_dwi.nii.gz",
        "sub-1/dwi/sub-1_run-1_adc.nii.gz",
        "derivatives/sub-1_msk.nii.gz",
    )
    problems = {one.case_id: one.problem for one in find_bids_studies(folder)}
    assert problems == {
        "sub-1": "There is no dwi and no adc file for this study.",
        "sub-1_run-1": "There is no msk file for this study.",
    }


def test_a_file_that_is_there_twice_is_told(tmp_path: Path) -> None:
    folder = _touch(
        tmp_path,
        "sub-1/dwi/sub-1_dwi.nii.gz",
        "sub-1/dwi/sub-1_desc-denoised_dwi.nii.gz",
        "sub-1/dwi/sub-1_adc.nii.gz",
        "derivatives/sub-1_msk.nii.gz",
    )
    (study,) = find_bids_studies(folder)
    assert study.problem == "There are 2 dwi files of one study."


def test_a_folder_without_any_dwi_is_refused_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"holds no DWI.*\[rawdata/\]sub-X"):
        find_bids_studies(_touch(tmp_path, "derivatives/sub-1_msk.nii.gz", "sub-1/x_dwi.nii.gz"))
    with pytest.raises(ManifestError, match="holds no DWI"):
        find_bids_studies(str(tmp_path / "absent"))
