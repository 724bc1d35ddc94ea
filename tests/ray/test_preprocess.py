"""A cohort through Ray Data: every study is done or a dead letter, and nothing is done twice.

Axis suffixes: X Y Z voxels (RAS+).
"""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import ray

from pirta.cohort.prepared_store import load_labels, load_volume, read_prepared, read_refused
from pirta.cohort.shards import new_shard
from pirta.cohort.table import write_cohort
from pirta.contracts.case import CaseRecord
from pirta.contracts.study import GRID_SHAPE, Registry, StudyImages
from pirta.imaging.nifti import read_file, read_nifti
from pirta.imaging.prepare import fingerprint, prepare_study
from pirta.imaging.strip import DeepbetStripper, make_stripper
from pirta.pipelines.local_ray import start_local_ray
from pirta.pipelines.preprocess import Progress, preprocess_cohort
from pirta.pipelines.preprocess_run import next_run
from pirta.pipelines.preprocess_worker import StudyPreparer, Work
from pirta.settings import PreprocessingSettings, Settings

pytestmark = [
    pytest.mark.ray,
    # Ray 2.60's DataContext warns of its own defaults whenever it is made.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data"),
]

QUICK = PreprocessingSettings(n4_fit_spacing_mm=16, n4_iterations=(5,))


@pytest.fixture(scope="module", autouse=True)
def cluster() -> Iterator[None]:
    start_local_ray(4)
    yield
    ray.shutdown()


def _record(case_id: str, **uris: str | None) -> CaseRecord:
    return CaseRecord(
        case_id=case_id,
        patient_id=f"patient-{case_id}",
        site="north",
        scanner="a",
        registry=Registry(),
        **{"dwi_uri": f"{case_id}_dwi.nii.gz", "adc_uri": f"{case_id}_adc.nii.gz", **uris},
    )


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    """Three stripped toy brains, one of them with a mask, and three that cannot be used."""
    rng = np.random.default_rng(0)
    affine = np.diag([4.0, 4.0, 4.0, 1.0])
    x, y, z = (np.arange(side) - (side - 1) / 2 for side in (48, 56, 40))
    distance_XYZ = (
        (x[:, None, None] / 17) ** 2 + (y[None, :, None] / 21) ** 2 + (z[None, None] / 14) ** 2
    )
    brain_XYZ, fluid_XYZ = distance_XYZ < 1, distance_XYZ < 0.15

    def save(name: str, tissue: float, fluid: float) -> None:
        values_XYZ = np.where(fluid_XYZ, fluid, tissue) * rng.uniform(0.95, 1.05, brain_XYZ.shape)
        data_XYZ = np.where(brain_XYZ, values_XYZ, 0).astype(np.float32)
        nib.save(nib.Nifti1Image(data_XYZ, affine), tmp_path / name)

    for case_id in ("one", "two", "three"):
        save(f"{case_id}_dwi.nii.gz", 300, 70)
        save(f"{case_id}_adc.nii.gz", 800, 3000)
    nib.save(nib.Nifti1Image(fluid_XYZ.astype(np.uint8), affine), tmp_path / "two_mask.nii.gz")
    (tmp_path / "text_dwi.nii.gz").write_text("no image")
    whole = gzip.compress((tmp_path / "one_adc.nii.gz").read_bytes())
    (tmp_path / "text_adc.nii.gz").write_bytes(whole)
    cases = [
        _record("one"),
        _record("text"),
        _record("two", mask_uri="two_mask.nii.gz"),
        _record("gone"),
        _record("same", dwi_uri="one_dwi.nii.gz", adc_uri="one_dwi.nii.gz"),
        _record("three"),
    ]
    write_cohort(str(tmp_path / "cohort.parquet"), cases)
    return tmp_path / "cohort.parquet"


def _ignore(progress: Progress) -> None:
    del progress


def test_every_study_ends_prepared_or_as_a_dead_letter_and_a_second_run_does_nothing(
    cohort: Path, tmp_path: Path
) -> None:
    out, seen = str(tmp_path / "out"), []
    summary = preprocess_cohort(
        str(cohort), out, settings=QUICK, num_workers=2, on_progress=seen.append
    )
    assert (summary.num_done, summary.num_refused) == (3, 3)
    prepared = read_prepared(out)
    assert [one.case.case_id for one in prepared] == ["one", "two", "three"]
    assert {one.fingerprint for one in prepared} == {fingerprint(QUICK)}
    assert load_volume(prepared[0].array_uri).shape == (2, *GRID_SHAPE)
    assert prepared[1].mask_uri is not None
    assert load_labels(prepared[1].mask_uri).any()
    assert {one.case_id: one.code for one in read_refused(out)} == {
        "text": "file_unreadable",
        "gone": "file_missing",
        "same": "channel_mismatch",
    }
    assert [one.num_done + one.num_refused for one in seen] == list(range(7))
    assert seen[-1].remaining_s == 0

    times = {path: path.stat().st_mtime_ns for path in Path(out).rglob("*.npy")}
    _mend(cohort)
    again = preprocess_cohort(
        str(cohort), out, settings=Settings(preprocessing=QUICK), num_workers=2,
        on_progress=seen.append,
    )  # fmt: skip
    assert (again.num_done, again.num_refused) == (4, 2)
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert [one.case.case_id for one in read_prepared(out)] == ["one", "text", "two", "three"]


