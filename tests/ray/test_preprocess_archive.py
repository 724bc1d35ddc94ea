"""Archives as they come: CSV, a folder to scan, object stores at both ends, a full disk."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pyarrow.parquet as pq
import pytest
import ray

from pirta.cohort.prepared_store import read_prepared, read_refused
from pirta.errors import ManifestError, StoreError
from pirta.pipelines.local_ray import start_local_ray
from pirta.pipelines.preprocess import PreprocessSummary, Progress, preprocess_cohort
from pirta.settings import Settings
from tests.ray.archive import assert_same_stores, stored_arrays, write_study
from tests.ray.small_disk import small_disk

pytestmark = [
    pytest.mark.ray,
    # Ray 2.60's DataContext warns of its own defaults whenever it is made.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:ray.data"),
]


@pytest.fixture(scope="module", autouse=True)
def cluster(object_store: str) -> Iterator[None]:
    start_local_ray(4)
    yield
    ray.shutdown()


def _run(manifest: str, out: str, settings: Settings) -> PreprocessSummary:
    return preprocess_cohort(
        manifest, out, settings=settings, num_workers=2, on_progress=lambda _: None
    )


def test_an_archive_in_an_object_store_is_prepared_into_an_object_store(
    object_store: str, toy_archive: Path, quick_settings: Settings, tmp_path: Path
) -> None:
    fsspec.filesystem("s3").put(
        f"{toy_archive.parent}/", f"{object_store}/archive/", recursive=True
    )
    manifest, out = f"{object_store}/archive/cohort.parquet", f"{object_store}/prepared"
    summary = _run(manifest, out, quick_settings)
    assert (summary.num_done, summary.num_refused) == (10, 1)
    assert [one.code for one in read_refused(out)] == ["file_unreadable"]
    _run(str(toy_archive), str(tmp_path / "local"), quick_settings)
    assert_same_stores(out, str(tmp_path / "local"))
    names = fsspec.filesystem("s3", use_listings_cache=False).find(out)
    assert not [name for name in names if name.endswith(".part") or "/rows/" in name]


def test_a_folder_is_scanned_and_its_names_stay_out_of_the_tables(
    quick_settings: Settings, tmp_path: Path
) -> None:
    archive = tmp_path / "archive"
    write_study(archive / "Doe^Jane" / "first", 1)
    write_study(archive / "Doe^Jane" / "second", 2)
    write_study(tmp_path / "packed", 3)
    (archive / "derivatives").mkdir()
    (archive / "derivatives" / "dwi.nii.gz").write_text("none of ours")
    (archive / "notes").mkdir()
    (archive / "notes" / "readme.txt").write_text("no image")
    (archive / "Roe^Rick").mkdir()
    with tarfile.open(archive / "Roe^Rick" / "study.tar.gz", "w:gz") as packed:
        for path in sorted((tmp_path / "packed").iterdir()):
            packed.add(path, path.name)
    out = tmp_path / "out"
    summary = _run(str(archive), str(out), quick_settings)
    assert (summary.num_done, summary.num_refused) == (3, 0), read_refused(str(out))
    cases = [one.case for one in read_prepared(str(out))]
    assert len({case.patient_id for case in cases}) == 2
    for name in ("studies.parquet", "dead_letter.parquet", "run.json"):
        assert b"Doe" not in (out / name).read_bytes()
        assert b"Roe" not in (out / name).read_bytes()
    links = pq.read_table(out / "links.parquet").to_pylist()
    assert {one["case_id"]: one["study_uri"] for one in links} == dict(
        zip(
            [case.case_id for case in cases],
            ["Doe^Jane/first", "Doe^Jane/second", "Roe^Rick/study.tar.gz"],
            strict=True,
        )
    )
    before = stored_arrays(str(out))
    write_study(archive / "Doe^Jane" / "between", 4)
    assert _run(str(archive), str(out), quick_settings).num_done == 4
    assert set(before) < set(stored_arrays(str(out)))


def test_a_csv_is_a_manifest_and_a_dead_letter_holds_code_reason_and_provenance(
    quick_settings: Settings, tmp_path: Path
) -> None:
    for name, seed in (("one", 1), ("two", 2)):
        write_study(tmp_path / name, seed)
    manifest = tmp_path / "studies.csv"
    manifest.write_text(
        "case_id;site;study_uri;dwi_uri;adc_uri;ward\n"
        "a;north;;one/dwi.nii.gz;one/adc.nii.gz;7\n"
        "b;south;two;;;7\n"
        "c;south;absent;;;8\n",
        encoding="utf-8-sig",
    )
    out = str(tmp_path / "out")
    summary = _run(str(manifest), out, quick_settings)
    assert (summary.num_done, summary.num_refused) == (2, 1), read_refused(out)
    rows = pq.read_table(f"{out}/studies.parquet").to_pylist()
    assert {(row["case_id"], row["site"], row["patient_id"]) for row in rows} == {
        ("a", "north", "a"),
        ("b", "south", "b"),
    }
    assert all(row["brain_ml"] > 300 and json.loads(row["gates_json"]) for row in rows)
    run = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (run["state"], run["prepared"], run["refused"]) == ("ended", 2, 1)
    assert {row["run_id"] for row in rows} == {run["run_id"]}
    assert {row["fingerprint"] for row in rows} == {run["fingerprint"]}
    (letter,) = pq.read_table(f"{out}/dead_letter.parquet").to_pylist()
    assert (letter["case_id"], letter["code"]) == ("c", "file_missing")
    assert letter["reason"]


def test_real_studies_come_through_as_a_folder_an_archive_and_a_dwi_with_its_b0(
    shared_data: Path, quick_settings: Settings, tmp_path: Path
) -> None:
    jhu = shared_data / "jhu-ads-subject02"
    manifest = tmp_path / "studies.csv"
    manifest.write_text(
        "case_id,study_uri,dwi_uri,b0_uri,b_value_s_mm2\n"
        f"siemens,{shared_data}/dicom-siemens-xa30,,,\n"
        f"philips,{shared_data}/dicom-philips/classic.tar.gz,,,\n"
        f"jhu,,{jhu}/Subject02_DWI.nii.gz,{jhu}/Subject02_b0.nii.gz,1000\n"
    )
    memory = quick_settings.archive.model_copy(update={"worker_memory_mb": 2048})
    out = str(tmp_path / "out")
    summary = _run(str(manifest), out, quick_settings.model_copy(update={"archive": memory}))
    assert (summary.num_done, summary.num_refused) == (3, 0), read_refused(out)
    for one in read_prepared(out):
        assert 0.6 < float(one.facts["adc_median"]) < 1.1, one.case.case_id


def test_a_refused_study_keeps_every_gate(quick_settings: Settings, tmp_path: Path) -> None:
    write_study(tmp_path / "study", 1)
    quality = quick_settings.quality.model_copy(update={"brain_extent_refuse_mm": 500.0})
    settings = quick_settings.model_copy(update={"quality": quality})
    out = str(tmp_path / "out")
    assert _run(str(tmp_path / "study"), out, settings).num_refused == 1
    (letter,) = read_refused(out)
    assert letter.code == "quality_refused"
    assert "brain_extent" in {gate.gate for gate in letter.gates if gate.verdict == "refuse"}


def test_a_full_disk_ends_the_run_and_what_was_done_stays(
    quick_settings: Settings, toy_archive: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with small_disk(out, "9m"):
        with pytest.raises(StoreError, match="no space is left") as caught:
            _run(str(toy_archive), str(out), quick_settings)
        assert "run the same command" in caught.value.remedy
        assert str(tmp_path) not in str(caught.value)
        done = {path.stem for path in out.glob("shards/*/rows/*.json")}
        assert len(done) >= 2
        subprocess.run(["mount", "-o", "remount,size=200m", str(out)], check=True)
        assert _run(str(toy_archive), str(out), quick_settings).num_done == 10
        assert len(list(out.glob("shards/*/arrays/*.npy"))) == 10
        assert not read_refused(str(out))[1:]


def test_an_output_that_vanishes_ends_the_run_and_goes_on_where_it_is_found_again(
    quick_settings: Settings, toy_archive: Path, tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"

    def vanish(progress: Progress) -> None:
        if progress.num_done == 2 and not elsewhere.exists():
            out.rename(elsewhere)

    with pytest.raises(StoreError, match="vanished"):
        preprocess_cohort(
            str(toy_archive), str(out), settings=quick_settings, num_workers=2, on_progress=vanish
        )
    seen: list[Progress] = []
    preprocess_cohort(
        str(toy_archive), str(elsewhere), settings=quick_settings, num_workers=2,
        on_progress=seen.append,
    )  # fmt: skip
    assert seen[0].num_done >= 2
    assert len(stored_arrays(str(elsewhere))) == 10
    assert len(read_refused(str(elsewhere))) == 1


def test_a_manifest_with_a_bad_row_is_told_before_anything_starts(
    quick_settings: Settings, tmp_path: Path
) -> None:
    manifest = tmp_path / "studies.csv"
    manifest.write_text("case_id,study_uri\na,one\nb,two\na,three\n")
    with pytest.raises(ManifestError, match=r"Line 4 .*in an earlier row already"):
        _run(str(manifest), str(tmp_path / "out"), quick_settings)
    assert not (tmp_path / "out").exists()
