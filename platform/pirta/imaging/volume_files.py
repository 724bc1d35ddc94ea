"""Find DWI, ADC and b0 among NIfTI and MetaImage files, with the sidecars that belong to them.

Three forms are known: one file with several volumes and its b values (.bval), files that state
their b value each (BIDS JSON), and files that say by the last word of their name what they are
(`..._dwi`, `..._adc`, `..._b0`: BIDS derivatives, ISLES). A sidecar belongs to the image with its
stem. What a sidecar says outweighs a name, and where the two contradict each other on what is an
ADC map the study is refused. Names hold patients' names: messages count, and never repeat one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import PurePosixPath

from pirta.errors import ChannelMismatchError, FileMissingError, InputError, SeriesError
from pirta.imaging.diffusion_fit import (
    B_JITTER_S_MM2,
    MAX_TRACE_B_S_MM2,
    MIN_TRACE_B_S_MM2,
    NEAR_B0_S_MM2,
    pair_from_volumes,
)
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.image_file import is_image_file, read_image_file
from pirta.imaging.metaimage import is_metaimage
from pirta.imaging.nifti import num_volumes, read_nifti_volumes
from pirta.imaging.pair import check_same_grid
from pirta.imaging.sidecars import ImageFacts, read_b_values, read_directions, read_image_facts
from pirta.imaging.volume import Volume

_ENDS = (".nii.gz", ".nii", ".mha", ".mhd", ".bval", ".bvec", ".json")
_FSL_NAMES = {"bvals": ".bval", "bvecs": ".bvec"}
_KIND_OF_WORD = {
    "adc": "adc",
    **dict.fromkeys(("dwi", "trace", "tracew", "isotropic"), "dwi"),
    **dict.fromkeys(("b0", "b0000", "s0"), "b0"),
    **dict.fromkeys(("eadc", "exp", "fa", "colfa", "tensor"), "other"),
    **dict.fromkeys(("msk", "mask", "seg", "lesion", "roi"), "other"),
}
_SEND = (
    "Send a series with its .bval file, or a DWI and an ADC map whose names end in _dwi and _adc, "
    "or a DWI and a b0 with the DWI's b value."
)


@dataclass(frozen=True)
class _Image:
    """One image file that counts: `kind` is "adc", "dwi" or "b0"."""

    data: bytes
    kind: str
    num_volumes: int
    b_values_s_mm2: list[float] | None
    directions: list[list[float]] | None
    facts: ImageFacts

    def volumes(self) -> list[Volume]:
        role = {"adc": "ADC", "dwi": "DWI", "b0": "b0"}[self.kind]
        if self.num_volumes > 1:
            return read_nifti_volumes(self.data, role=role)
        return [read_image_file(self.data, role=role)]

    @property
    def has_trace_shell(self) -> bool:
        """Whether one of its b values serves for a trace."""
        low, high = MIN_TRACE_B_S_MM2 - B_JITTER_S_MM2, MAX_TRACE_B_S_MM2 + B_JITTER_S_MM2
        return any(low <= b <= high for b in self.b_values_s_mm2 or ())


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
    images = _images(files)
    adc = _only([one for one in images if one.kind == "adc"], "ADC maps")
    b0 = _only([one for one in images if one.kind == "b0"], "b0 volumes")
    dwis = _candidates([one for one in images if one.kind == "dwi"])
    if not dwis:
        raise FileMissingError(f"No DWI was found among {_found(files, images)}.", remedy=_SEND)
    if adc is not None and len(dwis) == 1 and dwis[0].num_volumes == 1:
        return _as_named(dwis[0], adc, b0, b_value_s_mm2)
    fitted = _fitted(dwis, b0, b_value_s_mm2, files=_found(files, images))
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
    dwi: _Image, adc: _Image, b0: _Image | None, b_value_s_mm2: float | None
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
    dwis: Sequence[_Image], b0: _Image | None, b_value_s_mm2: float | None, *, files: str
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
    pair = pair_from_volumes(volumes, b_values, directions)
    return replace(pair, slice_thickness_mm=dwis[0].facts.slice_thickness_mm)


def _candidates(dwis: list[_Image]) -> list[_Image]:
    """Return the one series where there is one, else the single volumes."""
    series = [one for one in dwis if one.num_volumes > 1]
    if not series:
        _only([one for one in dwis if one.b_values_s_mm2 is None], "DWI without a b value")
        return dwis
    usable = [one for one in series if one.has_trace_shell] or series
    found = _only(usable, "diffusion series")
    return [found] if found is not None else []


def _only(images: list[_Image], what: str) -> _Image | None:
    if len(images) > 1:
        raise SeriesError(
            f"There are {len(images)} {what}; which one counts is not told.",
            remedy="Send the files of one acquisition.",
        )
    return images[0] if images else None


class _Sidecars:
    """The sidecars of a study, found by their image's stem."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._by_end: dict[str, dict[str, bytes]] = {end: {} for end in (".bval", ".bvec", ".json")}
        for name, data in files.items():
            stem, end = _stem_and_end(name)
            if end in self._by_end and data:
                self._by_end[end][stem] = data

    def find(self, stem: str, end: str, *, is_series: bool) -> bytes | None:
        """Return the image's own sidecar, or for a series the only one of its kind."""
        found = self._by_end[end]
        if stem in found or end == ".json" or not is_series or len(found) != 1:
            return found.get(stem)
        return next(iter(found.values()))

    def __len__(self) -> int:
        return sum(len(found) for found in self._by_end.values())


