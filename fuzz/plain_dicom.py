"""The plain reading of a DICOM bag: pydicom, sorted along the normal, stacked, scaled."""

from __future__ import annotations

from collections.abc import Mapping

from fuzz.plain_pair import PlainPair


def plain_dicom(files: Mapping[str, bytes]) -> PlainPair:
    """Return DWI and ADC of a bag of DICOM files."""
    raise NotImplementedError(len(files))
