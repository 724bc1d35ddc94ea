"""A case of a cohort: where its images lie, and what is known of it.

One row of `cohort.parquet`. URIs are relative to the table's folder or any fsspec path. The
ids are pseudonyms.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from pirta.contracts.finding import Finding, Label, finding_sentence, label_of
from pirta.contracts.study import Registry


class CaseRecord(BaseModel):
    """A study with its verified answer, if one is known.

    Attributes:
        finding: None is a normal study, provided `report_text` is there.
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
    dwi_uri: str
    adc_uri: str
    mask_uri: str | None = None
    territory_uri: str | None = None
    registry: Registry
    finding: Finding | None = None
    report_text: str = ""

    @property
    def label(self) -> Label:
        """The encoder class of this case."""
        return label_of(self.finding)

    @property
    def findings_text(self) -> str:
        """The structured finding as a sentence."""
        return finding_sentence(self.finding)
