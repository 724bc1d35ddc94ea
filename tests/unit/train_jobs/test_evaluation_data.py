"""Stores named on a command line, their cases, and embeddings that are made once."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.cohort.prepared_store import close_run, load_labels, read_prepared
from pirta.errors import FingerprintError, InputError, ManifestError
from train_jobs.evaluation_data import DataName, embedded_data, lesion_ml, parse_data, store_cases


@pytest.mark.parametrize(
    ("text", "name", "store", "split"),
    [
        ("runs/store", "store", "runs/store", None),
        ("runs/store/:val", "store-val", "runs/store/", "val"),
        ("runs/store:all", "store-all", "runs/store", None),
        ("north=runs/store:val", "north", "runs/store", "val"),
        ("s3://bucket/store", "store", "s3://bucket/store", None),
        ("n.1=s3://bucket/a store:test", "n.1", "s3://bucket/a store", "test"),
        ("a b/c d", "c-d", "a b/c d", None),
    ],
)
def test_data_are_named_by_store_and_split(
    text: str, name: str, store: str, split: str | None
) -> None:
    found = parse_data(text)
    assert found == DataName(name, store, split)
    assert parse_data(str(found)) == found


@pytest.mark.parametrize("text", ["", "\n"])
def test_no_text_names_no_data(text: str) -> None:
    with pytest.raises(InputError, match="names no data"):
        parse_data(text)


def test_a_stores_cases_know_scanner_label_and_the_masks_volume(synthetic_store: str) -> None:
    cases = store_cases(DataName("v", synthetic_store, "val"), "synthetic")
    assert [case.label for case in cases] == ["normal", "anterior", "deep_gray", "posterior"]
    assert {case.scanner for case in cases} == {"scanner-a"}
    assert cases[0].lesion_ml == 0.0
    row = next(row for row in read_prepared(synthetic_store) if row.case.case_id == "val-anterior")
    assert row.mask_uri is not None
    voxels = int((load_labels(row.mask_uri) > 0).sum())
    np.testing.assert_allclose(cases[1].lesion_ml, voxels * 2 * 2 * 4 / 1000)
    assert cases[1].load().shape == (2, 96, 112, 48)


def test_a_known_volume_wins_over_the_mask_and_without_both_it_is_not_known(
    synthetic_store: str,
) -> None:
    row = next(row for row in read_prepared(synthetic_store) if row.case.case_id == "val-posterior")
    assert lesion_ml(replace(row, facts={"lesion_ml": 0.07})) == 0.07
    assert lesion_ml(replace(row, mask_uri=None)) is None


def test_another_preprocessing_is_refused_with_both_fingerprints(synthetic_store: str) -> None:
    with pytest.raises(FingerprintError, match=r"8 of 8 cases .* synthetic, .* on prep-1"):
        store_cases(DataName("v", synthetic_store, None), "prep-1")


def test_an_unknown_split_is_refused_with_those_that_are(synthetic_store: str) -> None:
    with pytest.raises(ManifestError, match=r"no case of split 'test'.* splits train, val"):
        store_cases(DataName("v", synthetic_store, "test"), "synthetic")


def test_cases_whose_label_nobody_stated_do_not_count_as_normal(
    synthetic_store: str, tmp_path: Path
) -> None:
    rows = read_prepared(synthetic_store)
    silent = [
        replace(row, case=row.case.model_copy(update={"finding": None, "report_text": ""}))
        for row in rows[:3]
    ]
    store = str(tmp_path / "store")
    close_run(store, [*silent, *rows[3:]], [])
    with pytest.raises(ManifestError, match=r"3 of 8 cases .* neither a finding nor a report"):
        store_cases(DataName("v", store, None), "synthetic")
    assert len(store_cases(DataName("v", store, "val"), "synthetic")) == 4


class _Counting:
    """An encoder that counts the volumes it saw."""

    def __init__(self, sha256: str) -> None:
        self.sha256, self.preprocessing_fingerprint, self.seen = sha256, "synthetic", 0

    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        self.seen += len(volume_BCXYZ)
        count = len(volume_BCXYZ)
        return np.ones((count, 3), np.float32), np.full((count, 4), 0.25, np.float32)


def test_embeddings_are_made_once_for_an_encoder_and_a_store(
    synthetic_store: str, tmp_path: Path
) -> None:
    encoder, data = _Counting("a" * 64), DataName("v", synthetic_store, "val")
    told: list[tuple[int, int]] = []
    first = embedded_data(encoder, data, folder=tmp_path, on_case=lambda *two: told.append(two))
    again = embedded_data(encoder, replace(data, name="other"), folder=tmp_path)
    assert encoder.seen == 4
    assert told == [(4, 4)]
    np.testing.assert_array_equal(first.embeddings_QD, again.embeddings_QD)
    assert set(again.datasets) == {"other"}
    other = _Counting("b" * 64)
    embedded_data(other, data, folder=tmp_path)
    assert other.seen == 4


def test_a_store_prepared_anew_is_embedded_anew(synthetic_store: str, tmp_path: Path) -> None:
    store = str(shutil.copytree(synthetic_store, tmp_path / "store"))
    encoder = _Counting("a" * 64)
    embedded_data(encoder, DataName("v", store, None), folder=tmp_path)
    rows = [
        replace(row, array_uri=str(Path(row.array_uri).relative_to(store)), mask_uri=None,
                territory_uri=None)
        for row in read_prepared(store)[:3]
    ]  # fmt: skip
    close_run(store, rows, [])
    assert len(embedded_data(encoder, DataName("v", store, None), folder=tmp_path)) == 3
    assert encoder.seen == 11


def test_a_missing_volume_is_named(synthetic_store: str, tmp_path: Path) -> None:
    store = str(shutil.copytree(synthetic_store, tmp_path / "store"))
    Path(read_prepared(store)[2].array_uri).unlink()
    with pytest.raises(ManifestError, match=r"prepared array .* is missing"):
        embedded_data(_Counting("a"), DataName("v", store, None), folder=tmp_path)
