"""The lesion mentions of a sentence: what is said to be there, where, on which side, how it looks.

One clause gives one mention for each territory that it names. A mention keeps what its words say
and fills nothing in; `rules` puts mentions together to lesions. Words for what only resembles an
infarct (artefact, shine-through, abscess, tumour, bleeding) take the mention away.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from pirta.contracts.finding import InfarctType, Laterality, LesionClass
from pirta.reporting.structuring.anatomy import Site, find_sites, is_covered
from pirta.reporting.structuring.clauses import (
    acuity_of,
    certainty_of,
    is_acute_on_chronic,
    is_denied,
    split_clauses,
)
from pirta.reporting.structuring.result import Acuity, Certainty
from pirta.reporting.structuring.sentences import Sentence


class Sort(StrEnum):
    """What a clause says of an infarct."""

    PRESENT = "present"
    DENIED = "denied"
    NORMAL = "normal"
    DISMISSED = "dismissed"
    NOT_ISCHEMIC = "not_ischemic"


@dataclass(frozen=True)
class Mention:
    """What one clause says. `sites` belong to one territory; none where it names no place."""

    sentence: Sentence
    sort: Sort
    sites: tuple[Site, ...] = ()
    laterality: Laterality | None = None
    acuity: Acuity = Acuity.UNSTATED
    certainty: Certainty = Certainty.STATED
    restricted: bool = False
    plural: bool = False
    infarct_type: InfarctType | None = None
    lesion_class: LesionClass | None = None
    partial: bool = False


_RESTRICTION: Final = re.compile(
    r"\bdiffusion (?:\w+ )?restrict\w*|\brestrict\w* (?:of )?(?:\w+ )?diffusion"
    r"|\b(?:abnormal\w*) (?:\w+ )?diffusion|\bdiffusion abnormalit\w+|\bcytotoxic edema"
    r"|\b(?:high|increased|bright|hyperintens\w+)(?: \w+){0,3}? (?:on|in|at) (?:the )?"
    r"(?:dwi|diffusion)"
    r"|\b(?:dwi|diffusion) ?:? (?:\w+ )?(?:high|hyperintens\w+|bright)(?: (?:si|lesions?|foc\w+))*"
    r"|\b(?:high|increased|bright) si\b[^.]{0,40}\bdwi\b|\bdwi lesions?\b"
    r"|\b(?:dwi|diffusion)\b[^.]{0,40}\babnormal si\b"
    r"|\b(?:dwi|diffusion)\W{1,3}(?:is |was )?positive|\bdwi ?\(\+\)"
    r"|\b(?:restricted|reduced) diffusivity|\breduced diffusion"
)
_INFARCT: Final = re.compile(
    r"\binfarct\w*|\bischemic (?:stroke|lesions?|changes?|foc\w+)|\bischemia\b|\bstrokes?\b"
    r"|\blacun(?:e|es|ar)\b|\b(?:acute|new|recent|fresh) (?:\w+ )?lesions?\b"
    r"|\bacute (?:\w+ ){0,2}(?:abnormalit\w+|process|findings?|pathology|component|event)\b"
    r"|\bencephalomalac\w+|\bcerebromalac\w+"
)
_SMALL_VESSEL: Final = re.compile(
    r"\b(?:small vessel|micro ?vascular|microangiopath\w+|chronic) (?:\w+ )?ischemic \w+"
)
_LACUNE: Final = re.compile(r"\blacunes?\b")
_NORMAL: Final = re.compile(
    r"\bnothing acute\b|\b(?:dwi|diffusion) ?\([-−–]\)"
    r"|\b(?:unremarkable|normal|negative|clean|clear|neg)"
    r"(?: (?:brain|dwi|diffusion|mri|study|and|adc|map|exam\w*)){0,8}$"
    r"|\b(?:unremarkable|normal|negative) (?:brain|dwi|diffusion)\b"
    r"|\b(?:dwi|diffusion|parenchyma|brain)\b[^,]{0,30}\b(?:unremarkable|normal|negative|clean|clear|neg)\b"
)
_NORMAL_OF_ELSE: Final = re.compile(r"\b(?:mra|vessels?|ventric\w+|sinus\w*|orbits?|flow)\b")

_ARTIFACT: Final = re.compile(r"\bartifact\w*|\bshine through\b|\bpseudo\w+")
_NO_ADC_DROP: Final = re.compile(
    r"\b(?:no|without) (?:\w+ ){0,3}?adc\b|\bnormal adc\b|\badc (?:is )?(?:normal|increase\w*|high)"
)
_NOT_ISCHEMIC: Final = re.compile(
    r"\b(?:post ?)?ictal\b|\bblood products\b|\bdemyelinat\w+|\bcontusion|\baxonal injury"
    r"|\bhemorrhage\b|\bhypoglyc\w+|\babscess\w*|\bepidermoid|\btumou?r\w*|\bmetasta\w+|\blymphoma|\bhematoma\w*|\bencephalitis"
    r"|\bhemorrhage\w* (?:\w+ ){0,2}with diffusion|\bglioma\w*|\bcjd\b|\bseizure\w*|\bempyema"
)
_PERFUSION: Final = re.compile(r"\bperfusion\b|\btmax\b|\bcb[fv]\b|\bhypoperfusion\b")
_ELSEWHERE: Final = re.compile(r"\b(?:other|additional|further|elsewhere|new|another|remaining)\b")

_SIDE: Final = re.compile(r"\b(?:left|right|both)\b")
_PLURAL: Final = re.compile(
    r"\b(?:multiple|multifocal|scattered|several|numerous|few|two|three|many|additional|another)\b"
    r"|\blesions\b|\binfarct(?:s|ions)\b|\bfoci\b|\brestrictions\b|\bstrokes\b|\blacunes\b"
)

_TYPES: Final = (
    (InfarctType.WEDGE_VASCULAR, re.compile(r"\bwedge\b")),
    (InfarctType.LARGE_VASCULAR, re.compile(
        r"\blarge\b|\bextensive\b|\bterritorial\b|\bmassive\b|\b(?:whole|entire|complete)\b"
        r"|\bmalignant\b|\bthroughout\b")),
    (InfarctType.SMALL_STRIATO_CAPSULAR, re.compile(
        r"\bstriato ?capsular\b|\bstriatocapsular\b|\blenticulostriate\b"
        r"|\b(?:putam|caudat|lentif)\w+\b[^.]{0,30}\band\b[^.]{0,30}\binternal capsul")),
    (InfarctType.SMALL_LACUNE, re.compile(r"\blacun\w+|\bovoid\b")),
    (InfarctType.SMALL, re.compile(
        r"\bsmall\b(?! vessel)|\btiny\b|\bpunctate\b|\bdot\b|\bminute\b|\bpinpoint\b")),
)  # fmt: skip
_HEAD_WORD: Final = (
    r"(?:diffusion|dwi|restrict\w*|high|infarct\w*|hyperintens\w*|ischemi\w*|lesions?)"
)
_STRONG: Final = re.compile(
    r"(?<!no )\b(?:strong(?:ly)?|marked(?:ly)?|definite(?:ly)?|prominent|intense|obvious|avid"
    rf"|striking) (?:\w+ ){{0,3}}?{_HEAD_WORD}\b|\bvery (?:bright|high)\b"
)
_MILD: Final = re.compile(
    r"\b(?:mild(?:ly)?|subtle|faint(?:ly)?|slight(?:ly)?|weak(?:ly)?|minimal(?:ly)?|vague"
    r"|barely (?:perceptible|visible))"
    rf" (?:\w+ ){{0,3}}?{_HEAD_WORD}\b|\bslight(?:ly)? (?:decreased|low|reduced) adc"
)


def find_mentions(sentence: Sentence) -> tuple[Mention, ...]:
    """Return what the clauses of a sentence say of infarcts, in order."""
    mentions: list[Mention] = []
    for clause in split_clauses(sentence.plain):
        mentions += _mentions_of_clause(sentence, clause)
    return tuple(mentions)


def stated_class(clause: str) -> LesionClass | None:
    """Return the class that words of brightness give."""
    if _STRONG.search(clause):
        return LesionClass.STRONG
    return LesionClass.MILD if _MILD.search(clause) else None


def _mentions_of_clause(sentence: Sentence, clause: str) -> list[Mention]:
    clause = _SMALL_VESSEL.sub(" ", clause)
    restricted = _RESTRICTION.search(clause)
    heads = [*_RESTRICTION.finditer(clause), *_INFARCT.finditer(clause)]
    sites = find_sites(clause)
    if not heads:
        if _NORMAL.search(clause) and not _NORMAL_OF_ELSE.search(clause):
            return [Mention(sentence, Sort.NORMAL)]
        return []
    if all(is_denied(clause, head.end()) for head in heads):
        partial = bool(sites or _ELSEWHERE.search(clause))
        return [
            Mention(sentence, Sort.DENIED, sites, certainty=certainty_of(clause), partial=partial)
        ]
    certainty, acuity = certainty_of(clause), acuity_of(clause)
    dismissal = _dismissal(sentence.plain, clause, certainty)
    if dismissal is not None:
        return [Mention(sentence, dismissal, sites)]
    if acuity is Acuity.UNSTATED and restricted is None and _LACUNE.search(clause):
        acuity = Acuity.CHRONIC  # "lacunes" alone are what small infarcts leave behind
    lateralities = [_laterality(clause, group) for group in _groups(clause, sites)]
    found = [
        Mention(
            sentence,
            Sort.PRESENT,
            group,
            side,
            acuity,
            certainty,
            restricted is not None,
            bool(_PLURAL.search(clause)) or side is Laterality.BILATERAL,
            _stated_type(clause),
            stated_class(clause),
        )
        for group, side in zip(_groups(clause, sites), lateralities, strict=True)
    ] or [Mention(sentence, Sort.PRESENT, (), None, acuity, certainty, restricted is not None)]
    if is_acute_on_chronic(clause):
        found.append(Mention(sentence, Sort.PRESENT, sites, acuity=Acuity.CHRONIC))
    return found


def _dismissal(plain: str, clause: str, certainty: Certainty) -> Sort | None:
    """Say why a bright spot is no infarct, or None."""
    if _NOT_ISCHEMIC.search(clause) and not _INFARCT.search(clause):
        return Sort.NOT_ISCHEMIC
    named_infarct = _INFARCT.search(clause)
    if named_infarct is None and _NO_ADC_DROP.search(plain):
        return Sort.DISMISSED
    if _ARTIFACT.search(plain) and certainty is not Certainty.POSSIBLE and named_infarct is None:
        return Sort.DISMISSED
    return None


def _groups(clause: str, sites: tuple[Site, ...]) -> list[tuple[Site, ...]]:
    """Put the places of a clause together, one group an infarct, the leading place first."""
    groups: list[list[Site]] = []
    for site in sorted(sites, key=lambda site: -site.kind):
        side = _side_of(clause, site)
        for group in groups:
            apart = site.territory is not group[0].territory and (
                not {None, "both"} & {side, _side_of(clause, group[0])}
                and side != _side_of(clause, group[0])
            )
            if is_covered(site, group[0]) and not apart:
                group.append(site)
                break
        else:
            groups.append([site])
    return [tuple(group) for group in groups]


def _side_of(clause: str, site: Site) -> str | None:
    """Return the side word that a place goes with: the last before it, else the first after."""
    words = list(_SIDE.finditer(clause))
    before = [word.group() for word in words if word.end() <= site.start]
    after = [word.group() for word in words if word.start() >= site.end]
    return before[-1] if before else after[0] if after else None


def _laterality(clause: str, group: tuple[Site, ...]) -> Laterality | None:
    found = (_side_of(clause, site) for site in group)
    sides = {side for side in found if side is not None}
    if "both" in sides or len(sides) == 2:
        return Laterality.BILATERAL
    return Laterality(sides.pop()) if sides else None


def _stated_type(clause: str) -> InfarctType | None:
    """Return the first type of `_TYPES` whose words the clause holds."""
    return next((kind for kind, words in _TYPES if words.search(clause)), None)


def mentions_perfusion_only(plain: str) -> bool:
    """Whether a sentence speaks of perfusion and of no infarct."""
    return bool(_PERFUSION.search(plain)) and not _INFARCT.search(plain)
