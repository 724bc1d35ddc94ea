"""The patterns of `deidentify`: each names its identifier `id`, what stands around it is kept.

Labels ("MRN:", "Dr.", "병원:") are the strongest sign, forms (a date, an e-mail) the next. Dates
need a form that no measurement has: "5/17/19" is one, "4/5" (muscle grade) is not.
"""

from __future__ import annotations

import re
from typing import Final

_MONTH: Final = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?"
    r"|Sept?(?:ember)?|Oct(?:ober)?|Nov(?:ember)?|Dec(?:ember)?)\b\.?"
)
_YEAR: Final = r"(?:19|20)\d\d"
_MM: Final = r"(?:1[0-2]|0?[1-9])"
_DD: Final = r"(?:3[01]|[12]\d|0?[1-9])"
_DAY: Final = rf"{_DD}(?:st|nd|rd|th)?"
_CLOCK: Final = r"(?:T\d\d:\d\d(?::\d\d)?)?"

DATES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?P<id>{_YEAR}(?P<sign>[-/]){_MM}(?P=sign){_DD}{_CLOCK})(?!\d)",
        rf"\b(?P<id>{_YEAR}\. ?{_MM}\. ?{_DD}\.?)(?!\d)",
        rf"(?<![\d.])(?P<id>{_DD}[-/.]{_DD}[-/.]{_YEAR})(?!\d)",
        rf"(?<![\d.])(?P<id>{_DD}(?P<sign>[-/]){_DD}(?P=sign)\d\d)"
        r"(?![\d/-])",
        r"(?<![\w.-])(?P<id>(?:19|20)\d\d(?:1[0-2]|0[1-9])(?:3[01]|[12]\d|0[1-9]))(?![\w-])",
        rf"(?i:\b(?P<id>{_DAY}(?: of)?[ -]{_MONTH},?[ -](?:{_YEAR}|\d\d)))(?!\d)",
        rf"(?i:\b(?P<id>{_MONTH} {_DAY},? {_YEAR}))\b",
        rf"\b(?P<id>{_MONTH} {_DD}(?:st|nd|rd|th)?)\b(?![./]\d|\s?(?:mm|cm|mL|%))",
        rf"\b(?P<id>{_DAY} (?:of )?{_MONTH})(?=[\s.,;)]|$)",
        rf"\b(?P<id>{_MONTH} {_YEAR})\b",
        rf"(?<![\d/])(?P<id>{_MM}/{_YEAR})(?!\d)",
        rf"(?P<id>(?:{_YEAR}년 ?)?{_MM}월(?: ?{_DD}일)?)",
        rf"(?P<id>{_YEAR}년)",
    )
)

_NUMBER_LABEL: Final = (
    r"(?:\bMRN\b|\bmedical record\b|\bchart\b|\bhospital (?:number|no|id)\b|\baccession\b"
    r"|\bacc\b(?=\.?#| ?no)"
    r"|\border id\b|\bstudy (?:u?id|no)\b|\bpatient (?:id|no|number)\b|\bpt\.? id\b|\binsurance\b"
    r"|\bpassport\b|\bssn\b|\brrn\b|\bid(?=\s{0,3}[:#])|등록번호|병록번호|환자번호|차트번호|접수번호"
    r"|주민등록번호|주민번호|검사번호)"
)
NUMBERS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        # An identifier after a label holds at least three digits.
        rf"(?i:{_NUMBER_LABEL}(?:\s?(?:number|no|id))?\.?\s?[:#=]?\s?)"
        r"(?P<id>(?=[\w.*-]{0,12}\d[\w.*-]{0,12}\d)[A-Za-z0-9][\w*-]{2,40}(?:\.\d{1,16}){0,16})",
        r"(?<![\d-])(?P<id>\d{6}-[1-8][\d*]{6})(?![\d-])",
        r"(?<![\d-])(?P<id>\d{3}-\d{2}-\d{4})(?![\d-])",
        r"(?<![\d.])(?P<id>[12]\.\d{1,8}(?:\.\d{1,16}){4,16})",
        r"(?<![\d.])(?P<id>\d{1,3}\.\d{1,3}\.\d{1,3}\.\d{1,3})(?![\d.])",
        r"(?<![\w.-])(?P<id>\d{7,12})(?![\w.-]|\s?(?:mm|cm|mL))",
        r"(?<![\w.-])(?P<id>[A-Z]{1,4}-?\d{6,12})(?![\w-])",
    )
)

CONTACTS: Final = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            "email",
            r"(?<![\w.+-])(?P<id>[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6})",
        ),
        ("url", r"\b(?:https?|ftp)://(?P<id>[^\s<>\"')]{1,300})"),
        ("phone", r"(?<![\w-])(?P<id>\+\d{1,3}[ -]?\(?\d{1,4}\)?[ -]\d{3,4}[ -]\d{4})(?!\d)"),
        ("phone", r"(?<![\w-])(?P<id>\+\d{1,3} \d{1,3} \d{3,4} \d{3,4})(?!\d)"),
        (
            "phone",
            r"(?<![\w.-])(?P<id>(?:1-)?(?:\(\d{2,4}\) ?|\d{2,4}[- ])\d{3,4}[- ]\d{4})(?![\w-])",
        ),
        (
            "phone",
            r"(?i:\b(?:pager|ext|tel|phone|fax|mobile)\b\.?\s?[:#]?\s?)(?P<id>\d[\d -]{2,14}\d)",
        ),
    )
)

