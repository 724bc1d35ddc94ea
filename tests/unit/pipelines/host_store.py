"""Rows of prepared stores for tests, a ball that is no brain, and what `hosts` made of some rows.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+, 2x2x4 mm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.cohort.prepared_rows import Facts
from pirta.cohort.prepared_store import CaseArrays, PreparedCase, write_case
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import (
    NORMAL_SENTENCE,
    Finding,
    InfarctType,
    LesionClass,
    Territory,
)
from pirta.contracts.study import Registry
from pirta.pipelines.hosts import HostsSummary
from tests.unit.pipelines.brains import MadeBrain

FINDING = Finding(
    lesion_class=LesionClass.STRONG,
    infarct_type=InfarctType.SMALL,
    territory=Territory.POSTERIOR,
)


@dataclass(frozen=True)
class Hosts:
    """A store of hosts, what it was made from, and what is true of the registered brain."""

    source: str
    out: str
    summary: HostsSummary
    brain: MadeBrain
    own_map_XYZ: NDArray[np.uint8]


def write_row(
    root: str,
    case_id: str,
    arrays: CaseArrays,
    *,
    facts: Facts | None = None,
    finding: Finding | None = None,
    report_text: str = NORMAL_SENTENCE,
) -> PreparedCase:
    """Write a prepared case of the split `index`."""
    case = CaseRecord(
        case_id=case_id,
        patient_id=case_id,
        site="site-a",
        scanner="scanner-a",
        study_uri=f"scanned:{case_id}",
        registry=Registry(),
        finding=finding,
        report_text=report_text,
    )
    return write_case(root, case, arrays, fingerprint="prep-1", facts=facts or {})


def ball_CXYZ() -> NDArray[np.float32]:
    """Return a ball of one tissue, 60 mm across: no brain matches it."""
    x, y, z = np.ogrid[:96, :112, :48]
    inside = ((x - 48) * 2) ** 2 + ((y - 56) * 2) ** 2 + ((z - 24) * 4) ** 2 < 30**2
    return np.stack([inside * 1.0, inside * 0.8]).astype(np.float32)
