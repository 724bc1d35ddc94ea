"""A case of a cohort: where its images lie, and what is known of it.

One row of `cohort.parquet`. URIs are relative to the table's folder or any fsspec path. The
ids are pseudonyms.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, model_validator

from pirta.contracts.finding import Finding, Label, finding_sentence, label_of
from pirta.contracts.study import Registry
from pirta.errors import ManifestError

WAYS_IN = "study_uri, or dwi_uri with adc_uri, or dwi_uri with b0_uri and b_value_s_mm2"


class CaseRecord(BaseModel):
    """A study with its verified answer, if one is known.

    Attributes:
        study_uri: a folder, an archive, one Enhanced DICOM or one 4D NIfTI that holds the whole
            study; stands alone.
        dwi_uri, adc_uri, b0_uri: single volumes by role. A DWI with a b0 and no ADC gets its ADC
            computed.
        b_value_s_mm2: of the DWI; needed with a b0.
        finding: None is a normal study, provided `report_text` is there; see `label_known`.
        mask_uri: lesion mask on the DWI's grid (1 = lesion), where one is known.
        territory_uri: true territories on the DWI's grid (0 none, 1 anterior, 2 deep gray,
            3 posterior), known for phantoms; it lets training insert fresh lesions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    case_id: str
    patient_id: str
    site: str
    scanner: str
    split: str = "index"
    study_uri: str | None = None
    dwi_uri: str | None = None
    adc_uri: str | None = None
    b0_uri: str | None = None
    b_value_s_mm2: float | None = Field(default=None, gt=0, le=20_000)
    mask_uri: str | None = None
    territory_uri: str | None = None
    registry: Registry
    finding: Finding | None = None
    report_text: str = ""

    @model_validator(mode="after")
    def _has_one_way_in(self) -> CaseRecord:
        """Refuse a case whose images could not be found, or in two ways."""
        named = [self.dwi_uri, self.adc_uri, self.b0_uri]
        by_role = self.dwi_uri and (self.adc_uri or (self.b0_uri and self.b_value_s_mm2))
        if any(named) if self.study_uri else not by_role:
            raise ValueError(f"one complete way in is needed: {WAYS_IN}")
        return self

    @property
    def pair_uris(self) -> tuple[str, str]:
        """The DWI and the ADC map, of a case that names both.

        Raises:
            ManifestError: it names its images in another way.
        """
        if self.dwi_uri is None or self.adc_uri is None:
            raise ManifestError(
                "This case does not name a DWI and an ADC file.",
                remedy="Take a case with dwi_uri and adc_uri.",
            )
        return self.dwi_uri, self.adc_uri

    @property
    def label(self) -> Label:
        """The encoder class of this case; `normal` means nothing where `label_known` is false."""
        return label_of(self.finding)

    @property
    def label_known(self) -> bool:
        """Say whether anybody stated what this study shows: a finding, or a report without one.

        A scanned archive tells of no study what it shows.
        """
        return self.finding is not None or bool(self.report_text.strip())

    @property
    def findings_text(self) -> str:
        """The structured finding as a sentence."""
        return finding_sentence(self.finding)
