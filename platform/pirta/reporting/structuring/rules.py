"""The first reader of raw reports: ordered rules from mentions to lesions, each step on record.

1. Sections and sentences (`sentences`), with typing errors mended against the lexicon.
2. Mentions of each clause: present, denied or dismissed (`clauses`, `mentions`).
3. Chronic mentions go aside. Mentions of one territory become one lesion; one without a place
   lends its stage to the others.
4. Slots that no word fills are inferred as Table 1 does it, and named as inferred.
5. Doubts: what a person has to look at.

It reads English reports of diffusion MRI with the abbreviations of Korean hospitals, and nothing
is learnt: a wrong reading leads to one rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from pirta.contracts.finding import InfarctType, Laterality, LesionClass, Territory
from pirta.errors import InputError
from pirta.reporting.structuring.anatomy import Kind, lexicon_words
from pirta.reporting.structuring.mentions import Mention, Sort, find_mentions, stated_class
from pirta.reporting.structuring.result import (
    Acuity,
    Certainty,
    Doubt,
    Evidence,
    Lesion,
    StructuredReport,
    in_order,
)
from pirta.reporting.structuring.sentences import Sentence, split_sentences
from pirta.reporting.structuring.spelling import correct

MOST_CHARACTERS: Final = 20_000

_FIELD_WORDS: Final = frozenset(
    {
        "acute", "hyperacute", "subacute", "chronic", "recent", "infarct", "infarction", "right",
        "infarctions", "diffusion", "restriction", "restricted", "restricting", "lesion", "stroke",
        "evidence", "definite", "without", "lacunar", "lacune", "wedge", "shaped", "large",
        "small", "bilateral", "territory", "ischemic", "ischemia", "hyperintense", "multiple",
        "multifocal", "punctate", "extensive", "encephalomalacia", "questionable", "hyperintensity",
        "unremarkable", "cortex", "cortical", "gyrus",
    }
)  # fmt: skip
# Right words that stand one stroke from a word of the lexicon.
_ALSO_RIGHT: Final = frozenset({"central", "legion", "lesson", "patent"})

_TYPE_RANK: Final = (
    InfarctType.LARGE_VASCULAR,
    InfarctType.WEDGE_VASCULAR,
    InfarctType.SMALL_STRIATO_CAPSULAR,
    InfarctType.SMALL_LACUNE,
    InfarctType.SMALL,
)
_CERTAINTY_RANK: Final = (Certainty.STATED, Certainty.PROBABLE, Certainty.POSSIBLE)
_T2_CHANGE: Final = re.compile(r"\bt2\b[^.]{0,30}\b(?:hyperintens\w+|high|bright|change)")
_HYPERACUTE: Final = re.compile(r"\bhyper ?acute\b")
_PERFORATED: Final = re.compile(r"pons|pontine|medulla|midbrain|mid brain|corona|cr|semiovale|cso")


class RuleReader:
    """Reads raw reports by rules. Holds the vocabulary and nothing of any report."""

    def __init__(self) -> None:
        self._vocabulary = lexicon_words() | _FIELD_WORDS | _ALSO_RIGHT

    def read(self, text: str) -> StructuredReport:
        """Return what a raw report says of infarcts.

        Raises:
            InputError: the text is empty or longer than `MOST_CHARACTERS`.
        """
        check_length(text)
        sentences, num_corrected = self._spell(split_sentences(text))
        mentions = [mention for sentence in sentences for mention in find_mentions(sentence)]
        present = [mention for mention in mentions if mention.sort is Sort.PRESENT]
        recent = [mention for mention in present if mention.acuity is not Acuity.CHRONIC]
        chronic = [mention for mention in present if mention.acuity is Acuity.CHRONIC]
        lesions = _lesions(recent, sentences)
        denials = [m for m in mentions if m.sort in (Sort.DENIED, Sort.NORMAL)]
        doubts = [*_doubts(lesions, mentions, bool(denials))]
        if num_corrected:
            doubts.append(Doubt.SPELLING_CORRECTED)
        return StructuredReport(
            lesions=lesions,
            chronic=_lesions(chronic, sentences),
            is_normal=bool(denials) and not lesions,
            normal_evidence=tuple(_evidence(mention) for mention in denials),
            doubts=in_order(doubts),
        )

    def _spell(self, sentences: Sequence[Sentence]) -> tuple[list[Sentence], int]:
        total, spelt = 0, []
        for sentence in sentences:
            plain, changed = correct(sentence.plain, self._vocabulary)
            total += changed
            spelt.append(replace(sentence, plain=plain))
        return spelt, total


def check_length(text: str) -> None:
    """Refuse a text that is no report.

    Raises:
        InputError: it is empty or longer than `MOST_CHARACTERS`.
    """
    if not text.strip():
        raise InputError("The report is empty.", remedy="Hand over the report's text.")
    if len(text) > MOST_CHARACTERS:
        raise InputError(
            f"The report has {len(text)} characters; {MOST_CHARACTERS} is the most.",
            remedy="Hand over one report a row, without images or attachments in it.",
        )


def _lesions(mentions: Sequence[Mention], sentences: Sequence[Sentence]) -> tuple[Lesion, ...]:
    """Join mentions to lesions, one a territory, the main one first."""
    placed = [mention for mention in mentions if mention.sites]
    unplaced = [mention for mention in mentions if not mention.sites]
    if not placed:
        return (_lesion(None, unplaced, [], sentences),) if unplaced else ()
    territories = dict.fromkeys(mention.sites[0].territory for mention in placed)
    lesions = [
        _lesion(
            territory,
            [mention for mention in placed if mention.sites[0].territory is territory],
            unplaced,
            sentences,
        )
        for territory in territories
    ]
    if len(lesions) > 1:
        lesions = [replace(lesion, multifocal=True) for lesion in lesions]
    return tuple(sorted(lesions, key=_standing))


def _standing(lesion: Lesion) -> int:
    """Return a lesion's rank by size; small types that were only inferred stay as told."""
    rank = _TYPE_RANK.index(lesion.infarct_type)
    return len(_TYPE_RANK) if rank > 0 and "infarct_type" in lesion.inferred else rank


