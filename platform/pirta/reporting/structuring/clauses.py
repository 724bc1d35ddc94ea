"""Where one statement of a sentence ends, and what its words assert: denied, likely, old or new.

In the manner of NegEx (Chapman et al. 2001, J Biomed Inform 34:301): triggers before or after,
words that only look like triggers, and terminators. A clause is the scope. It ends at "but",
"except", a semicolon, before "no" or "without", and before a second infarct of another age.
"r/o" is no denial: in the reports that the paper quotes it stands before the diagnosis that
the reader proposes (Table 1, examples 2 and 3).
"""

from __future__ import annotations

import re
from typing import Final

from pirta.reporting.structuring.anatomy import find_sites
from pirta.reporting.structuring.result import Acuity, Certainty

_LOOKS_LIKE_DENIAL: Final = re.compile(
    r"\b(?:no|without) (?:\w+ ){0,2}(?:interval )?(?:change|increase|decrease|progression)s?"
    r"(?: of| in)?"
    r"|\bnot only\b|\b(?:not|cannot|can't|couldn't) (?:be )?(?:\w+ )?(?:excluded|ruled out)\b"
    r"|\bnot (?:\w+ )?(?:seen|visible|evident|apparent|present|identified) (?:on|in|by) (?:the )?"
    r"(?:(?:prior|previous|initial|recent) )?(?:ct|flair|t2\w*|mra|scan|study|mri|exam\w*)\b"
)
_HARD_END: Final = re.compile(
    r";|,? ?\bbut\b|,? ?\bhowever\b|,? ?\balthough\b|\bother than\b|\bapart from\b|\baside from\b"
    r"|,? ?\bexcept(?:ing)?(?: for)?\b|\bsuperimposed (?:on|upon)\b"
)
_ASIDE: Final = re.compile(r", (?:al)?though \w+(?: \w+){0,2},")
_DENIAL_BEGINS: Final = re.compile(r"(?:, | with )(?=(?:no|without|nothing)\b)| (?=without\b)")
_AGE_WORDS: Final = (
    r"old|chronic|remote|previous|prior|acute|recent|new|subacute|hyperacute|another|additional"
)
_OTHER_AGE: Final = re.compile(
    rf"(?:,| with| and|, and)(?= (?:an? |the )?(?:multiple |small |tiny )?(?:{_AGE_WORDS})\b"
    r"[^,]{0,40}(?:infarct|lacun|stroke|ischemi|diffusion))"
)
_LESION_WORD: Final = re.compile(r"\b(?:infarct|lacun|stroke|ischemi|diffusion|dwi|hemorrhage)")
_LIST_WORD: Final = re.compile(r"\b(?:or|nor)\b")
_DENIED_START: Final = re.compile(r"^(?:there (?:is|are) )?(?:no|without|neither)\b")
_COMMA: Final = re.compile(r", (?!and\b|or\b)")
_NEW_STATEMENT: Final = re.compile(
    r"^(?:a|an|the|there|acute|subacute|old)\b.*\b(?:in|at|of|involving|along)\b"
)

_DENIED_BEFORE: Final = re.compile(
    r"\b(?:no|without|negative (?:\w+ )?for|absence of|resolution of|neither|nor"
    r"|free of|lack of|rather than|not"
    r"|never|denies|devoid of|ruled out)\b"
)
_DENIED_AFTER: Final = re.compile(
    r"^\W{0,3}\((?:-|−|–)\)|^\s*:? ?(?:none|negative|absent|nil)\b"
    r"|\bnot (?:\w+ )?(?:seen|identified|noted|evident|demonstrated|detected|present|visible"
    r"|found|observed|apparent|appreciated)\b"
    r"|\b(?:has|have|was|were|is|are|been) (?:been )?"
    r"(?:ruled out|excluded|resolved|absent|unlikely)"
    r"|\bruled out\b|\bresolved\b|\bno longer\b|\bdisappeared\b|^ ?unlikely\b"
)

_POSSIBLE: Final = re.compile(
    r"\bquestionable\b|\bequivocal\b|\bpossib\w+|\b(?:not|cannot|can not|can't|couldn't)"
    r" (?:be )?(?:entirely |completely )?(?:exclude\w*|rule[d]? out)|\bcould be\b|\bmay be\b"
    r"|\bmight\b|\bmay represent\b|\b(?:vs|versus|ddx|d dx)\b|\bindetermina\w+|\bdoubtful\b"
    r"|\bambiguous\b"
)
_PROBABLE: Final = re.compile(
    r"\bsuspected\b|\bsuspicious\b|\bsuspicion\b|\bprobabl\w+|\blikely\b|\bsuggest\w+"
    r"|\bpresumed\b|\bconsidered\b|\bsuspect\b|\bfavou?r\w*"
)

