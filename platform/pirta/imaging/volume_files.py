"""From NIfTI and MetaImage files with their sidecars to one DWI/ADC pair.

Taken are: one file with several volumes and their b values; single volumes with a b value each;
a DWI and an ADC map told by their names or sidecars. What each file is, `image_roles` says; here
it is decided which of them count, and what is computed from them. Messages count files and never
repeat a name, which may hold a patient's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from pirta.errors import FileMissingError, SeriesError
from pirta.imaging.diffusion_fit import NEAR_B0_S_MM2, pair_from_volumes
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.image_roles import ImageFile, describe_files, find_images
from pirta.imaging.pair import check_same_grid
from pirta.imaging.volume import Volume

_SEND = (
    "Send a series with its .bval file, or a DWI and an ADC map whose names end in _dwi and _adc, "
    "or a DWI and a b0 with the DWI's b value."
)


def read_volume_files(
    files: Mapping[str, bytes], *, b_value_s_mm2: float | None = None
) -> DiffusionPair:
    """Return the pair that these files hold.

    Args:
        files: names (with folders) to bytes.
        b_value_s_mm2: of the DWI, where no sidecar tells.

    Raises:
        FileMissingError: no DWI, or neither an ADC map nor what it can be fitted from.
        SeriesError: several candidates for one role, or b values missing or unusable.
        ChannelMismatchError: a name and a sidecar contradict each other, or other grids.
        InputError: as the readers of the single files.
    """
    images = find_images(files)
    adc = _only([one for one in images if one.kind == "adc"], "ADC maps")
    b0 = _only([one for one in images if one.kind == "b0"], "b0 volumes")
    dwis = _candidates([one for one in images if one.kind == "dwi"], has_adc=adc is not None)
    if not dwis:
        raise FileMissingError(
            f"No DWI was found among {describe_files(files, images)}.", remedy=_SEND
        )
    if adc is not None and len(dwis) == 1 and dwis[0].num_volumes == 1:
        return _as_named(dwis[0], adc, b0, b_value_s_mm2)
    fitted = _fitted(
        dwis, b0, b_value_s_mm2, has_adc_map=adc is not None, files=describe_files(files, images)
    )
    if adc is None:
        return fitted
    (volume,) = adc.volumes()
    check_same_grid(fitted.dwi, volume, "DWI", "ADC")
    return replace(
        fitted,
        adc=volume,
        adc_unit=adc.facts.adc_unit,
        provenance={**fitted.provenance, "adc": "file told by its name or sidecar"},
    )


def _as_named(
    dwi: ImageFile, adc: ImageFile, b0: ImageFile | None, b_value_s_mm2: float | None
) -> DiffusionPair:
    (dwi_volume,), (adc_volume,) = dwi.volumes(), adc.volumes()
    b0_volume = b0.volumes()[0] if b0 is not None else None
    if b0_volume is not None:
        check_same_grid(dwi_volume, b0_volume, "DWI", "b0")
    return DiffusionPair(
        dwi=dwi_volume,
        adc=adc_volume,
        b0=b0_volume,
        b_value_s_mm2=dwi.b_values_s_mm2[0] if dwi.b_values_s_mm2 else b_value_s_mm2,
        adc_unit=adc.facts.adc_unit,
        slice_thickness_mm=dwi.facts.slice_thickness_mm,
        provenance=dict.fromkeys(("dwi", "adc"), "file told by its name or sidecar"),
    )


def _fitted(
    dwis: Sequence[ImageFile],
    b0: ImageFile | None,
    b_value_s_mm2: float | None,
    *,
    has_adc_map: bool,
    files: str,
) -> DiffusionPair:
    """Return the pair fitted over everything whose b value is known."""
    has_b0 = any(b < NEAR_B0_S_MM2 for one in dwis for b in one.b_values_s_mm2 or ())
    used = list(dwis) if has_b0 or b0 is None else [b0, *dwis]
    volumes: list[Volume] = []
    b_values: list[float] = []
    directions: list[list[float]] = []
    for image in used:
        known = image.b_values_s_mm2 or ([b_value_s_mm2] if b_value_s_mm2 is not None else [])
        if not known:
            raise SeriesError(
                f"There is no ADC map, and no b value to compute one with, among {files}.",
                remedy="Give the DWI's b value, its .bval file, or the ADC map.",
            )
        b_values += known
        volumes += image.volumes()
        directions += image.directions or [[0.0, 0.0, 0.0]] * image.num_volumes
    pair = pair_from_volumes(volumes, b_values, directions, has_adc_map=has_adc_map)
    return replace(pair, slice_thickness_mm=dwis[0].facts.slice_thickness_mm)


def _candidates(dwis: list[ImageFile], *, has_adc: bool) -> list[ImageFile]:
    """Return the one series where there is one, else the single volumes.

    A trace that the scanner made comes before raw directions, where an ADC map is there too or
    the trace has volumes to fit one from.
    """
    traces = [one for one in dwis if one.facts.kind == "dwi"]
    if traces and (has_adc or any(one.num_volumes > 1 for one in traces)):
        dwis = traces
    series = [one for one in dwis if one.num_volumes > 1]
    if not series:
        _only([one for one in dwis if one.b_values_s_mm2 is None], "DWI without a b value")
        return dwis
    usable = [one for one in series if one.has_trace_shell] or series
    found = _only(usable, "diffusion series")
    return [found] if found is not None else []


def _only(images: list[ImageFile], what: str) -> ImageFile | None:
    if len(images) > 1:
        raise SeriesError(
            f"There are {len(images)} {what}; which one counts is not told.",
            remedy="Send the files of one acquisition.",
        )
    return images[0] if images else None
