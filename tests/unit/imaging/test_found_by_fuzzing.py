"""What `python -m fuzz` found once, kept as plain tests: each was a crash, a hang or a lie."""

from __future__ import annotations

import gzip
import struct
import time
import tracemalloc
import zlib
from collections.abc import Callable

import numpy as np
import pytest

from pirta.contracts.study import StudyImages
from pirta.errors import ArchiveError, FileUnreadableError, GeometryError, InputError
from pirta.imaging.archive import unpack
from pirta.imaging.metaimage import read_metaimage
from pirta.imaging.nifti import read_nifti
from pirta.imaging.pair import check_pair
from pirta.imaging.read_pair import read_pair
from pirta.imaging.volume import Volume

VALUES_XYZ = np.arange(6 * 7 * 8, dtype=np.int16).reshape(6, 7, 8)


def _with_float(raw: bytes, place: int, value: float) -> bytes:
    return raw[:place] + struct.pack("<f", value) + raw[place + 4 :]


@pytest.mark.parametrize("offset", [float("inf"), float("nan"), 1e30])
def test_voxels_at_no_byte_are_refused(nifti: Callable[..., bytes], offset: float) -> None:
    with pytest.raises(FileUnreadableError, match="puts the voxels at byte"):
        read_nifti(_with_float(nifti(VALUES_XYZ, packed=False), 108, offset), role="DWI")


def test_an_endless_affine_is_refused_without_a_warning(nifti: Callable[..., bytes]) -> None:
    raw = _with_float(nifti(VALUES_XYZ, packed=False), 280, float("inf"))
    with pytest.raises(GeometryError, match="NaN or infinity"):
        read_nifti(_with_float(raw, 76 + 4, float("inf")), role="DWI")


def test_a_damaged_gzip_is_found_even_where_it_unpacks_to_more_than_its_voxels(
    nifti: Callable[..., bytes],
) -> None:
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    packed = packer.compress(nifti(VALUES_XYZ, packed=False) + bytes(5000)) + packer.flush()
    assert read_nifti(packed, role="DWI").data_XYZ.max() == VALUES_XYZ.max()
    damaged = packed[:-8] + bytes(4) + packed[-4:]
    with pytest.raises(FileUnreadableError, match="damaged gzip"):
        read_nifti(damaged, role="DWI")


def test_a_gzip_without_end_is_left(nifti: Callable[..., bytes]) -> None:
    endless = gzip.compress(nifti(VALUES_XYZ, packed=False) + bytes(2**26 + 2**21), 1)
    with pytest.raises(FileUnreadableError, match="far behind its voxels"):
        read_nifti(endless, role="DWI")


def test_a_metaimage_line_of_spaces_takes_no_time() -> None:
    started = time.process_time()
    with pytest.raises(FileUnreadableError, match="has no end"):
        read_metaimage(b"ObjectType = Image\nComment = " + b" " * 1_000_000, role="DWI")
    assert time.process_time() - started < 1


def test_an_unknown_voxel_type_is_not_repeated_in_the_message() -> None:
    header = b"ObjectType = Image\nNDims = 3\nDimSize = 6 7 8\nElementType = MET_DOE^JANE\n"
    with pytest.raises(FileUnreadableError) as caught:
        read_metaimage(header + b"ElementDataFile = LOCAL\n", role="DWI")
    assert "DOE" not in str(caught.value)


def test_a_zip_that_hides_its_size_is_not_unpacked_further_than_it_says() -> None:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = packer.compress(bytes(100_000_000)) + packer.flush()
    sizes = struct.pack("<III", 0, len(packed), 100)
    local = struct.pack("<4s5H", b"PK\x03\x04", 20, 0, 8, 0, 0) + sizes + b"\1\0\0\0x"
    entry = struct.pack("<4s6H", b"PK\x01\x02", 20, 20, 0, 8, 0, 0) + sizes
    entry += struct.pack("<5H2I", 1, 0, 0, 0, 0, 0, 0) + b"x"
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(local + packed), 0)
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="BadZipFile"):
            unpack(local + packed + entry + end)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2e6


def test_a_voxel_of_1e38_is_compared_without_a_warning() -> None:
    dwi_XYZ, adc_XYZ = VALUES_XYZ.astype(np.float32), np.ones((6, 7, 8), np.float32)
    adc_XYZ[0, 0, 0] = 3e38
    dwi_XYZ[0, 0, 0], adc_XYZ[5, 6, 7] = 1, 1e-3
    affine = np.diag([2.0, 2, 2, 1])
    check_pair(Volume(dwi_XYZ, affine), Volume(adc_XYZ, affine))


@pytest.mark.parametrize("b_value", [float("nan"), float("inf"), -1000.0, 1e300])
def test_a_told_b_value_that_cannot_be_is_refused(
    pair: tuple[bytes, bytes], b_value: float
) -> None:
    with pytest.raises(InputError, match="b value is told as"):
        read_pair(StudyImages(dwi=pair[0], adc=pair[1], b_value_s_mm2=b_value))
