"""A store of normals and the hosts made of them; registration takes seconds: once a session."""

from __future__ import annotations

import numpy as np
import pytest

from pirta.cohort.prepared_store import CaseArrays, close_run
from pirta.contracts.study import GRID_SHAPE
from pirta.imaging.atlas_registration import AtlasImage
from pirta.pipelines.hosts import make_hosts
from pirta.pipelines.territory_maps import prepared_affine
from tests.unit.pipelines.brains import made_brain
from tests.unit.pipelines.host_store import FINDING, Hosts, ball_CXYZ, write_row


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
