"""What each NIfTI or MetaImage file of a study is: DWI, ADC map, b0, or none of ours.

A file says so by its sidecar (b values, a BIDS ImageType) or by the last known word of its name
(`..._dwi`, `..._adc`, `..._b0`: BIDS derivatives, ISLES). What a sidecar says outweighs a name, but
where a name ends in one thing and its sidecar says another (DWI or ADC map) the study is refused.
A sidecar belongs to the image with its stem. Names hold patients' names: messages count, and
never repeat one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from pirta.errors import ChannelMismatchError, InputError, SeriesError
from pirta.imaging.diffusion_fit import (
    B_JITTER_S_MM2,
    MAX_TRACE_B_S_MM2,
    MIN_TRACE_B_S_MM2,
    NEAR_B0_S_MM2,
)
from pirta.imaging.image_file import is_image_file, read_image_file
from pirta.imaging.metaimage import is_metaimage
from pirta.imaging.nifti import num_volumes, read_nifti_volumes
from pirta.imaging.sidecars import ImageFacts, read_b_values, read_directions, read_image_facts
from pirta.imaging.volume import Volume

_ENDS = (".nii.gz", ".nii", ".mha", ".mhd", ".bval", ".bvec", ".json")
_FSL_NAMES = {"bvals": ".bval", "bvecs": ".bvec"}
_ROLES = {"dwi": "DWI", "adc": "ADC", "b0": "b0"}
_KIND_OF_WORD = {
    "adc": "adc",
    **dict.fromkeys(("dwi", "trace", "tracew", "isotropic"), "dwi"),
    **dict.fromkeys(("b0", "b0000", "s0"), "b0"),
    **dict.fromkeys(("eadc", "exp", "fa", "colfa", "tensor"), "other"),
    **dict.fromkeys(("msk", "mask", "seg", "lesion", "roi"), "other"),
}


@dataclass(frozen=True)
class ImageFile:
    """One image file that counts: `kind` is "adc", "dwi" or "b0"."""

    data: bytes
    kind: str
    num_volumes: int
    b_values_s_mm2: list[float] | None
    directions: list[list[float]] | None
    facts: ImageFacts

    def volumes(self) -> list[Volume]:
        """Return its volumes in their order, turned to RAS+."""
        role = _ROLES[self.kind]
        if self.num_volumes > 1:
            return read_nifti_volumes(self.data, role=role)
        return [read_image_file(self.data, role=role)]

    @property
    def has_trace_shell(self) -> bool:
        """Whether one of its b values serves for a trace."""
        low, high = MIN_TRACE_B_S_MM2 - B_JITTER_S_MM2, MAX_TRACE_B_S_MM2 + B_JITTER_S_MM2
        return any(low <= b <= high for b in self.b_values_s_mm2 or ())


class _Sidecars:
    """The sidecars of a study, found by their image's stem."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._by_end: dict[str, dict[str, bytes]] = {end: {} for end in (".bval", ".bvec", ".json")}
        for name, data in files.items():
            stem, end = _stem_and_end(name)
            if end in self._by_end and data:
                self._by_end[end][stem] = data
        self.owners = {
            _stem_and_end(name)[0] for name, data in files.items() if is_image_file(data)
        }

    def find(self, stem: str, end: str, *, is_series: bool) -> bytes | None:
        """Return the image's own sidecar, or for a series the only one that no image owns."""
        found = self._by_end[end]
        free = [name for name in found if name not in self.owners]
        if stem in found or end == ".json" or not is_series or len(free) != 1:
            return found.get(stem)
        return found[free[0]]

    def __len__(self) -> int:
        return sum(len(found) for found in self._by_end.values())


def find_images(files: Mapping[str, bytes]) -> list[ImageFile]:
    """Return the image files that count.

    Raises:
        ChannelMismatchError: a name and a sidecar contradict each other on what is an ADC map.
        SeriesError: a sidecar cannot be read, or a series comes without b values.
        InputError: a named image's header is unusable.
    """
    sidecars = _Sidecars(files)
    images = (
        _image(data, _stem_and_end(name)[0], sidecars)
        for name, data in files.items()
        if is_image_file(data)
    )
    return [image for image in images if image is not None]


def _image(data: bytes, stem: str, sidecars: _Sidecars) -> ImageFile | None:
    """Return the image with what is known of it; None where it is none of ours."""
    json_text = sidecars.find(stem, ".json", is_series=False)
    facts = read_image_facts(json_text) if json_text else ImageFacts()
    kind = _kind(stem, facts.kind)
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
    return ImageFile(
        data,
        kind,
        number,
        b_values,
        [[float(x) for x in row] for row in read_directions(vectors)] if vectors else None,
        facts,
    )


def _kind(stem: str, by_sidecar: str | None) -> str | None:
    words = re.split(r"[^a-z0-9]+", PurePosixPath(stem).name.lower())
    known = [_KIND_OF_WORD[word] for word in words if word in _KIND_OF_WORD]
    by_name = known[-1] if known else None
    if by_sidecar is None or by_name == by_sidecar:
        return by_name
    # A protocol's name stands in the middle ("ep2d_diff_3scan_trace_p2_7") and says little.
    if words[-1] in _KIND_OF_WORD and "adc" in (by_name, by_sidecar):
        names = {**_ROLES, "other": "another image"}
        raise ChannelMismatchError(
            f"A file is {names[by_name or 'other']} by its name and {names[by_sidecar]} by its "
            "sidecar.",
            remedy="Check that DWI and ADC are not swapped; correct the name or the sidecar.",
        )
    return by_name if by_name == "b0" else by_sidecar


def _b_values_of_b0(b_values: list[float] | None) -> list[float]:
    found = b_values or [0.0]
    if max(found) >= NEAR_B0_S_MM2:
        raise SeriesError(
            f"A file is a b0 by its name and has b {max(found):g} by its sidecar.",
            remedy="Correct the name or the sidecar.",
        )
    return found


def _stem_and_end(name: str) -> tuple[str, str]:
    path = PurePosixPath(name.replace("\\", "/"))
    if path.name.lower() in _FSL_NAMES:
        return str(path.parent), _FSL_NAMES[path.name.lower()]
    for end in _ENDS:
        if path.name.lower().endswith(end):
            return str(path)[: -len(end)], end
    return str(path), ""


def describe_files(files: Mapping[str, bytes], images: Sequence[ImageFile]) -> str:
    """Return what was found, in counts and kinds, for a message."""
    sidecars = _Sidecars(files)
    num_images, num_sidecars = len(sidecars.owners), len(sidecars)
    kinds = ", ".join(
        f"{number} {_ROLES[kind]}"
        for kind in _ROLES
        if (number := sum(one.kind == kind for one in images))
    )
    return (
        f"{len(files)} files ({num_images} NIfTI or MetaImage"
        + (f", of them {kinds}" if kinds else "")
        + f"; {num_sidecars} sidecars; {len(files) - num_images - num_sidecars} others)"
    )
