"""A store of normals and one of the hosts made of them; registration takes seconds: once a session.

Axis suffixes: C channels (0 DWI, 1 ADC), X Y Z voxels (RAS+, 2x2x4 mm).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from numpy.typing import NDArray

from pirta.cohort.prepared_rows import Facts
from pirta.cohort.prepared_store import CaseArrays, PreparedCase, close_run, write_case
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import (
    NORMAL_SENTENCE,
    Finding,
    InfarctType,
    LesionClass,
    Territory,
)
from pirta.contracts.study import GRID_SHAPE, Registry
from pirta.imaging.atlas_registration import AtlasImage
from pirta.pipelines.hosts import HostsSummary, make_hosts
from pirta.pipelines.territory_maps import prepared_affine
from tests.unit.pipelines.brains import MadeBrain, made_brain

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


@pytest.fixture(scope="session")
def hosts(atlas: AtlasImage, tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    """Hosts of a phantom with its own map, a brain that lacks a part, a stroke, and a ball."""
    root = tmp_path_factory.mktemp("hosts")
    source, out = str(root / "source"), str(root / "hosts")
    turn = np.deg2rad(4.0)
    world_to_atlas = np.eye(4)
    world_to_atlas[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    world_to_atlas[:3, 3] = [5.0, -18.0, 8.0]
    brain = made_brain(
        atlas,
        GRID_SHAPE,
        prepared_affine(),
        world_to_atlas=world_to_atlas,
        right_front_is_lacking=True,
    )
    own_map_XYZ = np.where(brain.brain_XYZ, 2, 0).astype(np.uint8)  # no registration gives this
    rows = [
        write_row(source, "own", CaseArrays(brain.volume_CXYZ, None, own_map_XYZ)),
        write_row(source, "found", CaseArrays(brain.volume_CXYZ), facts={"b_value_s_mm2": 2000.0}),
        write_row(source, "stroke", CaseArrays(brain.volume_CXYZ), finding=FINDING),
        write_row(source, "ball", CaseArrays(ball_CXYZ())),
    ]
    close_run(source, rows, [])
    summary = make_hosts(source, out, atlas=atlas)
    return Hosts(source, out, summary, brain, own_map_XYZ)
