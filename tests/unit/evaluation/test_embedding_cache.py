"""Embeddings on disk: a round trip, another key, damage, a folder that cannot be written."""

from __future__ import annotations

import math
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from pirta.errors import ManifestError, StoreError
from pirta.evaluation.embedded_cases import EmbeddedCases, join_cases
from pirta.evaluation.embedding_cache import read_embedded, write_embedded


def test_what_was_written_is_read_back_to_the_bit(make_cases, tmp_path: Path) -> None:
    cases = make_cases([0, 1, 2], lesion_ml=[0.0, math.nan, 1.5], scanners=["", "x", "y"])
    path = tmp_path / "new" / "some.parquet"
    write_embedded(path, cases, key="k")
    found = read_embedded(path, key="k")
    assert found is not None
    for field in fields(EmbeddedCases):
        ours, theirs = getattr(cases, field.name), getattr(found, field.name)
        np.testing.assert_array_equal(ours, theirs)
        assert ours.dtype == theirs.dtype
    assert [one.name for one in path.parent.iterdir()] == ["some.parquet"]


def test_a_file_made_from_something_else_is_not_taken(make_cases, tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    assert read_embedded(path, key="k") is None
    write_embedded(path, make_cases([0]), key="k")
    assert read_embedded(path, key="another") is None


def test_a_damaged_file_is_named_with_the_remedy(make_cases, tmp_path: Path) -> None:
    path = tmp_path / "some.parquet"
    write_embedded(path, make_cases([0]), key="k")
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(ManifestError, match=r"damaged\. Delete that file"):
        read_embedded(path, key="k")


def test_a_folder_that_cannot_be_made_is_a_store_error(make_cases, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StoreError, match="cannot be written"):
        write_embedded(tmp_path / "file" / "some.parquet", make_cases([0]), key="k")


def test_joined_cases_keep_their_order_and_uneven_columns_are_refused(make_cases) -> None:
    both = join_cases([make_cases([0, 1], name="a"), make_cases([2], name="b")])
    assert both.case_ids.tolist() == ["a-0", "a-1", "b-0"]
    assert both.datasets.tolist() == ["a", "a", "b"]
    columns = [getattr(both, field.name) for field in fields(EmbeddedCases)]
    with pytest.raises(ValueError, match="different lengths"):
        EmbeddedCases(columns[0][:1], *columns[1:])
