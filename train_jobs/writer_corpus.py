"""The text that the demo writer learns from: made-up findings, registry rows and reports.

Two kinds of example come from here. `base_document` gives the pretraining corpus (reports,
registry rows, lists of similar reports, and chats about them) and `writer_example` the prompts
of Table 3 with neighbours that mostly agree with the true finding and sometimes do not: near
variants, other territories, and one poisoned case among five. All of it is drawn from a seed;
none of it is a patient. How text becomes tokens is `writer_tokens`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pirta.cohort.registry_rows import make_registry
from pirta.cohort.report_text import raw_report
from pirta.contracts.finding import (
    Finding,
    InfarctType,
    Laterality,
    LesionClass,
    Territory,
    finding_sentence,
    label_of,
)
from pirta.contracts.study import Registry
from pirta.reporting.answer import answer_text
from pirta.reporting.consensus import majority, without_side
from pirta.reporting.prompt import prompt_text
from pirta.reporting.registry_text import presentation_sentence, registry_line

NORMAL_SHARE = 0.3
NUM_NEIGHBOURS = 5

_CLASSES = tuple(LesionClass)
_TYPES = tuple(InfarctType)
_TERRITORIES = tuple(Territory)
_SIDES = tuple(Laterality)

# Share of examples, then a neighbour's chance of being the true finding, and of being a near
# variant (same territory, another class or type); the rest lies elsewhere or is normal. The
# encoder is trained on territories alone, so that near variants are what it often retrieves.
_AGREEMENT = ((0.45, 0.88, 0.09), (0.35, 0.58, 0.34), (0.20, 0.40, 0.45))
POISONED_SHARE = 0.2


@dataclass(frozen=True)
class Chat:
    """One question and its answer; an answer without a question is plain text."""

    user: str | None
    answer: str


@dataclass(frozen=True)
class WriterExample:
    """A Table-3 prompt with its known answer; neighbours go from the nearest to the farthest.

    Attributes:
        poisoned_rank: place of the neighbour that was put there on purpose, from 0.
        patient: whose case it is, as `tuned_patients.patient_hash`; None for made-up ones.
    """

    registry: Registry
    neighbours: tuple[Finding | None, ...]
    truth: Finding | None
    poisoned_rank: int | None = None
    patient: str | None = None

    @property
    def chat(self) -> Chat:
        """The prompt as served, and the answer to learn."""
        sentences = [finding_sentence(finding) for finding in self.neighbours]
        return Chat(user=prompt_text(self.registry, sentences), answer=answer_text(self.truth))


def random_finding(rng: np.random.Generator) -> Finding | None:
    """Return a finding of any legal kind, or None (a normal study) in `NORMAL_SHARE`."""
    if rng.random() < NORMAL_SHARE:
        return None
    return Finding(
        lesion_class=_CLASSES[rng.integers(len(_CLASSES))],
        infarct_type=_TYPES[rng.integers(len(_TYPES))],
        territory=_TERRITORIES[rng.integers(len(_TERRITORIES))],
        laterality=_SIDES[rng.choice(3, p=(0.45, 0.45, 0.10))],
        multifocal=bool(rng.random() < 0.25),
    )


def writer_example(rng: np.random.Generator, *, poisoned: bool | None = None) -> WriterExample:
    """Return one prompt of Table 3; `poisoned` None draws it (`POISONED_SHARE`)."""
    truth = without_side(random_finding(rng))
    if poisoned is None:
        poisoned = bool(rng.random() < POISONED_SHARE)
    if poisoned:
        neighbours = [truth] * NUM_NEIGHBOURS
        rank = int(rng.integers(NUM_NEIGHBOURS))
        neighbours[rank] = _elsewhere(rng, truth)
    else:
        rank = None
        row = rng.choice(len(_AGREEMENT), p=[share for share, _, _ in _AGREEMENT])
        _, same, near = _AGREEMENT[row]
        neighbours = [_neighbour(rng, truth, same, near) for _ in range(NUM_NEIGHBOURS)]
    return WriterExample(make_registry(rng, truth), tuple(neighbours), truth, rank)


def with_fewer_neighbours(rng: np.random.Generator, example: WriterExample) -> WriterExample:
    """Return the prompt as a smaller index would give it: from one neighbour to all but one.

    Those that are left keep their order. A poisoned neighbour is not kept as one: with few
    others nothing tells it from the truth.
    """
    total = len(example.neighbours)
    kept = sorted(rng.choice(total, size=int(rng.integers(1, total)), replace=False).tolist())
    neighbours = tuple(example.neighbours[rank] for rank in kept)
    return replace(example, neighbours=neighbours, poisoned_rank=None)


def names_its_answer(example: WriterExample) -> bool:
    """Say whether the neighbours of the true label name the answer's class and type.

    Where they do not, the answer cannot be read off the evidence, and the checks of a served
    report would refuse it: whoever learns it learns to invent.
    """
    same = [one for one in example.neighbours if label_of(one) is label_of(example.truth)]
    if example.truth is None or not same:
        return bool(same)
    return example.truth.lesion_class in {one.lesion_class for one in same if one} and (
        example.truth.infarct_type in {one.infarct_type for one in same if one}
    )


def base_document(rng: np.random.Generator) -> Chat:
    """Return one document of the pretraining corpus: plain text in 1 of 3, else a chat."""
    kind = int(rng.integers(9))
    if kind in (0, 1, 2):
        return _plain_document(rng, kind)
    example = writer_example(rng)
    sentences = [finding_sentence(finding) for finding in example.neighbours]
    listed = _listed(sentences)
    if kind in (3, 4):
        rank = int(rng.integers(len(sentences)))
        return Chat(f"Copy report [{rank + 1}].\n{listed}", sentences[rank])
    if kind in (5, 6):
        return Chat(f"Which finding do most reports share?\n{listed}", majority(sentences))
    if kind == 7:
        raw = raw_report(rng, example.truth)
        return Chat(f"Rephrase as structured finding.\n{raw}", finding_sentence(example.truth))
    return Chat(
        f"Write the clinical presentation.\n### Registry: {registry_line(example.registry)}",
        presentation_sentence(example.registry),
    )


def _plain_document(rng: np.random.Generator, kind: int) -> Chat:
    if kind == 0:
        truth = random_finding(rng)
        return Chat(None, f"{raw_report(rng, truth)}\n{answer_text(truth)}")
    if kind == 1:
        return Chat(None, registry_line(make_registry(rng, random_finding(rng))))
    findings = writer_example(rng).neighbours
    return Chat(None, _listed([finding_sentence(finding) for finding in findings]))


def _listed(sentences: Sequence[str]) -> str:
    return "\n".join(f"[{rank}] {sentence}" for rank, sentence in enumerate(sentences, 1))


def _neighbour(
    rng: np.random.Generator, truth: Finding | None, same: float, near: float
) -> Finding | None:
    draw = rng.random()
    if draw < same or (truth is None and draw < same + near):
        return truth
    if truth is not None and draw < same + near:
        return _near_variant(rng, truth)
    return _elsewhere(rng, truth)


def _near_variant(rng: np.random.Generator, truth: Finding) -> Finding:
    """The same territory with another class, another infarct type, or both."""
    what = int(rng.integers(3))
    changed: dict[str, LesionClass | InfarctType] = {}
    if what != 0:
        others = [name for name in _CLASSES if name is not truth.lesion_class]
        changed["lesion_class"] = others[int(rng.integers(len(others)))]
    if what != 1:
        types = [name for name in _TYPES if name is not truth.infarct_type]
        changed["infarct_type"] = types[int(rng.integers(len(types)))]
    return truth.model_copy(update=changed)


def _elsewhere(rng: np.random.Generator, truth: Finding | None) -> Finding | None:
    """A finding of another encoder label than the truth's."""
    while True:
        drawn = without_side(random_finding(rng))
        if (drawn is None) != (truth is None):
            return drawn
        if drawn is not None and truth is not None and drawn.territory is not truth.territory:
            return drawn