def _lesion(
    territory: Territory | None,
    mentions: Sequence[Mention],
    conclusions: Sequence[Mention],
    sentences: Sequence[Sentence],
) -> Lesion:
    """Put one lesion together from its own mentions and from conclusions without a place."""
    inferred = set()
    kind = _first_type(mentions)
    if kind is None:
        kind = _usual_type(mentions)
        inferred.add("infarct_type")
    lesion_class = next((m.lesion_class for m in mentions if m.lesion_class is not None), None)
    if lesion_class is None:
        lesion_class = _usual_class(sentences)
        inferred.add("lesion_class")
    own = [m for m in mentions if m.sites or territory is None]
    sides = {mention.laterality for mention in own} - {None}
    both = Laterality.BILATERAL in sides or len(sides) > 1
    return Lesion(
        territory=territory,
        lesion_class=lesion_class,
        infarct_type=kind,
        laterality=Laterality.BILATERAL if both else next(iter(sides), None),
        multifocal=both or _names_further_place(own) or any(m.plural for m in own),
        acuity=_acuity([*mentions, *conclusions]),
        certainty=min((m.certainty for m in mentions), key=_CERTAINTY_RANK.index),
        inferred=frozenset(inferred),
        evidence=tuple(_evidence(mention) for mention in [*mentions, *conclusions]),
    )


def _names_further_place(mentions: Sequence[Mention]) -> bool:
    """Whether a later description names a structure that the first did not."""
    first = {site.name for site in mentions[0].sites}
    further = {
        site.name
        for mention in mentions[1:]
        if not mention.sentence.concludes and mention.sentence.index != mentions[0].sentence.index
        for site in mention.sites
        if site.kind in (Kind.SURFACE, Kind.NUCLEUS)
    }
    return bool(further - first)


def _acuity(mentions: Sequence[Mention]) -> Acuity:
    """Return the stage: stated, else acute where diffusion is restricted."""
    stated = [mention.acuity for mention in mentions if mention.acuity is not Acuity.UNSTATED]
    if stated:
        return stated[0]
    restricted = any(mention.restricted for mention in mentions)
    return Acuity.ACUTE if restricted else Acuity.UNSTATED


