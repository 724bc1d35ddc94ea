"""Risk against coverage of the writer, one curve a data set.

The curve is that of the writer with grounding and without limits: what a threshold of its
confidence would cost and spare. The product's own place, with every limit, stands beside it.
A report that states nothing although no limit was set (its contradictions could not be mended)
counts as wrong at confidence 0: no threshold makes it an answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pirta.evaluation.writer_evaluation import RiskCurve
from pirta.evaluation.writer_reports import ToldReport, WriterCase
from pirta.reporting.risk_coverage import risk_coverage


def risk_curves(
    cases: Sequence[WriterCase], always: Sequence[ToldReport], product: Sequence[ToldReport]
) -> tuple[RiskCurve, ...]:
    """Return a curve for each data set.

    Args:
        always: the reports without limits, each with its confidence.
        product: the reports with them, of the same cases.
    """
    curves = []
    for dataset in dict.fromkeys(case.dataset for case in cases):
        rows = [row for row, case in enumerate(cases) if case.dataset == dataset]
        confidence_Q = np.array(
            [always[row].confidence if always[row].states else 0.0 for row in rows]
        )
        right_Q = np.array([always[row].is_right(cases[row]) for row in rows], bool)
        curve = risk_coverage(confidence_Q, right_Q)
        stated = [row for row in rows if product[row].states]
        wrong = sum(not product[row].is_right(cases[row]) for row in stated)
        curves.append(
            RiskCurve(
                dataset=dataset,
                coverage=tuple(curve.coverage_T.tolist()),
                risk=tuple(curve.risk_T.tolist()),
                aurc=curve.aurc,
                at_limits=(len(stated) / len(rows), wrong / len(stated)) if stated else None,
            )
        )
    return tuple(curves)
