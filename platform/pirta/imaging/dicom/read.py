"""From a bag of DICOM files, in any order and mixture, to one diffusion pair.

The way: each object once (`study`), headers to slices (`classic`, `enhanced`), slices to
complete volumes (`series`, `stack`), volumes to roles (`select`), and only then pixels. Files
that are no MR images (presentation states, reports, private objects) are counted and left.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from pirta.errors import SeriesError
from pirta.imaging.dicom.origin import check_one_origin
from pirta.imaging.dicom.select import Selection, select
from pirta.imaging.dicom.series import find_runs, without_other_epi
from pirta.imaging.dicom.slices import Slice
from pirta.imaging.dicom.stack import Stack
from pirta.imaging.dicom.study import read_slices
from pirta.imaging.diffusion_fit import pair_from_volumes
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.volume import Volume
from pirta.imaging.volume_checks import check_numbers

GAIN_TOLERANCE = 1e-3
"""Share by which the gains of volumes that are fitted together may differ."""

MAX_VOXELS_IN_MEMORY = 2**28
"""Of all volumes of a fit together: 1 GiB of float32."""


def read_dicom_pair(
    files: Mapping[str, bytes], *, b_value_s_mm2: float | None = None
) -> DiffusionPair:
    """Return trace DWI and ADC map of the DICOM study in `files`.

    Args:
        files: name to bytes. Names serve to keep an order and are never shown.
        b_value_s_mm2: of a scanner's trace whose header tells none.

    Raises:
        FileUnreadableError: a DICOM file is damaged, or compressed in a way not read here.
        SeriesError: no usable diffusion series: none, incomplete, contradictory, ambiguous, or
            of several patients or studies.
        GeometryError, IntensityError, ChannelMismatchError: as their names say.
    """
    found, notes = read_slices(files)
    slices = without_other_epi(found)
    check_one_origin(one.origin for one in slices)
    chosen = select(find_runs(_with_told_b_value(slices, b_value_s_mm2)))
    pair = _computed(chosen) if chosen.fit else _scanner_made(chosen)
    for volume, role in ((pair.dwi, "DWI"), (pair.adc, "ADC")):
        check_numbers(volume.data_XYZ, role=role)
    return DiffusionPair(
        dwi=pair.dwi,
        adc=pair.adc,
        b0=pair.b0,
        b_value_s_mm2=pair.b_value_s_mm2,
        adc_unit=pair.adc_unit,
        slice_thickness_mm=(chosen.dwi or chosen.fit)[0].first.plane.thickness_mm,
        provenance={**notes, **chosen.notes, **pair.provenance},
        warnings=chosen.warnings,
    )


def _with_told_b_value(slices: Sequence[Slice], b_value_s_mm2: float | None) -> list[Slice]:
    """Return the slices, those of a trace without a b value with the one that was told."""
    return [
        replace(one, b_value_s_mm2=b_value_s_mm2)
        if one.kind == "trace" and one.b_value_s_mm2 is None
        else one
        for one in slices
    ]


def _computed(chosen: Selection) -> DiffusionPair:
    stacks = chosen.fit
    _check_memory(stacks)
    _check_gains(stacks)
    b_values = [one.b_value_s_mm2 for one in stacks]
    return pair_from_volumes(
        [one.read() for one in stacks],
        [b_value for b_value in b_values if b_value is not None],
        [one.first.direction or (0.0, 0.0, 0.0) for one in stacks],
    )


def _scanner_made(chosen: Selection) -> DiffusionPair:
    assert chosen.adc is not None
    _check_memory((*chosen.dwi, *chosen.b0))
    return DiffusionPair(
        dwi=_geometric_mean([one.read() for one in chosen.dwi]),
        adc=chosen.adc.read(),
        b0=_mean([one.read() for one in chosen.b0]) if chosen.b0 else None,
        b_value_s_mm2=chosen.dwi[0].b_value_s_mm2,
        adc_unit=chosen.adc.first.adc_unit,
        provenance={"b0": f"mean of {len(chosen.b0)}" if chosen.b0 else "none"},
    )


def _geometric_mean(volumes: Sequence[Volume]) -> Volume:
    """Return the trace of volumes on one grid; 0 where any of them is 0 or less."""
    first = volumes[0]
    if len(volumes) == 1:
        return first
    product_XYZ = np.ones(first.data_XYZ.shape, dtype=np.float64)
    for volume in volumes:
        product_XYZ *= np.maximum(volume.data_XYZ, 0.0).astype(np.float64) ** (1 / len(volumes))
    return Volume(product_XYZ.astype(np.float32), first.affine, first.provenance)


def _mean(volumes: Sequence[Volume]) -> Volume:
    total_XYZ = np.zeros(volumes[0].data_XYZ.shape, dtype=np.float64)
    for volume in volumes:
        total_XYZ += volume.data_XYZ
    mean_XYZ = (total_XYZ / len(volumes)).astype(np.float32)
    return Volume(mean_XYZ, volumes[0].affine, volumes[0].provenance)


def _check_gains(stacks: Sequence[Stack]) -> None:
    """Refuse to compute from volumes whose values are not on one scale."""
    gains = [one.gain for stack in stacks for one in stack.slices if one.gain is not None]
    if gains and max(gains) > (1 + GAIN_TOLERANCE) * min(gains):
        raise SeriesError(
            f"The diffusion volumes are scaled unlike each other (Philips gains {min(gains):.4g} "
            f"to {max(gains):.4g}): no ADC can be computed from them.",
            remedy="Send the scanner's trace and ADC, or a series that holds b0 and DWI together.",
        )


def _check_memory(stacks: Sequence[Stack]) -> None:
    num_voxels = sum(int(np.prod(one.shape)) for one in stacks)
    if num_voxels > MAX_VOXELS_IN_MEMORY:
        raise SeriesError(
            f"The raw diffusion series has {len(stacks)} volumes of together {num_voxels} voxels, "
            f"above the limit of {MAX_VOXELS_IN_MEMORY}.",
            remedy="Send the scanner's trace and ADC series.",
        )
