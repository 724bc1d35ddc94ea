"""Normals become hosts: maps kept or found, the midline with them, nothing normal by silence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pirta.cohort.prepared_store import (
    CaseArrays,
    PreparedCase,
    close_run,
    load_labels,
    load_volume,
    read_prepared,
    read_refused,
)
from pirta.cohort.territories import territory_codes
from pirta.errors import ManifestError
from pirta.imaging.atlas_registration import AtlasImage
from pirta.pipelines.hosts import HostsSummary, at_b_value, make_hosts
from pirta.pipelines.territory_maps import midline_distance
from tests.unit.pipelines.host_store import Hosts, ball_CXYZ, write_row


def _row(hosts: Hosts, case_id: str) -> PreparedCase:
    return next(row for row in read_prepared(hosts.out) if row.case.case_id == case_id)


def test_normals_become_hosts_strokes_are_passed_over_and_a_misfit_is_a_dead_letter(
    hosts: Hosts,
) -> None:
    # "own" and "ball" tell no b value, and only "own" became a host.
    assert hosts.summary == HostsSummary(num_hosts=2, num_refused=1, num_strokes=1, num_b_assumed=1)
    assert [row.case.case_id for row in read_prepared(hosts.out)] == ["own", "found"]
    (refused,) = read_refused(hosts.out)
    assert (refused.case_id, refused.code) == ("ball", "registration_failed")
    assert "does not match the MNI152 template" in refused.reason


def test_hosts_are_in_the_split_that_training_reads_its_guests_from(hosts: Hosts) -> None:
    assert {row.case.split for row in read_prepared(hosts.source)} == {"index"}
    assert {row.case.split for row in read_prepared(hosts.out)} == {"train"}


def test_a_phantoms_own_map_and_volume_are_kept_to_the_bit(hosts: Hosts) -> None:
    row = _row(hosts, "own")
    assert row.territory_uri is not None
    np.testing.assert_array_equal(load_labels(row.territory_uri), hosts.own_map_XYZ)
    np.testing.assert_array_equal(
        load_volume(row.array_uri), hosts.brain.volume_CXYZ.astype(np.float16)
    )


def test_a_brains_map_is_found_where_it_truly_lies(hosts: Hosts) -> None:
    row = _row(hosts, "found")
    assert row.territory_uri is not None
    found_XYZ = load_labels(row.territory_uri)
    true_XYZ = territory_codes(*hosts.brain.at_3XYZ)
    told_XYZ = found_XYZ > 0
    assert not (told_XYZ & ~hosts.brain.brain_XYZ).any()
    assert (found_XYZ[told_XYZ] == true_XYZ[told_XYZ]).mean() > 0.93
    assert float(row.facts["atlas_information"]) > 0.15


def test_a_host_keeps_the_midline_although_the_brains_middle_lies_beside_it(hosts: Hosts) -> None:
    true_XYZ = hosts.brain.at_3XYZ[0]
    inside_XYZ = hosts.brain.brain_XYZ
    told_XYZ = midline_distance(_row(hosts, "found").facts)
    assert told_XYZ is not None

    def share_on_the_wrong_side(x_mm_XYZ: np.ndarray) -> float:
        return float(((x_mm_XYZ > 0) != (true_XYZ > 0))[inside_XYZ].mean())

    x_vox = np.arange(96, dtype=np.float32)[:, None, None] * np.ones_like(true_XYZ)
    centred_XYZ = 2.0 * (x_vox - x_vox[inside_XYZ].mean())
    assert share_on_the_wrong_side(centred_XYZ) > 0.05
    assert share_on_the_wrong_side(told_XYZ) < 0.015
    assert abs(told_XYZ - true_XYZ)[inside_XYZ].max() < 4


def test_another_b_value_is_brought_to_1000_by_the_physics(hosts: Hosts) -> None:
    row = _row(hosts, "found")
    assert (row.facts["b_value_s_mm2"], row.facts["acquired_b_value_s_mm2"]) == (1000.0, 2000.0)
    before_CXYZ = hosts.brain.volume_CXYZ.astype(np.float16).astype(np.float32)
    wanted_XYZ = before_CXYZ[0] * np.exp(before_CXYZ[1])  # exp((2000 - 1000) * ADC / 1000)
    wanted_XYZ /= np.median(wanted_XYZ[hosts.brain.brain_XYZ])
    after_CXYZ = load_volume(row.array_uri)
    np.testing.assert_allclose(after_CXYZ[0], wanted_XYZ, rtol=2e-3)
    np.testing.assert_array_equal(after_CXYZ[1], before_CXYZ[1])


def test_there_and_back_between_b_values_is_the_same_volume() -> None:
    volume_CXYZ = ball_CXYZ()
    there = at_b_value(volume_CXYZ, from_b_s_mm2=1000, to_b_s_mm2=600)
    back = at_b_value(there, from_b_s_mm2=600, to_b_s_mm2=1000)
    np.testing.assert_allclose(back, volume_CXYZ, rtol=1e-5)


@pytest.fixture
def scanned(tmp_path: Path) -> str:
    """A store as a scanned archive gives it: no finding, no report; and one stated normal."""
    store = str(tmp_path / "scanned")
    map_XYZ = (ball_CXYZ()[0] > 0).astype(np.uint8)
    arrays = CaseArrays(ball_CXYZ(), None, map_XYZ)
    rows = [
        write_row(store, "stated", arrays),
        write_row(store, "silent", arrays, report_text=" \n"),
    ]
    close_run(store, rows, [])
    return store


def test_a_row_that_nobody_called_normal_is_refused_as_a_host(
    scanned: str, atlas: AtlasImage, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(ManifestError, match=r"1 of 2 cases .*--all-normal"):
        make_hosts(scanned, str(out), atlas=atlas)
    assert not out.exists()


def test_who_states_that_all_are_normal_makes_the_rows_say_so(
    scanned: str, atlas: AtlasImage, tmp_path: Path
) -> None:
    out = str(tmp_path / "out")
    assert make_hosts(scanned, out, all_normal=True, atlas=atlas).num_hosts == 2
    rows = read_prepared(out)
    assert all(row.case.label_known for row in rows)
    assert [row.facts.get("label_from") for row in rows] == [None, "--all-normal"]


def test_a_store_of_strokes_alone_and_a_finished_output_are_refused(
    hosts: Hosts, atlas: AtlasImage, tmp_path: Path
) -> None:
    with pytest.raises(ManifestError, match="holds a finished store already"):
        make_hosts(hosts.source, hosts.out, atlas=atlas)
    store = str(tmp_path / "strokes")
    stroke = next(one for one in read_prepared(hosts.source) if one.case.case_id == "stroke")
    close_run(store, [stroke], [])
    with pytest.raises(ManifestError, match="1 cases and none of them is normal"):
        make_hosts(store, str(tmp_path / "out"), atlas=atlas)