def _mend(cohort: Path) -> None:
    """Replace the two broken files of the case "text" by good ones."""
    for kind in ("dwi", "adc"):
        good = (cohort.parent / f"three_{kind}.nii.gz").read_bytes()
        (cohort.parent / f"text_{kind}.nii.gz").write_bytes(good)


def test_a_run_that_is_interrupted_goes_on_where_it_stopped(cohort: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")

    def interrupt(progress: Progress) -> None:
        if progress.num_done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        preprocess_cohort(str(cohort), out, settings=QUICK, num_workers=1, on_progress=interrupt)
    assert not (tmp_path / "out" / "studies.parquet").exists()
    seen: list[Progress] = []
    summary = preprocess_cohort(
        str(cohort), out, settings=QUICK, num_workers=1, on_progress=seen.append
    )
    assert seen[0].num_done == 2
    assert (summary.num_done, summary.num_refused) == (3, 3)


def test_other_settings_prepare_everything_again(cohort: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "out")
    other = QUICK.model_copy(update={"n4_iterations": (3,)})
    for chosen in (QUICK, other):
        preprocess_cohort(str(cohort), out, settings=chosen, num_workers=2, on_progress=_ignore)
        assert {one.fingerprint for one in read_prepared(out)} == {fingerprint(chosen)}


def test_an_unexpected_failure_becomes_a_dead_letter_without_its_text(
    cohort: Path, tmp_path: Path
) -> None:
    class Broken:
        def method(self, _: object) -> str:
            return "broken"

        def strip(self, _: object) -> np.ndarray:
            raise RuntimeError("patient Doe")

    row = _worker(cohort, tmp_path / "out", Broken())(_item(_record("one")))
    assert row["code"] == "internal"
    assert "RuntimeError at test_preprocess.py" in str(row["reason"])
    assert "Doe" not in str(row["reason"])


def _worker(cohort: Path, out: Path, stripper: object) -> StudyPreparer:
    """A worker in this process, of a run that has begun."""
    settings = Settings(preprocessing=QUICK)
    run = next_run(str(out), settings)
    run.begin()
    work = Work(str(cohort), settings, run.origin, lambda _: stripper)
    return StudyPreparer(work=work, shard=new_shard(str(out), 0, "session"))


def _item(case: CaseRecord) -> dict[str, object]:
    text = case.model_dump_json()
    return {"work_key": "key", "case_json": text, "shown_json": text}


def test_both_real_cases_go_through_with_the_default_settings(
    shared_data: Path, tmp_path: Path
) -> None:
    stem = f"{shared_data}/isles22-strokecase0009/sub-strokecase0009_ses-0001_"
    jhu = f"{shared_data}/jhu-ads-subject02/Subject02_"
    cases = [
        _record(
            "isles",
            dwi_uri=f"{stem}dwi.nii.gz",
            adc_uri=f"{stem}adc.nii.gz",
            mask_uri=f"{stem}msk.nii.gz",
        ),
        _record("jhu", dwi_uri=f"{jhu}DWI.nii.gz", adc_uri=f"{jhu}ADC.nii.gz"),
    ]
    write_cohort(str(tmp_path / "cohort.parquet"), cases)
    out = str(tmp_path / "out")
    preprocess_cohort(
        str(tmp_path / "cohort.parquet"),
        out,
        settings=PreprocessingSettings(),
        num_workers=2,
        on_progress=_ignore,
    )
    assert read_refused(out) == []
    isles, skull = read_prepared(out)
    assert isles.facts["stripper"] == "already-stripped"
    assert isles.facts["adc_unit"] == "10⁻³ mm²/s"
    assert skull.facts["stripper"] == "deepbet"
    assert skull.facts["adc_unit"] == "mm²/s"
    assert skull.facts["brain_ml"] == pytest.approx(1200, abs=60)
    assert skull.facts["adc_median"] == pytest.approx(0.875, abs=0.02)
    assert skull.facts["slice_thickness_mm"] == 5.0
    for case in (isles, skull):
        dwi_XYZ, adc_XYZ = load_volume(case.array_uri)
        inside_XYZ = adc_XYZ > 0
        assert inside_XYZ.sum() * 0.016 == pytest.approx(case.facts["brain_ml"], rel=0.05)
        assert np.median(dwi_XYZ[inside_XYZ]) == pytest.approx(1.0, abs=0.02)
        assert not dwi_XYZ[~inside_XYZ & (adc_XYZ < 0)].any()


def test_a_head_stripped_by_deepbet_gives_the_volume_of_the_same_brain_stripped_before(
    shared_data: Path,
) -> None:
    folder = shared_data / "jhu-ads-subject02"
    dwi, adc = (
        read_file(folder / f"Subject02_{kind}.nii.gz", role=kind) for kind in ("DWI", "ADC")
    )
    stripper = DeepbetStripper()
    whole = prepare_study(StudyImages(dwi, adc), settings=QUICK, stripper=stripper)
    image = nib.Nifti1Image.from_bytes(gzip.decompress(dwi))
    mask_XYZ = stripper.strip(read_nifti(dwi, role="DWI"))
    stripped = nib.Nifti1Image(np.asarray(image.dataobj) * mask_XYZ, image.affine).to_bytes()
    again = prepare_study(StudyImages(stripped, adc), settings=QUICK, stripper=make_stripper(QUICK))
    assert again.facts["stripper"] == "already-stripped"
    np.testing.assert_allclose(again.volume_CXYZ, whole.volume_CXYZ, atol=0.02)
