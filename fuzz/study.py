"""A study as the fuzzer handles it: named parts of bytes, and the form in which they are sent.

The parts hold marks of a made-up patient wherever a format has room for one; `leaks` finds them
in what comes out. Nothing is damaged here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

from pirta.contracts.study import StudyImages

PATIENT = "DOE^JANE"
PATIENT_ID = "PID5550199"
ACCESSION = "ACC7734001"
SERIAL = "SN99887766"
BIRTH_DATE = "19410923"
UID_ROOT = "1.2.826.0.1.3680043.9.7433"
FILE_STEM = "JaneDoe_exam"

MARKS = (PATIENT, "DOE^", "JANE", PATIENT_ID, ACCESSION, SERIAL, BIRTH_DATE, UID_ROOT, FILE_STEM)

Form = Literal["named", "bag", "archive"]
Format = Literal["nifti", "metaimage", "dicom"]


@dataclass(frozen=True)
class Study:
    """A study's bytes.

    Attributes:
        parts: by role ("dwi", "adc", "b0") where `form` is "named"; by file name in a bag and
            in an archive, which is one file.
        must_refuse: why any answer would be wrong, None where one may be right.
    """

    parts: Mapping[str, bytes]
    form: Form
    format: Format
    b_value_s_mm2: float | None = None
    must_refuse: str | None = None
    notes: tuple[str, ...] = field(default=())

    def images(self) -> StudyImages:
        """Return what a caller would hand to `read_pair`."""
        if self.form == "named":
            dwi, adc, b0 = (self.parts.get(role) for role in ("dwi", "adc", "b0"))
            return StudyImages(dwi=dwi, adc=adc, b0=b0, b_value_s_mm2=self.b_value_s_mm2)
        return StudyImages(files=self.parts, b_value_s_mm2=self.b_value_s_mm2)

    def same_as(self, other: Study) -> bool:
        """Say whether a reader would get the same from both."""
        return self.parts == other.parts and self.b_value_s_mm2 == other.b_value_s_mm2

    def with_part(self, name: str, data: bytes, note: str) -> Study:
        """Return the study with one part in place of another, or added."""
        return replace(self, parts={**self.parts, name: data}, notes=(*self.notes, note))

    def with_parts(self, parts: Mapping[str, bytes], note: str) -> Study:
        """Return the study with other parts."""
        return replace(self, parts=dict(parts), notes=(*self.notes, note))

    def refused(self, why: str) -> Study:
        """Return the study marked as one that nobody can answer rightly."""
        return replace(self, must_refuse=why)


def leaks(text: str) -> list[str]:
    """Return the patient's marks that stand in a text."""
    return [mark for mark in MARKS if mark in text]