_EVOLVED: Final = re.compile(r"\b(?:evolved|evolving|progressed) (?:in)?to (?:a |the )?chronic")
_ACUTE_ON_CHRONIC: Final = re.compile(r"\bacute (?:on|over) chronic\b")
_SUBACUTE: Final = re.compile(r"\bsub ?acute\b")
_ACUTE: Final = re.compile(
    r"(?<!sub )(?<!sub)\b(?:hyper ?acute|acute|recent|new|newly|fresh|early ischemi\w+"
    r"|cytotoxic edema)\b"
)
_CHRONIC: Final = re.compile(
    r"\bold\b|\bestablished\b|\bmature\b|\bchronic\b|\bremote\b|\bencephalomalac\w+|\bgliosis\b|\bcerebromalac\w+"
    r"|\bsequelae?\b|\bprevious(?:ly)?\b|\bprior\b|\bhealed\b|\blong ?standing\b"
)


def split_clauses(plain: str) -> tuple[str, ...]:
    """Return the statements of a sentence in normal form, in order, none empty."""
    clauses: list[str] = []
    for part in _HARD_END.split(_ASIDE.sub(" ", plain)):
        for piece in _DENIAL_BEGINS.split(part):
            for statement in _split_ages(piece):
                clauses += _end_denial_at_comma(statement)
    return tuple(clause.strip(" ,") for clause in clauses if clause.strip(" ,"))


def is_denied(clause: str, end: int) -> bool:
    """Whether the words of a clause that end at `end` are denied in it."""
    before = _LOOKS_LIKE_DENIAL.sub(" ", clause[:end])  # "diffusion shows no abnormal signal"
    after = _LOOKS_LIKE_DENIAL.sub(" ", clause[end:])
    return bool(_DENIED_BEFORE.search(before) or _DENIED_AFTER.search(after))


def certainty_of(clause: str) -> Certainty:
    """Return how firmly a clause states what it states."""
    if _POSSIBLE.search(clause):
        return Certainty.POSSIBLE
    return Certainty.PROBABLE if _PROBABLE.search(clause) else Certainty.STATED


def acuity_of(clause: str) -> Acuity:
    """Return the stage that a clause names; `UNSTATED` where it names none."""
    if _EVOLVED.search(clause):
        return Acuity.CHRONIC
    if _SUBACUTE.search(clause) and not re.search(r"\bacute (?:or|to|and|and or)\b", clause):
        return Acuity.SUBACUTE
    if _ACUTE.search(clause):
        return Acuity.ACUTE
    return Acuity.CHRONIC if _CHRONIC.search(clause) else Acuity.UNSTATED


def is_acute_on_chronic(clause: str) -> bool:
    """Whether one place holds a recent infarct within an old one."""
    return bool(_ACUTE_ON_CHRONIC.search(clause))


def _split_ages(piece: str) -> list[str]:
    """Cut before an infarct of another age, but not "basal ganglia, acute infarct"."""
    pieces, start = [], 0
    for mark in _OTHER_AGE.finditer(piece):
        if _LESION_WORD.search(piece, start, mark.start()) and _stands_alone(
            piece[start : mark.start()], piece[mark.end() :]
        ):
            pieces.append(piece[start : mark.start()])
            start = mark.end()
    return [*pieces, piece[start:]]


def _stands_alone(before: str, after: str) -> bool:
    """Whether what follows names a place of its own or another age; else it concludes."""
    ages = {acuity_of(before) is Acuity.CHRONIC, acuity_of(after) is Acuity.CHRONIC}
    return len(ages) == 2 or bool(find_sites(after))


def _end_denial_at_comma(statement: str) -> list[str]:
    """Cut "no hemorrhage, acute infarct in the insula", but not "no mass, bleeding or infarct"."""
    if not _DENIED_START.match(statement):
        return [statement]
    for comma in _COMMA.finditer(statement):
        rest = statement[comma.end() :]
        if not _LIST_WORD.search(rest) and _NEW_STATEMENT.match(rest):
            return [statement[: comma.start()], rest]
    return [statement]