def _images(files: Mapping[str, bytes]) -> list[_Image]:
    sidecars = _Sidecars(files)
    images = (
        _image(data, _stem_and_end(name)[0], sidecars)
        for name, data in files.items()
        if is_image_file(data)
    )
    return [image for image in images if image is not None]


def _image(data: bytes, stem: str, sidecars: _Sidecars) -> _Image | None:
    """Return the image with what is known of it; None where it is none of ours."""
    json_text = sidecars.find(stem, ".json", is_series=False)
    facts = read_image_facts(json_text) if json_text else ImageFacts()
    kind = _kind(_kind_of_name(stem), facts.kind)
    if kind == "other":
        return None
    try:
        number = 1 if is_metaimage(data) else num_volumes(data, role="image")
    except InputError:
        if kind is not None:
            raise
        return None  # neither name nor sidecar claims it: a localiser, say
    b_text = sidecars.find(stem, ".bval", is_series=number > 1)
    vectors = sidecars.find(stem, ".bvec", is_series=number > 1)
    b_values = read_b_values(b_text) if b_text else None
    if b_values is None and number == 1 and facts.b_value_s_mm2 is not None:
        b_values = [facts.b_value_s_mm2]
    if kind is None and b_values is None:
        return None
    if kind is None or (kind == "b0" and number > 1):
        kind = "b0" if number == 1 and max(b_values or [0.0]) < NEAR_B0_S_MM2 else "dwi"
    if number > 1 and kind == "dwi" and b_values is None:
        raise SeriesError(
            f"A series of {number} volumes comes without b values.",
            remedy="Send its .bval file (and .bvec) with the same stem.",
        )
    if kind == "b0":
        b_values = _b_values_of_b0(b_values)
    return _Image(
        data,
        kind,
        number,
        b_values,
        [[float(x) for x in row] for row in read_directions(vectors)] if vectors else None,
        facts,
    )


def _kind(by_name: str | None, by_sidecar: str | None) -> str | None:
    if "adc" in (by_name, by_sidecar) and {by_name, by_sidecar} & {"dwi", "b0"}:
        raise ChannelMismatchError(
            f"A file is {_upper(by_name)} by its name and {_upper(by_sidecar)} by its sidecar.",
            remedy="Check that DWI and ADC are not swapped; correct the name or the sidecar.",
        )
    return by_name if by_sidecar is None or by_name == "b0" else by_sidecar


def _b_values_of_b0(b_values: list[float] | None) -> list[float]:
    found = b_values or [0.0]
    if max(found) >= NEAR_B0_S_MM2:
        raise SeriesError(
            f"A file is a b0 by its name and has b {max(found):g} by its sidecar.",
            remedy="Correct the name or the sidecar.",
        )
    return found


def _upper(kind: str | None) -> str:
    return {"adc": "ADC", "dwi": "DWI", "b0": "b0"}[kind or "dwi"]


def _kind_of_name(stem: str) -> str | None:
    words = re.split(r"[^a-z0-9]+", PurePosixPath(stem).name.lower())
    kinds = [_KIND_OF_WORD[word] for word in words if word in _KIND_OF_WORD]
    return kinds[-1] if kinds else None


def _stem_and_end(name: str) -> tuple[str, str]:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.name.lower() in _FSL_NAMES:
        return str(path.parent), _FSL_NAMES[path.name.lower()]
    for end in _ENDS:
        if path.name.lower().endswith(end):
            return str(path)[: -len(end)], end
    return str(path), ""


def _found(files: Mapping[str, bytes], images: Sequence[_Image]) -> str:
    num_images = sum(is_image_file(data) for data in files.values())
    num_sidecars = len(_Sidecars(files))
    kinds = ", ".join(
        f"{number} {_upper(kind)}"
        for kind in ("dwi", "adc", "b0")
        if (number := sum(one.kind == kind for one in images))
    )
    return (
        f"{len(files)} files ({num_images} NIfTI or MetaImage"
        + (f", of them {kinds}" if kinds else "")
        + f"; {num_sidecars} sidecars; {len(files) - num_images - num_sidecars} others)"
    )
