"""The release record: a round trip, and every way in which it can be wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from pirta.contracts.release import Release
from pirta.errors import CheckpointError, ReleaseError
from pirta.releases.record import read_release, verify_release, write_release

RELEASE = Release(
    encoder_path="weights/encoder",
    encoder_sha256="e" * 64,
    preprocessing_fingerprint="prep-1",
    collection="cases_1",
    index_sha256="1" * 64,
    num_cases=3,
    dimensions=768,
    writer_base_path="weights/base",
    writer_base_sha256="b" * 64,
    writer_adapter_path="weights/adapter",
    writer_adapter_sha256="a" * 64,
    prompt_sha256="p" * 64,
    commit="c" * 40,
)


def hashes(path: Path, kind: str) -> str:
    del path
    return {"encoder": "e", "writer_base": "b", "writer_adapter": "a"}[kind] * 64


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "release.json"
    write_release(path, RELEASE)
    assert read_release(path) == RELEASE
    assert [item.name for item in path.parent.iterdir()] == ["release.json"]


def test_a_missing_record_says_how_to_make_one(tmp_path: Path) -> None:
    with pytest.raises(ReleaseError, match="pirta index build"):
        read_release(tmp_path / "release.json")


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"\xff\xfe", b'{"encoder_path": 1}'])
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "release.json"
    path.write_bytes(content)
    with pytest.raises(ReleaseError, match="no release record"):
        read_release(path)


def test_a_record_with_a_field_more_is_named_by_that_field(tmp_path: Path) -> None:
    path = tmp_path / "release.json"
    path.write_text(RELEASE.model_dump_json()[:-1] + ', "extra": 1}')
    with pytest.raises(ReleaseError, match="extra"):
        read_release(path)


def test_a_release_whose_parts_are_in_place_passes() -> None:
    verify_release(RELEASE, sha256_of=hashes)


@pytest.mark.parametrize("part", ["encoder", "writer_base", "writer_adapter"])
def test_a_part_with_another_hash_is_named_with_both_hashes(part: str) -> None:
    with pytest.raises(ReleaseError, match=f"{part}.*is ffffffffffff.*was made with"):
        verify_release(
            RELEASE, sha256_of=lambda path, kind: "f" * 64 if kind == part else hashes(path, kind)
        )


def test_a_damaged_part_keeps_the_checkpoints_own_words() -> None:
    def damaged(path: Path, kind: str) -> str:
        raise CheckpointError("It lacks its file 'model.safetensors'.", remedy="Copy it again.")

    with pytest.raises(ReleaseError, match=r"model\.safetensors.*Copy it again"):
        verify_release(RELEASE, sha256_of=damaged)


def test_the_id_of_a_release_does_not_depend_on_where_its_parts_lie() -> None:
    moved = RELEASE.model_copy(update={"encoder_path": "elsewhere"})
    assert moved.release_id == RELEASE.release_id
    other = RELEASE.model_copy(update={"index_sha256": "2" * 64})
    assert other.release_id != RELEASE.release_id
