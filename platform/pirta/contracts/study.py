"""A study on its way in: the stroke registry's row, and the volume made ready for the encoder.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+, 2x2x4 mm).
DWI is in units of the brain's median; ADC in 10⁻³ mm²/s. Background is 0 in both.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from pirta.contracts.quality import GateResult
from pirta.errors import RegistryError

if TYPE_CHECKING:  # a contract costs pydantic and nothing more
    import numpy as np
    from numpy.typing import NDArray

CHANNELS = ("DWI", "ADC")
GRID_SHAPE = (96, 112, 48)
GRID_SPACING_MM = (2.0, 2.0, 4.0)

_PLAIN_NAME = re.compile(r"the row|[A-Za-z0-9_.]{1,40}")

Sex = Literal["Female", "Male"]


class Registry(BaseModel):
    """What the stroke registry knows of a patient. Every field may be unknown (None)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    age_years: int | None = Field(default=None, ge=0, le=120)
    sex: Sex | None = None
    presentation: str | None = Field(default=None, max_length=500)
    nihss: int | None = Field(default=None, ge=0, le=42)
    history: tuple[Annotated[str, Field(max_length=200)], ...] = Field(default=(), max_length=20)

    @field_validator("age_years", "nihss", mode="before")
    @classmethod
    def _no_truth_value(cls, value: object) -> object:
        """Refuse true and false, which would otherwise count as 1 and 0."""
        if isinstance(value, bool):
            raise ValueError("input should be a number")
        return value

    @field_validator("history", mode="before")
    @classmethod
    def _split_history(cls, value: object) -> object:
        """Accept "HTN, Afib" as well as a list."""
        if isinstance(value, str):
            return tuple(part.strip() for part in value.split(",") if part.strip())
        return value


def parse_registry(fields: object) -> Registry:
    """Return the registry row in `fields` (a JSON object already decoded).

    Raises:
        RegistryError: a field is unknown, of another type, or outside its range. The message
            names fields and, for numbers only, the value: free text is patient data.
    """
    try:
        return Registry.model_validate(fields)
    except ValidationError as error:
        problems = "; ".join(_describe(item) for item in error.errors(include_url=False))
        raise RegistryError(
            f"The registry row cannot be used: {problems}.",
            remedy=f"Known fields: {', '.join(Registry.model_fields)}; age 0-120, NIHSS 0-42.",
        ) from None


def _describe(item: object) -> str:
    assert isinstance(item, dict)
    name = ".".join(str(part) for part in item["loc"]) or "the row"
    if not _PLAIN_NAME.fullmatch(name):
        name = "(a name that is no plain word)"  # it may hold what it should not
    value = item.get("input")
    shown = f" (got {value})" if isinstance(value, (int, float)) else ""
    if item["type"] == "extra_forbidden":
        return f"unknown field '{name}'"
    return f"{name}: {item['msg'][0].lower()}{item['msg'][1:]}{shown}"


@dataclass(frozen=True)
class StudyImages:
    """The bytes of a study's images: named by their role, or a bag in which the roles are found.

    Attributes:
        dwi, adc, b0: single-volume NIfTI or MetaImage files, None where not handed over. A DWI
            with a b0 and no ADC gets its ADC computed, which takes `b_value_s_mm2`.
        files: everything else, name to bytes: a DICOM folder's files in any order, or a NIfTI
            file with several volumes and its .bval, .bvec and .json. Names may hold a
            patient's: they link sidecars to images and are never shown.
        b_value_s_mm2: of the DWI, where no header or sidecar tells.
    """

    dwi: bytes | None = None
    adc: bytes | None = None
    b0: bytes | None = None
    files: Mapping[str, bytes] = field(default_factory=dict)
    b_value_s_mm2: float | None = None


@dataclass(frozen=True)
class StudyFiles:
    """One study as it came in: its images and the registry row.

    `study_id` and `site` are pseudonymous; `patient_id` (pseudonym) is the sender's word for the
    patient, whose own earlier scans stay out of the evidence.
    """

    study_id: str
    site: str
    images: StudyImages
    registry: Registry = field(default_factory=Registry)
    patient_id: str | None = None


@dataclass(frozen=True)
class PreparedStudy:
    """A study on the encoder's grid.

    Attributes:
        volume_CXYZ: float32, shape `(2, 96, 112, 48)`.
        fingerprint: of the code's version and the settings that made it; comparable only with
            volumes of the same fingerprint.
        facts: numbers for quality gates and for the reader (spacing, brain volume, ADC unit
            found, warnings), never identifiers.
        gates: the quality gate's results, none of them a refusal.
        patient_id: the patient's pseudonym as the images tell it; None where they do not.
    """

    volume_CXYZ: NDArray[np.float32]
    fingerprint: str
    facts: dict[str, float | str | bool]
    gates: tuple[GateResult, ...] = ()
    patient_id: str | None = None
