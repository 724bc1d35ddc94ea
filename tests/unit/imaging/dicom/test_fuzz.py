"""Damaged studies, by the dozen: each ends in a typed error or in an answer, and soon.

Warnings are errors here, so that a warning of a library's (which may quote a patient's name)
counts as a failure too. Every case is made from its number alone.
"""

from __future__ import annotations

import random
from types import SimpleNamespace

import numpy as np
import pytest
from pydicom.uid import JPEGLSLossless, RLELossless

from pirta.errors import PirtaError
from pirta.imaging.dicom.read import read_dicom_pair

NUM_CASES = 60
HEADER_BYTES = 1800
ABSURD = (b"\xff\xff\xff\xff", b"\0\0\0\x80", b"\xff\xff\xff\x7f", b"\0\0\xf0\x7f")
TYPES = (b"US", b"DS", b"SQ", b"FD", b"CS", b"IS", b"UI", b"OW")


def damaged(data: bytes, rng: random.Random) -> bytes:
    """Return the file cut short, with bits flipped, with another type, or with absurd numbers."""
    out, at = bytearray(data), rng.randrange(132, len(data) - 4)
    way = rng.choice(["cut", "bit", "header", "lose", "zero", "type", "number"])
    if way == "cut":
        return data[: rng.randrange(len(data))]
    if way == "bit":
        out[rng.randrange(len(out))] ^= 1 << rng.randrange(8)
    elif way == "header":
        out[rng.randrange(132, min(len(out), HEADER_BYTES))] = rng.randrange(256)
    elif way == "lose":
        del out[at : at + rng.randrange(1, 64)]
    elif way == "zero":
        out[at : at + 64] = bytes(len(out[at : at + 64]))
    elif way == "type":
        place = data.find(rng.choice(TYPES), 132)
        if place > 0:
            out[place : place + 2] = rng.choice([*TYPES, b"UN", b"XX", b"UT"])
    else:
        out[at : at + 4] = rng.choice(ABSURD)
    return bytes(out)


@pytest.fixture(scope="module")
def studies(dicom: SimpleNamespace) -> list[dict[str, bytes]]:
    found = [dicom.classic(dicom.trace(), dicom.adc_map())]
    for syntax in (None, RLELossless, JPEGLSLossless):
        files = {}
        for name, series in (("a", dicom.trace()), ("b", dicom.adc_map())):
            one = dicom.enhanced_dataset(series)
            if syntax is not None:
                one.compress(syntax, generate_instance_uid=False)
            files[name] = dicom.to_bytes(one)
        found.append(files)
    return found


def test_every_damaged_study_ends_in_a_typed_error_or_an_answer(
    studies: list[dict[str, bytes]],
) -> None:
    num_refused = 0
    for case in range(NUM_CASES):
        rng = random.Random(case)
        files = dict(rng.choice(studies))
        name = rng.choice(sorted(files))
        files[name] = damaged(files[name], rng)
        try:
            pair = read_dicom_pair(files)
        except PirtaError:
            num_refused += 1
        else:
            assert np.isfinite(pair.dwi.data_XYZ).all()
            assert np.isfinite(pair.adc.data_XYZ).all()
    assert num_refused > NUM_CASES // 4
