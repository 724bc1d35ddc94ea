"""The lexicon of places: which words of a report lie in which of the paper's territories.

The paper names its territories and defines none. What it shows: cerebellum is posterior and basal
ganglia are deep gray (Table 1), insula, frontal operculum and amygdala are anterior (section
3.2.2). The rest follows arterial supply. Deep gray holds the nuclei and the capsules between
them. White matter that no nucleus names (corona radiata, centrum semiovale, border zones) is
anterior, as in this project's phantoms, and yields to any other place named with it; as does a
place that two arteries share. Such places are `SHARED` and carry a doubt.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from pirta.contracts.finding import Territory


class Kind(IntEnum):
    """What sort of place it is: the larger wins where one lesion covers several."""

    SHARED = 0
    NUCLEUS = 1
    SURFACE = 2
    VESSEL = 3


@dataclass(frozen=True)
class Site:
    """A place named in a sentence, with its position there."""

    name: str
    territory: Territory
    kind: Kind
    start: int
    end: int


_ANTERIOR: Final = Territory.ANTERIOR
_DEEP: Final = Territory.DEEP_GRAY
_POSTERIOR: Final = Territory.POSTERIOR

# Patterns run over lower-case text. Of matches that overlap, the longest counts.
_PLACES: Final[dict[tuple[Territory, Kind], tuple[str, ...]]] = {
    (_ANTERIOR, Kind.VESSEL): (
        "mcas?", "middle cerebral arter(?:y|ies)", "acas?", "anterior cerebral arter(?:y|ies)",
        "ica", "internal carotid artery", "anterior circulation", "[ma][1-4]",
    ),
    (_DEEP, Kind.VESSEL): (
        "(?:anterior )?choroidal artery", "acha", "lenticulostriate", "deep gr[ae]y(?: matter)?",
    ),
    (_POSTERIOR, Kind.VESSEL): (
        "pcas?", "posterior cerebral arter(?:y|ies)", "pica", "aica", "sca",
        "(?:superior|posterior inferior|anterior inferior) cerebellar artery",
        "p[1-4]", "vertebrobasilar", "basilar(?: tip| artery)?", "posterior circulation",
    ),
    (_ANTERIOR, Kind.SURFACE): (
        "(?:superior|middle|inferior) frontal", "frontal", "fronto ?parietal", "fronto ?temporal",
        "fronto ?temporo ?parietal", "temporo ?parietal", "temporal", "parietal", "insulas?",
        "insular", "opercul(?:um|ar)", "sylvian", "pre ?central", "post ?central", "paracentral",
        "supramarginal", "angular gyrus", "cingulate", "precuneus", "convexity", "motor cortex",
        "hand knob", "perirolandic", "amygdala", "heschl", "orbitofrontal", "gyrus rectus",
    ),
    (_POSTERIOR, Kind.SURFACE): (
        "occipital", "cerebell(?:um|ar|i)", "vermis", "tonsil", "pons", "pontine", "ponto",
        "medullary", "medulla(?: oblongata)?", "mid ?brain", "brain ?stem", "cerebral peduncle",
        "tegmentum", "tectum", "hippocamp(?:us|al|i)", "parahippocampal", "medial temporal",
        "mesial temporal", "fusiform", "lingual", "cuneus", "calcarine", "splenium",
        "infratentorial",
    ),
    (_DEEP, Kind.NUCLEUS): (
        "basal ganglia", "basal ganglion", "bg", "putam(?:en|inal)", "caudate", "caudo ?putaminal",
        "lentiform", "lenticular", "lenti ?capsular", "glob(?:us|i) pallid(?:us|i)", "pallidum",
        "striat(?:um|al)", "striato ?capsular", "thalam(?:us|i|ic)", "thalamo ?capsular",
        "hypothalamus", "subthalamic", "internal capsules?", "internal capsular", "capsular",
        "plic", "ic", "external capsule", "claustrum", "percheron",
    ),
    (_ANTERIOR, Kind.SHARED): (
        "corona radiata", "cr", "centrum semiovale", "cso", "border ?zones?", "watershed",
        "periventricular", "deep white matter", "subcortical white matter", "cerebral hemispheres?",
        "corpus callosum", "genu of(?: the)? corpus callosum",
    ),
    (_POSTERIOR, Kind.SHARED): (
        "parieto ?occipital", "occipito ?parietal", "temporo ?occipital", "occipito ?temporal",
    ),
}  # fmt: skip

_SITE_OF_PATTERN: Final = tuple(
    (re.compile(rf"\b(?:{'|'.join(patterns)})\b"), territory, kind)
    for (territory, kind), patterns in _PLACES.items()
)
# The vessel itself, and not the tissue it feeds.
_VESSEL_TROUBLE: Final = r"occlu\w+|steno\w+|aneurysm\w*|dissection|thromb\w+|narrowing|hypoplasia"
_AFTER_VESSEL: Final = re.compile(rf"\W{{0,3}}(?:m1 |artery |segment )?(?:{_VESSEL_TROUBLE})")
_BEFORE_VESSEL: Final = re.compile(
    rf"(?:{_VESSEL_TROUBLE}) (?:of|in|at) (?:the )?(?:(?:left|right|both|proximal|distal) ){{0,2}}$"
)

# What a named vessel may feed beside its own territory.
_FED_ALSO: Final = {
    _ANTERIOR: frozenset({_ANTERIOR, _DEEP}),
    _DEEP: frozenset({_DEEP}),
    _POSTERIOR: frozenset({_POSTERIOR}),
}


def find_sites(text: str) -> tuple[Site, ...]:
    """Return the places named in lower-case `text`, in order, none inside another."""
    found = [
        Site(match.group(), territory, kind, match.start(), match.end())
        for pattern, territory, kind in _SITE_OF_PATTERN
        for match in pattern.finditer(text)
    ]
    kept: list[Site] = []
    for site in sorted(found, key=lambda site: (site.start - site.end, site.start)):
        apart = all(site.end <= other.start or site.start >= other.end for other in kept)
        if apart and not _is_vessel_trouble(site, text):
            kept.append(site)
    return tuple(sorted(kept, key=lambda site: site.start))


def is_covered(site: Site, leading: Site) -> bool:
    """Whether `site` can belong to the same infarct as the more telling `leading` place."""
    if site.territory is leading.territory or site.kind is Kind.SHARED:
        return True
    if leading.kind is Kind.VESSEL:
        fed = site.territory in _FED_ALSO[leading.territory]
        thalamus = leading.territory is _POSTERIOR and site.name.startswith("thalam")
        temporal = leading.territory is _POSTERIOR and site.name == "temporal"
        return fed or thalamus or temporal
    if leading.kind is Kind.SURFACE:
        if leading.territory is _POSTERIOR:
            return site.name.startswith("thalam")
        return site.territory is _DEEP
    return False


def lexicon_words() -> frozenset[str]:
    """Return the plain words of the lexicon, for the spelling rule."""
    words = (
        word
        for patterns in _PLACES.values()
        for pattern in patterns
        for word in re.findall(r"[a-z]{5,}", re.sub(r"\(\?:[^)]*\)", " ", pattern))
    )
    return frozenset(words) | _WRITTEN_OUT


# Words that stand in the patterns with alternative endings.
_WRITTEN_OUT: Final = frozenset(
    {
        "cerebellum", "cerebellar", "thalamus", "thalamic", "thalami", "hippocampus", "operculum",
        "hippocampal", "putamen", "striatum", "striatal", "medulla", "medullary", "globus",
        "pallidus", "ganglia", "insular", "artery", "superior", "inferior", "middle", "anterior",
        "posterior", "capsule", "frontal", "striatocapsular", "precentral", "postcentral",
    }
)  # fmt: skip


def _is_vessel_trouble(site: Site, text: str) -> bool:
    if site.kind is not Kind.VESSEL:
        return False
    return bool(_AFTER_VESSEL.match(text, site.end) or _BEFORE_VESSEL.search(text[: site.start]))
