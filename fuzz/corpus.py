"""The seed studies by name, and which damage each may take.

Seeds are made when they are asked for and kept by the corpus object. Real ones come from
`shared/data` beside the checkout where it lies there; nothing of it is copied.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Literal

from fuzz import dicom_seeds, metaimage_seeds, nifti_seeds
from fuzz import real_seeds as real
from fuzz.archive_mutators import ARCHIVE_MUTATORS, inside
from fuzz.archive_seeds import Kind, packed
from fuzz.byte_mutators import BYTE_MUTATORS, Mutator, exchange_roles
from fuzz.dicom_mutators import DICOM_MUTATORS
from fuzz.head import make_head
from fuzz.metaimage_mutators import METAIMAGE_MUTATORS
from fuzz.nifti_mutators import NIFTI_MUTATORS
from fuzz.study import Format, Study

Through = Literal["read_pair", "prepare_study"]

_OF_FORMAT: Mapping[Format, Mapping[str, Mutator]] = {
    "nifti": NIFTI_MUTATORS,
    "metaimage": METAIMAGE_MUTATORS,
    "dicom": DICOM_MUTATORS,
}


@dataclass(frozen=True)
class Seed:
    """A seed study, made once.

    Attributes:
        through: what reads it.
    """

    name: str
    make: Callable[[], Study]
    through: Through = "read_pair"

    @cached_property
    def study(self) -> Study:
        """The study, sound."""
        return self.make()

    @cached_property
    def mutators(self) -> Mapping[str, Mutator]:
        """The damage it may take, by name."""
        known = _OF_FORMAT[self.study.format]
        if self.study.form == "archive":
            known = {**ARCHIVE_MUTATORS, **{f"in {name}": inside(known[name]) for name in known}}
        if self.through == "prepare_study":
            known = {**known, "exchanged-roles": exchange_roles}
        return {**BYTE_MUTATORS, **known}


def small_seeds() -> list[Seed]:
    """Return the seeds made in code that are read, and no more."""
    head = make_head()
    made, raw = dicom_seeds.scanner_made(head), dicom_seeds.raw_directions(head)
    makers: dict[str, Callable[[], Study]] = {
        "nifti1": partial(nifti_seeds.pair, head),
        "nifti1-gz": partial(nifti_seeds.pair, head, packed=True, axes="LPS"),
        "nifti2": partial(nifti_seeds.pair, head, version=2),
        "nifti2-gz": partial(nifti_seeds.pair, head, version=2, packed=True, axes="ASR"),
        "nifti-b0": partial(nifti_seeds.with_b0, head),
        "nifti-4d": partial(nifti_seeds.series, head),
        "mha": partial(metaimage_seeds.pair, head),
        "mha-packed": partial(metaimage_seeds.pair, head, packed=True),
        "dicom-classic": partial(dicom_seeds.classic, head, made),
        "dicom-implicit": partial(dicom_seeds.classic, head, made, syntax="implicit"),
        "dicom-rle": partial(dicom_seeds.classic, head, made, syntax="rle"),
        "dicom-raw": partial(dicom_seeds.classic, head, raw),
        "dicom-philips": partial(dicom_seeds.philips, head),
        "dicom-enhanced": partial(dicom_seeds.enhanced, head, made),
        "dicom-enhanced-raw": partial(dicom_seeds.enhanced, head, raw),
        "dicom-mosaic": partial(dicom_seeds.mosaic, head),
    }
    archives: tuple[tuple[str, Kind], ...] = (
        ("nifti-4d", "zip"),
        ("nifti-4d", "tar"),
        ("dicom-classic", "zip"),
        ("dicom-enhanced", "tar.gz"),
    )
    makers |= {f"{inner}.{kind}": partial(_packed, makers[inner], kind) for inner, kind in archives}
    return [Seed(name, make) for name, make in makers.items()]


def prepared_seeds() -> list[Seed]:
    """Return the seeds that go through the whole preparation."""
    head = make_head(large=True, stripped=True)
    makers: dict[str, Callable[[], Study]] = {
        "nifti1-gz": partial(nifti_seeds.pair, head, packed=True),
        "mha": partial(metaimage_seeds.pair, head),
        "dicom-classic": partial(dicom_seeds.classic, head, dicom_seeds.scanner_made(head)),
    }
    return [Seed(f"prepare {name}", make, "prepare_study") for name, make in makers.items()]


def _packed(make: Callable[[], Study], kind: Kind) -> Study:
    return packed(make(), kind)


def real_seeds(folder: Path) -> list[Seed]:
    """Return the seeds that the real cases in a folder make; none where it holds none."""
    places = {
        "isles22-strokecase0009": real.isles,
        "jhu-ads-subject02": real.jhu,
        "dicom-siemens-xa30": real.siemens,
        "dicom-philips": real.philips,
    }
    return [
        Seed(f"real {name}", partial(make, folder))
        for name, make in places.items()
        if (folder / name).is_dir()
    ]