# A name's words begin with a capital, or are Hangul; "Lee, Sang-min" and "J. Okafor" are names.
_WORD: Final = (
    r"(?:(?:[A-Z]\.){1,3}"
    r"|(?:[A-Z][a-z]{0,20}(?:['’-][A-Za-z][a-z]{1,20}){0,2}|[A-Z]{2,20})(?![A-Za-z]))"
)
_PARTICLE: Final = r"(?:van|von|der|den|de|di|da|del|la|le|bin|al)"
_NOT_A_NAME: Final = (
    r"(?!(?:Dr|Prof|MRN|MRI|DOB|ID|Age|Sex|No|Not|Is|Was|The|Findings|History|Address|Name|Unknown|None"
    r"|Acute|Chronic|Old|Stable|Alert|HTN|DM|CT|DWI|ADC|Male|Female|Left|Right|Lt|Rt)\b)"
)
# A title before and a degree after a name are no part of it.
_STOP: Final = r"(?:MD|M\.D\.|PhD|DO|RN|MRN|DOB|ID|Age|Sex|RRN|SSN|Tel|Phone|Exam|Date|F|M)"
_FULL_NAME: Final = (
    rf"{_NOT_A_NAME}(?:{_PARTICLE} ){{0,2}}{_WORD}"
    rf"(?:,? (?!{_STOP}(?![a-z]))(?:{_PARTICLE} ){{0,2}}{_WORD}){{0,3}}"
)
_HANGUL_NAME: Final = r"[가-힣]{2,4}"
_SURNAME: Final = (
    r"[김이박최정강조윤장임한오서신권황안송류전홍고문양손배백허유남심노하곽성차주우구민"
    r"진지엄채원천방공현함변염여추도소석선설마길연위표명기반왕금옥육인맹제모탁국어은편용]"
)
_NAME_LABEL: Final = (
    r"(?:patient(?:'s)? name|pt\.? name|name|patient|attending|referring (?:doctor|physician)"
    r"|ordering (?:doctor|physician)|physician|doctor|radiologist|reader|technologist|surgeon"
    r"|guardian|next of kin)"
)
_SIGNATURE: Final = (
    r"(?:dictated|reviewed|approved|signed|verified|reported|read|transcribed|interpreted"
    r"|requested|ordered) by"
)

NAMES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"\b(?:Dr|Drs|Prof|Mr|Mrs|Ms|Miss|Mx|Professor|Doctor)\b\.? (?P<id>{_FULL_NAME})",
        rf"\bDrs\.? \x00{{1,80}} and (?P<id>{_FULL_NAME})",
        rf"\b(?i:{_NAME_LABEL})\s?:\s{{0,3}}(?P<id>{_FULL_NAME})",
        rf"\b(?i:{_SIGNATURE})\s?:?\s{{0,3}}(?i:(?:dr|prof)\.? )?(?P<id>{_FULL_NAME})",
        rf"(?:^|(?<=\n))Name (?P<id>{_FULL_NAME})",
        r"\b(?i:patient(?:'s)? name|pt\.? name)\s?[:=]\s{0,3}(?P<id>[^\W\d_]{2,20})",
        r"(?<![A-Za-z])(?P<id>[A-Za-z]{2,20}\^[A-Za-z]{2,20})",  # DICOM's way of writing a name
        rf"(?P<id>{_WORD}(?: {_WORD}){{1,2}}), (?:MD|M\.D\.|PhD|DO)\b",
        rf"(?:이름|성명|환자명|환자|담당의|의뢰의사?|판독의|주치의|보호자|교수|의사)\s?:\s?(?P<id>{_HANGUL_NAME})",
        rf"(?<![가-힣])(?P<id>{_SURNAME}[가-힣]{{1,2}})"
        r"(?= ?(?:님|교수|선생|전문의|씨)(?![가-힣]{3}))",
    )
)

PLACES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"\b(?i:address|residence)\s?:\s?(?P<id>[^\n;.]{3,80})",
        r"(?:주소|거주지)\s?:\s?(?P<id>[^\n;.]{3,80})",
        r"\b(?i:hospital|institution|facility|clinic)\s?:\s?(?P<id>[A-Z][^\n;.,]{2,60})",
        r"병원\s?:\s?(?P<id>[가-힣]{2,12})",
        r"(?<![가-힣])(?P<id>[가-힣]{1,10}(?:대학교|대학)?(?:병원|의원|의료원))",
        r"\b(?P<id>(?:(?:[A-Z][\w'’-]{1,24}|St\.|of) ){0,4}(?:[A-Z][\w'’-]{1,24}) "
        r"(?:Hospital|Medical Center|Medical Centre|Clinic|Infirmary|Health Center))\b",
    )
)

AGES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"(?<![\w.])(?P<id>\d{2,3})(?=[- ]?(?:years?|yrs?)[- ]?olds?\b| ?y/?o\b|세)",
        r"\b(?i:age|aged)\s?:?\s(?P<id>\d{2,3})\b(?! ?(?:mm|%))",
    )
)
