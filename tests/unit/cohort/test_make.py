"""Cohorts on disk: the tree, its table, and what a second call does."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from pirta.cohort import presets
from pirta.cohort.make import case_orders, make_cohort
from pirta.cohort.presets import CaseBatch, CohortPlan
from pirta.cohort.scanner import coarse_scanner
from pirta.cohort.table import read_cohort, resolve_uri
from pirta.contracts.finding import LABELS, Label
from pirta.errors import ManifestError

PLAN = CohortPlan(
    name="unit",
    seed=3,
    batches=(
        CaseBatch(coarse_scanner("site-a"), "index", ((Label.NORMAL, 1), (Label.POSTERIOR, 1))),
    ),
)


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


@pytest.fixture(scope="module")
def cohort(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cohort") / "new"
    make_cohort(PLAN, out, num_workers=2)
    return out


def test_the_table_names_files_that_belong_together(cohort: Path) -> None:
    table = str(cohort / "cohort.parquet")
    normal, stroke = read_cohort(table)
    assert (normal.label, stroke.label) == (Label.NORMAL, Label.POSTERIOR)
    assert normal.report_text
    assert stroke.registry.age_years is not None
    for case in (normal, stroke):
        uris = (case.dwi_uri, case.adc_uri, case.mask_uri, case.territory_uri)
        images = [nib.load(resolve_uri(table, uri)) for uri in uris if uri]
        assert len(images) == 4
        assert len({image.shape for image in images}) == 1
        for image in images[1:]:
            np.testing.assert_allclose(image.affine, images[0].affine, atol=1e-4)
        assert "".join(nib.aff2axcodes(images[0].affine)) == coarse_scanner().orientation
        has_lesion = bool(np.asarray(images[2].dataobj).any())
        assert has_lesion == (case.finding is not None)
        sidecar = json.loads(
            Path(resolve_uri(table, case.dwi_uri).replace(".nii.gz", ".json")).read_text()
        )
        assert 700 < sidecar["DiffusionBValue"] < 900


def test_nothing_half_made_is_left(cohort: Path) -> None:
    assert not [path for path in cohort.rglob("*") if path.name.endswith(".part")]


def test_a_second_call_changes_nothing(cohort: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in cohort.rglob("*")}
    calls: list[tuple[int, int]] = []
    make_cohort(PLAN, cohort, num_workers=1, on_progress=lambda *now: calls.append(now))
    assert {path: path.stat().st_mtime_ns for path in cohort.rglob("*")} == before
    assert calls == [(2, 2)]


def test_a_cut_off_run_is_finished_with_the_same_bytes_by_one_worker(
    cohort: Path, tmp_path: Path
) -> None:
    out = tmp_path / "again"
    shutil.copytree(cohort, out)
    (out / "cohort.parquet").unlink()
    shutil.rmtree(out / "sub-unit0002")  # its truth is there, its images are not
    make_cohort(PLAN, out, num_workers=1)
    assert contents(out) == contents(cohort)


def test_another_plans_folder_is_refused(cohort: Path) -> None:
    with pytest.raises(ManifestError, match="another plan than 'unit'"):
        make_cohort(replace(PLAN, seed=4), cohort, num_workers=1)


def test_a_folder_of_other_files_is_refused(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(ManifestError, match="holds no phantom cohort"):
        make_cohort(PLAN, tmp_path, num_workers=1)


@pytest.mark.parametrize("preset", [presets.tiny, presets.demo, presets.training, presets.external])
def test_a_presets_cases_have_ids_and_seeds_of_their_own(preset: object) -> None:
    assert callable(preset)
    orders = case_orders(preset())
    assert len({order.case_id for order in orders}) == len(orders)
    assert len({order.seed for order in orders}) == len(orders)


def test_the_demo_is_balanced_and_has_held_out_strokes() -> None:
    orders = case_orders(presets.demo())
    index = [order.label for order in orders if order.batch.split == "index"]
    assert {label: index.count(label) for label in LABELS} == dict.fromkeys(LABELS, 10)
    held_out = [order.label for order in orders if order.batch.split == "query"]
    assert set(held_out) == set(LABELS)
    assert {order.batch.scanner.site for order in orders} == {"site-a", "site-b"}


def test_training_hosts_are_mostly_stripped_and_keep_their_territories() -> None:
    orders = case_orders(presets.training())
    hosts = [order for order in orders if order.label is Label.NORMAL]
    assert len(hosts) == 320
    assert all(order.batch.keep_territories for order in orders)
    with_skull = sum(not order.batch.scanner.stripped for order in orders) / len(orders)
    assert 0.10 < with_skull < 0.20


def test_the_external_cohort_shares_no_site_with_the_training_one() -> None:
    inside, outside = (
        {order.batch.scanner.site for order in case_orders(plan)}
        for plan in (presets.training(), presets.external())
    )
    assert not inside & outside
