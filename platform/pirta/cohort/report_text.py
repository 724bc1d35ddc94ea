"""Raw radiology reports for phantom cases, in the manner of the paper's Table 1.

Varied, terse and abbreviated as such reports are ("Lt. precentral gyrus", "R/O", "→"). Each
names structures that lie in the finding's territory and on its side, and says as much of its
size and brightness as the finding does. The structured sentence that the paper makes of such a
text is `Finding.sentence`; this module writes the text only and looks at no image.
"""

from __future__ import annotations

import numpy as np

from pirta.contracts.finding import Finding, InfarctType, Laterality, LesionClass, Territory

# What a lesion of a whole vessel's field involves together.
_LARGE_SITES: dict[Territory, tuple[str, ...]] = {
    Territory.ANTERIOR: (
        "MCA territory including frontal, insular and temporal cortices",
        "fronto-parietal lobe and insula",
        "fronto-temporo-parietal area",
        "ACA territory including superior frontal and cingulate gyri",
        "MCA superior division territory",
    ),
    Territory.DEEP_GRAY: (
        "basal ganglia and thalamus",
        "lentiform nucleus, caudate and internal capsule",
    ),
    Territory.POSTERIOR: (
        "PCA territory including occipital and medial temporal lobes",
        "cerebellar hemisphere, PICA territory",
        "cerebellar hemisphere, SCA territory",
        "occipital lobe and posterior thalamus",
    ),
}
# Cortex, where a branch's wedge lies; deep nuclei have no wedge and take their own names.
_SURFACE_SITES: dict[Territory, tuple[str, ...]] = {
    Territory.ANTERIOR: (
        "superior frontal gyrus",
        "precentral gyrus",
        "middle frontal gyrus",
        "inferior parietal lobule",
        "postcentral gyrus",
        "insular cortex",
        "superior temporal gyrus",
    ),
    Territory.DEEP_GRAY: ("basal ganglia", "putamen", "thalamus", "caudate head"),
    Territory.POSTERIOR: (
        "inferior cerebellum",
        "superior cerebellum",
        "occipital lobe",
        "lingual gyrus",
        "medial temporal lobe",
    ),
}
# Where perforating arteries end, and lacunes lie.
_PERFORATOR_SITES: dict[Territory, tuple[str, ...]] = {
    Territory.ANTERIOR: ("centrum semiovale", "corona radiata"),
    Territory.DEEP_GRAY: (
        "basal ganglia",
        "putamen",
        "thalamus",
        "globus pallidus",
        "internal capsule posterior limb",
    ),
    Territory.POSTERIOR: ("paramedian pons", "lateral medulla", "midbrain"),
}
_STRIATO_CAPSULAR_SITES = (
    "striato-capsular area",
    "putamen and internal capsule",
    "caudate nucleus and anterior limb of internal capsule",
    "lenticulostriate territory",
)

_SIDE_WORDS: dict[Laterality, tuple[str, ...]] = {
    Laterality.LEFT: ("Lt.", "left"),
    Laterality.RIGHT: ("Rt.", "right"),
    Laterality.BILATERAL: ("both", "bilateral"),
}
_EXTENT: dict[InfarctType, tuple[str, ...]] = {
    InfarctType.LARGE_VASCULAR: ("Large", "Extensive", "Large territorial"),
    InfarctType.WEDGE_VASCULAR: ("Wedge-shaped", "Wedge shaped cortical"),
    InfarctType.SMALL_LACUNE: ("Lacunar", "Small lacunar", "Small ovoid"),
    InfarctType.SMALL_STRIATO_CAPSULAR: ("Small", "Comma-shaped small"),
    InfarctType.SMALL: ("Small", "Tiny", "Punctate"),
}
_BRIGHTNESS: dict[LesionClass, tuple[str, ...]] = {
    LesionClass.STRONG: ("strong ", "marked ", "definite ", ""),
    LesionClass.MILD: ("mild ", "subtle ", "faint ", ""),
}
_OPENINGS = (
    "{extent} {brightness}diffusion restriction in {site}.",
    "{extent} {brightness}diffusion restriction involving {site}.",
    "{extent} {brightness}diffusion restricted lesion in {site}.",
    "{extent} {brightness}high SI on DWI with low ADC in {site}.",
)
_SIGNS: dict[LesionClass, tuple[str, ...]] = {
    LesionClass.STRONG: (
        "- with T2 hyperintense change",
        "- T2 high SI, no hemorrhage.",
        "- no definite T2 hyperintense change",
        "- low ADC, no hemorrhagic transformation.",
        "- mild mass effect, no midline shifting.",
    ),
    LesionClass.MILD: (
        "- with T2 hyperintense change",
        "- T2 high SI, no hemorrhage.",
        "- no definite T2 hyperintense change",
        "- slightly decreased ADC.",
    ),
}
_CONCLUSIONS = (
    "→ Acute infarction",
    "→ R/O Acute infarction",
    "- r/o hyperacute infarctions",
    "→ Recent infarction",
    "Conclusion: acute infarction.",
)
_NORMAL_OPENINGS = (
    "No diffusion restriction.",
    "No evidence of acute infarction on DWI.",
    "No abnormal diffusion restriction in brain parenchyma.",
    "No acute diffusion restricted lesion.",
    "Unremarkable DWI and ADC map.",
)
_NORMAL_REMARKS = (
    "- Mild small vessel disease in both cerebral white matter.",
    "- No hemorrhage.",
    "- Mild brain atrophy.",
    "- Old lacunar infarct, no interval change.",
    "- No intracranial mass or midline shifting.",
    "- Normal ventricle size.",
)
_NORMAL_CONCLUSIONS = (
    "→ No acute infarction",
    "→ No acute lesion",
    "Conclusion: no acute infarction.",
    "→ Unremarkable",
)


