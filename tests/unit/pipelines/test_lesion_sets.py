"""Stores of lesions: sizes, sides and territories are those asked for, and rows say so."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import numpy as np
import pytest

from pirta.cohort.lesion_requests import LesionRequest, requests_by_size, volumes_by_size
from pirta.cohort.prepared_store import (
    CaseArrays,
    close_run,
    load_labels,
    load_volume,
    read_prepared,
    read_refused,
)
from pirta.contracts.finding import Label, Laterality
from pirta.contracts.study import GRID_SPACING_MM
from pirta.errors import ManifestError
from pirta.pipelines.lesion_sets import LesionSetSummary, make_lesion_set
from tests.unit.pipelines.host_store import Hosts, ball_CXYZ, write_row

VOXEL_ML = float(np.prod(GRID_SPACING_MM)) / 1000
PLACES = tuple(
    LesionRequest(label, side, 1.0)
    for label in (Label.ANTERIOR, Label.DEEP_GRAY, Label.POSTERIOR)
    for side in (Laterality.LEFT, Laterality.RIGHT)
)


def test_a_set_by_size_holds_the_volumes_asked_for(synthetic_store: str, tmp_path: Path) -> None:
    out = str(tmp_path / "sizes")
    volumes = volumes_by_size(range_ml=(0.1, 10.0), a_decade=2)
    np.testing.assert_allclose(volumes, [0.1, 0.3162, 1.0, 3.1623, 10.0])
    summary = make_lesion_set(
        synthetic_store, out, partial(requests_by_size, volumes_ml=volumes), source_split="val"
    )
    assert summary == LesionSetSummary(num_normals=1, num_lesions=5, num_refused=0, num_b_assumed=1)
    normal, *strokes = read_prepared(out)
    assert (normal.case.case_id, normal.facts["lesion_ml"]) == ("val-normal", 0.0)
    host_CXYZ = load_volume(normal.array_uri)
    territory_XYZ = load_labels(str(normal.territory_uri))
    for row, asked_ml in zip(strokes, volumes, strict=True):
        mask_XYZ = load_labels(str(row.mask_uri)) > 0
        made_ml = float(mask_XYZ.sum()) * VOXEL_ML
        assert abs(made_ml - asked_ml) <= max(0.15 * asked_ml, VOXEL_ML)
        assert row.facts["lesion_ml"] == pytest.approx(made_ml, abs=1e-4)
        assert row.facts["lesion_asked_ml"] == asked_ml
        code = {"anterior": 1, "deep_gray": 2, "posterior": 3}[row.case.label]
        assert set(territory_XYZ[mask_XYZ]) == {code}
        lesion_CXYZ = load_volume(row.array_uri)
        assert (lesion_CXYZ[0][mask_XYZ] > host_CXYZ[0][mask_XYZ]).all()
        assert (lesion_CXYZ[1][mask_XYZ] < host_CXYZ[1][mask_XYZ]).all()


def test_the_same_seed_makes_the_same_lesion_whatever_else_is_asked_for(
    synthetic_store: str, tmp_path: Path
) -> None:
    def volume(name: str, requests: tuple[LesionRequest, ...], seed: int) -> bytes:
        out = str(tmp_path / name)
        make_lesion_set(synthetic_store, out, lambda _: requests, seed=seed, source_split="val")
        return load_volume(read_prepared(out)[1].array_uri).tobytes()

    one = volume("one", PLACES[:1], 3)
    assert volume("two", PLACES[:2], 3) == one
    assert volume("other", PLACES[:1], 4) != one


def test_sides_are_right_in_a_brain_whose_middle_is_off_the_midline(
    hosts: Hosts, tmp_path: Path
) -> None:
    out = str(tmp_path / "lesions")
    store = str(tmp_path / "found")
    found = next(row for row in read_prepared(hosts.out) if row.case.case_id == "found")
    close_run(store, [found], [])
    near_midline = tuple(
        LesionRequest(Label.POSTERIOR, side, 25.0) for side in (Laterality.LEFT, Laterality.RIGHT)
    )
    make_lesion_set(store, out, lambda _: near_midline * 3, keep_normals=False)
    rows = read_prepared(out)
    assert len(rows) == 6
    for row in rows:
        assert row.case.finding is not None
        x_mm_V = hosts.brain.at_3XYZ[0][load_labels(str(row.mask_uri)) > 0]
        on_right = row.case.finding.laterality is Laterality.RIGHT
        assert (x_mm_V if on_right else -x_mm_V).min() > -3.0  # the registration's error


def test_what_does_not_fit_is_a_dead_letter_with_its_volume(
    synthetic_store: str, tmp_path: Path
) -> None:
    out = str(tmp_path / "lesions")
    too_large = LesionRequest(Label.DEEP_GRAY, Laterality.LEFT, 120.0)
    summary = make_lesion_set(
        synthetic_store, out, lambda _: (too_large, PLACES[0]), source_split="val"
    )
    assert (summary.num_lesions, summary.num_refused) == (1, 1)
    (letter,) = read_refused(out)
    assert letter.code == "geometry_invalid"
    assert "120.00 ml does not fit" in letter.reason


def test_no_lesion_is_put_into_a_study_that_nobody_called_normal(tmp_path: Path) -> None:
    store, out = str(tmp_path / "scanned"), tmp_path / "out"
    row = write_row(store, "silent", CaseArrays(ball_CXYZ()), report_text="")
    close_run(store, [row], [])
    with pytest.raises(ManifestError, match=r"1 of 1 cases .*not known.*hosts --all-normal"):
        make_lesion_set(store, str(out), lambda _: PLACES)
    assert not out.exists()


def test_a_split_without_normals_is_named(synthetic_store: str, tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="no normal one in the split 'test'"):
        make_lesion_set(
            synthetic_store, str(tmp_path / "out"), lambda _: PLACES, source_split="test"
        )
