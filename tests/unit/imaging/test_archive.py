"""Archives: what comes out is what went in, and what would not end well is refused."""

from __future__ import annotations

import gzip
import io
import tarfile
import tracemalloc
import zipfile

import numpy as np
import pytest

from pirta.errors import ArchiveError, FileMissingError, PirtaError
from pirta.imaging import archive
from pirta.imaging.archive import is_archive, unpack

FILES = {"a/slice 1": b"one" * 500, "a/slice 2": b"two" * 500, "b/x.json": b"{}", "empty": b""}


def _zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return out.getvalue()


def _tar(files: dict[str, bytes], mode: str = "w", tar_format: int = tarfile.PAX_FORMAT) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode=mode, format=tar_format) as packed:  # type: ignore[call-overload]
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            packed.addfile(member, io.BytesIO(content))
    return out.getvalue()


@pytest.mark.parametrize("tar_format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT])
def test_each_kind_gives_back_what_was_packed(tar_format: int) -> None:
    long_names = {**FILES, "long/" * 40 + "name": b"x"}
    assert unpack(_zip(long_names)) == long_names
    assert unpack(_zip(FILES, zipfile.ZIP_STORED)) == FILES
    assert unpack(_tar(FILES, tar_format=tar_format)) == FILES
    assert unpack(_tar(long_names)) == long_names
    assert unpack(_tar(FILES, "w:gz")) == FILES


def test_a_gzipped_volume_is_no_archive() -> None:
    for data in (b"", b"PK", gzip.compress(b"\x5c\x01\0\0" + bytes(600)), bytes(1000), b"\x1f\x8b"):
        assert not is_archive(data)
        with pytest.raises(ArchiveError, match="no zip and no tar"):
            unpack(data)
    assert is_archive(_zip({}))
    assert is_archive(_tar(FILES, "w:gz"))


def test_hidden_files_and_folders_are_left_out() -> None:
    hidden = {"__MACOSX/._x": b"1", ".DS_Store": b"2", "a/.hidden/x": b"3", "a/b/": b""}
    assert unpack(_zip({**hidden, "a/x": b"4"})) == {"a/x": b"4"}
    with pytest.raises(FileMissingError, match="holds no file"):
        unpack(_zip(hidden))


def test_an_archive_beside_images_stays_packed() -> None:
    report = _zip({"word/document.xml": b"<w/>" * 100})  # what an office document is
    for pack in (_zip, _tar):
        files = {**FILES, "report.docx": report}
        assert unpack(pack(files)) == files


def test_an_archive_in_an_archive_and_a_name_twice_are_refused() -> None:
    for inner in (_zip(FILES), _tar(FILES), _tar(FILES, "w:gz")):
        with pytest.raises(ArchiveError, match="holds another archive"):
            unpack(_zip({"inner": inner}))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        for _ in range(2):
            packed.addfile(tarfile.TarInfo("same"))
    with pytest.raises(ArchiveError, match="one name twice"):
        unpack(out.getvalue())


def test_a_locked_zip_is_told() -> None:
    raw = bytearray(_zip({"x": b"secret"}))
    raw[6] |= 1
    raw[raw.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(ArchiveError, match="locked by a password"):
        unpack(bytes(raw))
    with pytest.raises(ArchiveError, match="packed by method 14"):
        unpack(_zip({"x": b"x"}, zipfile.ZIP_LZMA))


def test_links_are_refused_with_the_way_round_them() -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as packed:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "../../etc/passwd"
        packed.addfile(link)
    with pytest.raises(ArchiveError, match=r"holds a link.*--dereference"):
        unpack(out.getvalue())


@pytest.mark.parametrize("pack", [_zip, lambda files: _tar(files, "w:gz")], ids=["zip", "tar.gz"])
def test_a_bomb_is_unpacked_no_further_than_the_limit(pack: object) -> None:
    bomb = pack({f"zeros {number}": bytes(20_000_000) for number in range(5)})  # type: ignore[operator]
    assert len(bomb) < 200_000
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="250 times its size"):
            unpack(bomb)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60e6


def test_a_tar_cut_between_two_members_is_no_smaller_study() -> None:
    whole = _tar(FILES, tar_format=tarfile.USTAR_FORMAT)
    cut = whole[: 2 * (512 + 1536)]  # the first two members, to the byte
    for packed in (cut, gzip.compress(cut)):
        with pytest.raises(ArchiveError, match="EOFError"):
            unpack(packed)


def test_a_flipped_bit_in_a_tar_gz_is_found_by_its_checksum() -> None:
    whole = bytearray(_tar({"x": np.random.default_rng(0).bytes(50_000)}, "w:gz"))
    whole[-6] ^= 0xFF
    with pytest.raises(ArchiveError, match="BadGzipFile"):
        unpack(bytes(whole))


def test_too_many_files_and_too_many_bytes_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_MEMBERS", 3)
    for packed in (_zip(FILES), _tar(FILES)):
        with pytest.raises(ArchiveError, match="more than 3 files"):
            unpack(packed)
    monkeypatch.setattr(archive, "MAX_MEMBERS", 99)
    monkeypatch.setattr(archive, "MAX_TOTAL_BYTES", 2000)
    for packed in (_zip(FILES), _tar(FILES)):
        with pytest.raises(ArchiveError, match="more than 0 MB"):
            unpack(packed)


def test_damage_ends_in_an_error_for_people_or_in_files() -> None:
    rng = np.random.default_rng(4)
    messages: list[str] = []
    for whole in (_zip(FILES), _tar(FILES), _tar(FILES, "w:gz")):
        for _ in range(150):
            raw = bytearray(whole[: rng.integers(1, len(whole) + 1)])
            for place in rng.integers(0, len(raw), 3):
                raw[place] = int(rng.integers(0, 256))
            try:
                assert isinstance(unpack(bytes(raw)), dict)
            except PirtaError as error:
                messages.append(str(error))
    assert 0 < len(messages) < 450
    assert not [message for message in messages if "slice" in message]