def raw_report(rng: np.random.Generator, finding: Finding | None) -> str:
    """Return a raw report of a few lines; None is a study without an acute infarct."""
    if finding is None:
        return _normal_report(rng)
    lines = [_opening(rng, finding)]
    if finding.multifocal:
        lines.append(_further_lesions(rng, finding))
    if rng.random() < 0.8:
        lines.append(_pick(rng, _SIGNS[finding.lesion_class]))
    lines.append(_pick(rng, _CONCLUSIONS))
    return "\n".join(lines)


def _normal_report(rng: np.random.Generator) -> str:
    lines = [_pick(rng, _NORMAL_OPENINGS)]
    count = int(rng.integers(0, 3))
    lines += [_NORMAL_REMARKS[i] for i in rng.permutation(len(_NORMAL_REMARKS))[:count]]
    if rng.random() < 0.7:
        lines.append(_pick(rng, _NORMAL_CONCLUSIONS))
    return "\n".join(lines)


def _opening(rng: np.random.Generator, finding: Finding) -> str:
    return _pick(rng, _OPENINGS).format(
        extent=_pick(rng, _EXTENT[finding.infarct_type]),
        brightness=_pick(rng, _BRIGHTNESS[finding.lesion_class]),
        site=_sites(rng, finding),
    )


def _further_lesions(rng: np.random.Generator, finding: Finding) -> str:
    site = _sided(rng, finding, _pick(rng, _SURFACE_SITES[finding.territory]))
    first = _pick(rng, ("Additional tiny", "A few small", "Multifocal tiny", "Scattered tiny"))
    return f"{first} diffusion restricted lesions in {site}"


def _sites(rng: np.random.Generator, finding: Finding) -> str:
    """One or two structures of the territory, each with its side, as "a and b"."""
    names = _names(finding)
    count = 2 if finding.infarct_type is InfarctType.WEDGE_VASCULAR and rng.random() < 0.4 else 1
    chosen = [names[i] for i in rng.permutation(len(names))[:count]]
    return " and ".join(_sided(rng, finding, name) for name in chosen)


def _names(finding: Finding) -> tuple[str, ...]:
    """The structures that this type of infarct may lie in."""
    territory = finding.territory
    match finding.infarct_type:
        case InfarctType.LARGE_VASCULAR:
            return _LARGE_SITES[territory]
        case InfarctType.WEDGE_VASCULAR:
            return _SURFACE_SITES[territory]
        case InfarctType.SMALL_LACUNE:
            return _PERFORATOR_SITES[territory]
        case InfarctType.SMALL_STRIATO_CAPSULAR:
            deep = territory is Territory.DEEP_GRAY
            return _STRIATO_CAPSULAR_SITES if deep else _PERFORATOR_SITES[territory]
        case InfarctType.SMALL:
            return _SURFACE_SITES[territory] + _PERFORATOR_SITES[territory]


def _sided(rng: np.random.Generator, finding: Finding, site: str) -> str:
    if finding.laterality is None:
        return site
    return f"{_pick(rng, _SIDE_WORDS[finding.laterality])} {site}"


def _pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    return choices[int(rng.integers(len(choices)))]
