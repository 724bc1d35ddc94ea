"""What `python -m fuzz` found in DICOM once, kept as plain tests, on the fuzzer's own seeds."""

from __future__ import annotations

import struct
from dataclasses import replace

import pytest

from fuzz.dicom_elements import find, with_value
from fuzz.dicom_seeds import classic, scanner_made
from fuzz.head import make_head
from pirta.errors import FileUnreadableError
from pirta.imaging.read_pair import read_pair


def test_fewer_rows_than_there_are_pixels_for_are_no_smaller_image() -> None:
    head = make_head()
    study = classic(head, scanner_made(head))
    cropped = {
        name: with_value(data, find(data, "Rows")[0], struct.pack("<H", 7))
        for name, data in study.parts.items()
    }
    with pytest.raises(FileUnreadableError, match="880 bytes of pixels where 1 frames of 7x20"):
        read_pair(replace(study, parts=cropped).images())
