"""Which brain an example is made from: guests, slabs, strokes that nobody drew, mirrored heads."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from pirta.contracts.finding import (
    LABELS,
    Finding,
    InfarctType,
    Label,
    Laterality,
    LesionClass,
    Territory,
)
from pirta.errors import ManifestError
from train_jobs.augment import Strength
from train_jobs.data import Example, ExampleMaker, _one_of, mirrored
from train_jobs.training_pool import TrainingPool, load_pool


@pytest.fixture(scope="module")
def pool(synthetic_store: str) -> TrainingPool:
    """The synthetic store's training split."""
    return load_pool(synthetic_store, split="train")


class _Spy(ExampleMaker):
    """Notes whose brains are drawn, and for which label; draws nothing else."""

    def __init__(self, *args, **settings) -> None:  # type: ignore[no-untyped-def]
        super().__init__(*args, **settings)
        self.drawn: list[tuple[str, Label]] = []

    def _real(self, _rng, case):  # type: ignore[no-untyped-def]
        self.drawn.append((case.case_id, case.label))
        return _nothing(case.volume_CXYZ, case.label)

    def _fresh(self, rng, hosts, label):  # type: ignore[no-untyped-def]
        case = _one_of(rng, hosts)
        self.drawn.append((case.case_id, label))
        return _nothing(case.volume_CXYZ, label)


def _nothing(volume_CXYZ: np.ndarray, label: Label) -> Example:
    empty = np.zeros(volume_CXYZ.shape, np.float32)
    return Example(empty, np.zeros(empty.shape[1:], np.uint8), label, None)


def _visited(pool: TrainingPool) -> TrainingPool:
    guest = replace(pool.hosts[0], case_id="guest", volume_CXYZ=2 * pool.hosts[0].volume_CXYZ)
    return replace(pool, guests=(guest,))


def test_guests_are_hosts_and_normals_in_their_share(pool: TrainingPool) -> None:
    for some, share, expected in (
        (_visited(pool), 0.0, {"train-normal"}),
        (_visited(pool), 1.0, {"guest"}),
        (pool, 1.0, {"train-normal"}),
    ):
        maker = _Spy(some, real_share=0.0, strength=Strength(), guest_share=share)
        for seed in range(6):
            maker.draw(np.random.default_rng(seed))
        assert {case_id for case_id, _ in maker.drawn} == expected


def test_a_guests_scanner_tells_nothing_of_the_label(pool: TrainingPool) -> None:
    maker = _Spy(_visited(pool), real_share=1.0, strength=Strength(), guest_share=0.5)
    for seed in range(60):
        maker.draw(np.random.default_rng(seed))
    labels = [label for case_id, label in maker.drawn if case_id == "guest"]
    assert set(labels) == set(LABELS)
    assert labels.count(Label.NORMAL) < len(labels) / 2


def test_a_guest_without_a_territory_is_no_host_for_it(pool: TrainingPool) -> None:
    slab = pool.hosts[0].territory_XYZ.copy()  # type: ignore[union-attr]
    slab[slab == 3] = 0
    guest = replace(pool.hosts[0], case_id="slab", territory_XYZ=slab)
    maker = _Spy(
        replace(pool, guests=(guest,)), real_share=0.0, strength=Strength(), guest_share=1.0
    )
    for seed in range(40):
        maker.draw(np.random.default_rng(seed))
    assert {case_id for case_id, label in maker.drawn if label is Label.POSTERIOR} == {
        "train-normal"
    }
    assert ("slab", Label.ANTERIOR) in maker.drawn
    with pytest.raises(ManifestError, match="100 voxels on each side of the territory posterior"):
        ExampleMaker(replace(pool, hosts=(guest,)), real_share=0.0, strength=Strength())


def test_a_stroke_without_a_mask_keeps_its_lesion_and_claims_no_cell(pool: TrainingPool) -> None:
    (stroke,) = pool.by_label[Label.ANTERIOR]
    unmasked = replace(stroke, mask_XYZ=None)
    only = replace(pool, by_label={**pool.by_label, Label.ANTERIOR: (unmasked,)})
    faulty = Strength(faults=1.0)
    seen = []
    for some in (pool, only):
        maker = ExampleMaker(some, real_share=1.0, strength=faulty)
        examples = [maker.draw(np.random.default_rng(seed)) for seed in range(12)]
        seen.append([one.lesion_known for one in examples if one.label is Label.ANTERIOR])
    assert all(seen[0])
    assert seen[1]
    assert not any(seen[1])


def test_a_mirrored_head_has_its_finding_on_the_other_side() -> None:
    finding = Finding(
        lesion_class=LesionClass.STRONG,
        infarct_type=InfarctType.SMALL,
        territory=Territory.ANTERIOR,
        laterality=Laterality.LEFT,
    )
    other = mirrored(finding)
    assert other is not None
    assert other.laterality is Laterality.RIGHT
    assert mirrored(other) == finding
    both = finding.model_copy(update={"laterality": Laterality.BILATERAL})
    assert mirrored(both) == both
    assert mirrored(None) is None
