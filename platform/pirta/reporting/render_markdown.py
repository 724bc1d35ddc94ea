"""A report as Markdown (CommonMark with tables), for a chat, a ticket or a file beside the study.

All text from outside is escaped, so that a history cannot become a heading, a link or a cell
border. Same order as the plain text: disclaimer, mode, warnings, the five parts, the evidence.
"""

from __future__ import annotations

import re

from pirta.contracts.report import Report
from pirta.reporting.cautions import spoken
from pirta.reporting.render import classifier_text, mode_notice, origin_text, report_parts
from pirta.reporting.untrusted_text import shown_text

# Every ASCII sign that CommonMark can read as markup and lets be escaped. A full stop, a colon
# and a comma mean nothing inside a line that begins with our own words, but for bare addresses,
# which GitHub's dialect makes links of.
_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+!|~&$@-]|:(?=//)|(?<=www)\.)", re.IGNORECASE)


def render_markdown(report: Report) -> str:
    """Return the report as Markdown, with a line break at its end."""
    blocks = [
        f"# Report of {escaped(report.study_id)}",
        f"> **{escaped(report.disclaimer)}**",
        *_notices(report),
        "\n".join(f"- **{title}:** {escaped(text)}" for title, text in report_parts(report)),
        _judgement(report),
        "## Similar patient reports",
        _evidence_table(report),
        f"---\n\n{escaped(origin_text(report))}",
    ]
    return "\n\n".join(blocks) + "\n"


def escaped(text: str) -> str:
    """Return text that Markdown shows to the letter, on one line."""
    return _MARKUP.sub(r"\\\1", shown_text(text))


def _notices(report: Report) -> list[str]:
    notice = mode_notice(report)
    blocks = [] if notice is None else [f"**{escaped(notice)}**"]
    if report.reasons:
        blocks.append("\n".join(f"- {escaped(reason.sentence)}" for reason in report.reasons))
    if report.warnings:
        blocks.append("**Read with caution**")
        blocks.append("\n".join(f"- {escaped(warning)}" for warning in report.warnings))
    return blocks


def _judgement(report: Report) -> str:
    lines = [f"Image classifier: {escaped(classifier_text(report))}"]
    if report.confidence is not None:
        lines.append(f"Confidence: {report.confidence:.2f}")
    return "  \n".join(lines)


def _evidence_table(report: Report) -> str:
    rows = ["| # | Similarity | Case | Site | Label | Findings |", "|--:|--:|---|---|---|---|"]
    rows += [
        f"| {rank} | {case.similarity:.2f} | {escaped(case.case_id)} | {escaped(case.site)} "
        f"| {spoken(case.label)} | {escaped(case.findings_text)} |"
        for rank, case in enumerate(report.evidence, 1)
    ]
    return "\n".join(rows)