def _first_type(mentions: Sequence[Mention]) -> InfarctType | None:
    """Return the type that the first mention states; an impression may state it later.

    A lesion that is described first and without a type keeps it open: what follows ("tiny
    lesion in ...") describes the further ones (Table 1, example 1).
    """
    if mentions[0].infarct_type is not None:
        return mentions[0].infarct_type
    later = [m.infarct_type for m in mentions[1:] if m.sentence.concludes and m.infarct_type]
    return next(iter(later), None)


def _usual_type(mentions: Sequence[Mention]) -> InfarctType:
    """Return the type that Table 1 gives where no word names it.

    Several neighbouring places of the surface make a vessel's field (example 1), a nucleus or
    the brain stem holds a lacune (example 3), the rest is small (example 2).
    """
    sites = mentions[0].sites
    surface = [site for site in sites if site.kind is Kind.SURFACE]
    perforated = [site for site in sites if _PERFORATED.search(site.name)]
    if len(surface) - len(perforated) > 1:
        return InfarctType.LARGE_VASCULAR
    if sites and (sites[0].kind is Kind.NUCLEUS or len(perforated) == len(sites)):
        return InfarctType.SMALL_LACUNE
    return InfarctType.SMALL


def _usual_class(sentences: Sequence[Sentence]) -> LesionClass:
    """Return the class of Table 1's examples: mild with a T2 change, strong without one."""
    for sentence in sentences:
        stated = stated_class(sentence.plain)
        if stated is not None and not re.search(r"\bno\b|\bwithout\b", sentence.plain):
            return stated
    text = "\n".join(sentence.plain for sentence in sentences)
    changed = any(
        not re.search(r"\b(?:no|without)\b", text[max(0, match.start() - 20) : match.start()])
        for match in _T2_CHANGE.finditer(text)
    )
    return LesionClass.MILD if changed and not _HYPERACUTE.search(text) else LesionClass.STRONG


def _doubts(lesions: Sequence[Lesion], mentions: Sequence[Mention], denied: bool) -> list[Doubt]:
    doubts = []
    if any(mention.sort is Sort.NOT_ISCHEMIC for mention in mentions):
        doubts.append(Doubt.NOT_ISCHEMIC)
    if not lesions:
        if any(mention.certainty is Certainty.POSSIBLE for mention in mentions):
            doubts.append(Doubt.ONLY_POSSIBLE)  # a hedge and a denial in one: a person decides
        return doubts if denied else [*doubts, Doubt.NOTHING_SAID]
    for lesion in lesions:
        doubts += _doubts_of(lesion)
    if len(lesions) > 1:
        doubts.append(Doubt.SEVERAL_TERRITORIES)
    places = {e.sentence_index for lesion in lesions for e in lesion.evidence}
    flat_denials = [
        mention
        for mention in mentions
        if mention.sort in (Sort.DENIED, Sort.NORMAL)
        and not mention.partial
        and mention.sentence.index not in places
    ]
    if flat_denials:
        doubts.append(Doubt.SECTIONS_DISAGREE)
    if any(m.sites and all(s.kind is Kind.SHARED for s in m.sites) for m in mentions):
        doubts.append(Doubt.TERRITORY_BY_CONVENTION)
    return doubts


def _doubts_of(lesion: Lesion) -> list[Doubt]:
    found = {
        Doubt.TERRITORY_MISSING: lesion.territory is None,
        Doubt.ONLY_POSSIBLE: lesion.certainty is Certainty.POSSIBLE,
        Doubt.ONLY_PROBABLE: lesion.certainty is Certainty.PROBABLE,
        Doubt.ACUITY_UNSTATED: lesion.acuity is Acuity.UNSTATED,
        Doubt.TYPE_INFERRED: "infarct_type" in lesion.inferred,
        Doubt.CLASS_INFERRED: "lesion_class" in lesion.inferred,
    }
    return [doubt for doubt, holds in found.items() if holds]


def _evidence(mention: Mention) -> Evidence:
    rule = mention.sort.value
    if mention.sites:
        rule += ": " + ", ".join(site.name for site in mention.sites)
    return Evidence(mention.sentence.index, mention.sentence.words, rule)
