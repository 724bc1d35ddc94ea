"""An encoder measured on held-out studies: its neighbours and its own classes.

Plain Python over an `embed` function and case loaders: no Ray, no store, no index server; who
joins them is the caller. A query never meets its own patient in the index.

Axis suffixes: B C X Y Z as in `contracts.study`, Q queries, R index rows, D embedding, K labels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.finding import LABELS, Label
from pirta.errors import ManifestError
from pirta.evaluation import classification_metrics as classes
from pirta.evaluation import retrieval_metrics as retrieval
from pirta.evaluation.intervals import Interval, Rows, bootstrap_interval, mean_of
from pirta.evaluation.retrieval_metrics import Normalisation

_BATCH = 8


class Embedder(Protocol):
    """What is measured; `models.runtime.LoadedEncoder` is one."""

    def embed(
        self, volume_BCXYZ: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return unit embeddings `(B, D)` and probabilities `(B, K)`."""


@dataclass(frozen=True)
class EvaluationCase:
    """A study with its known label, its volume loaded only when it is its turn.

    Attributes:
        scanner: name of the scanner within all data; empty where it is not known.
        lesion_ml: volume of the lesion, 0 for a normal study; None where it is not known.
    """

    case_id: str
    patient_id: str
    site: str
    label: Label
    load: Callable[[], NDArray[np.float32]]
    scanner: str = ""
    lesion_ml: float | None = None


@dataclass(frozen=True)
class EncoderEvaluation:
    """What was measured.

    Attributes:
        figures: by name, each with its 95 % interval over patients.
        confusion_KK: rows the truth, columns the encoder's own class, order of `LABELS`.
        normalisation: of the mean average precision.
        sites: of the queries.
    """

    num_index: int
    num_queries: int
    sites: tuple[str, ...]
    normalisation: Normalisation
    figures: dict[str, Interval]
    confusion_KK: tuple[tuple[int, ...], ...]


def evaluate_encoder(
    encoder: Embedder,
    *,
    index: Sequence[EvaluationCase],
    queries: Sequence[EvaluationCase],
    top_k: int = 5,
    normalisation: Normalisation = Normalisation.REACHABLE,
    num_resamples: int = 1000,
    on_progress: Callable[[int, int], None] | None = None,
) -> EncoderEvaluation:
    """Embed index and queries, and measure neighbours and classes.

    Raises:
        ManifestError: index or queries are empty.
    """
    for name, cases in (("index", index), ("queries", queries)):
        if not cases:
            raise ManifestError(
                f"The evaluation's {name} hold no case.", remedy="Name a split that has cases."
            )
    total = len(index) + len(queries)
    tell = on_progress or (lambda _done, _total: None)
    index_RD, _ = _embed(encoder, index, lambda done: tell(done, total))
    queries_QD, probabilities_QK = _embed(
        encoder, queries, lambda done: tell(len(index) + done, total)
    )
    truth = np.array([LABELS.index(case.label) for case in queries])
    called = probabilities_QK.argmax(axis=1)
    relevant_QN, num_relevant_Q = _relevant(queries, index, queries_QD, index_RD)
    statistics = {
        **_retrieval_statistics(relevant_QN, num_relevant_Q, top_k, normalisation),
        **_class_statistics(truth, called),
    }
    patients = [case.patient_id for case in queries]
    return EncoderEvaluation(
        num_index=len(index),
        num_queries=len(queries),
        sites=tuple(sorted({case.site for case in queries})),
        normalisation=normalisation,
        figures={
            name: bootstrap_interval(statistic, patients, num_resamples=num_resamples)
            for name, statistic in statistics.items()
        },
        confusion_KK=tuple(
            tuple(int(count) for count in row)
            for row in classes.confusion(truth, called, num_classes=len(LABELS))
        ),
    )


def _embed(
    encoder: Embedder, cases: Sequence[EvaluationCase], done: Callable[[int], None]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    parts = []
    for start in range(0, len(cases), _BATCH):
        some = cases[start : start + _BATCH]
        parts.append(encoder.embed(np.stack([case.load() for case in some])))
        done(start + len(some))
    return np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts])


def _relevant(
    queries: Sequence[EvaluationCase],
    index: Sequence[EvaluationCase],
    queries_QD: NDArray[np.float32],
    index_RD: NDArray[np.float32],
) -> tuple[NDArray[np.bool_], NDArray[np.int_]]:
    query_labels, index_labels = (np.array([c.label for c in cases]) for cases in (queries, index))
    query_patients = np.array([case.patient_id for case in queries])
    index_patients = np.array([case.patient_id for case in index])
    own_QR = query_patients[:, None] == index_patients[None, :]
    same_QR = (query_labels[:, None] == index_labels[None, :]) & ~own_QR
    ranks = retrieval.rank_neighbours(queries_QD, index_RD, excluded_QR=own_QR)
    return np.take_along_axis(same_QR, ranks, axis=1), same_QR.sum(axis=1)


def _retrieval_statistics(
    relevant_QN: NDArray[np.bool_],
    num_relevant_Q: NDArray[np.int_],
    top_k: int,
    normalisation: Normalisation,
) -> dict[str, Callable[[Rows], float]]:
    average = retrieval.average_precision_at(relevant_QN, top_k, num_relevant_Q, normalisation)
    return {
        "precision@1": mean_of(retrieval.precision_at(relevant_QN, 1)),
        f"precision@{top_k}": mean_of(retrieval.precision_at(relevant_QN, top_k)),
        f"any-hit Acc@{top_k}": mean_of(retrieval.any_hit_at(relevant_QN, top_k)),
        f"mAP@{top_k}": mean_of(average),
    }


def _class_statistics(
    truth: NDArray[np.int_], called: NDArray[np.int_]
) -> dict[str, Callable[[Rows], float]]:
    def of_matrix(figure: Callable[[NDArray[np.int_]], float]) -> Callable[[Rows], float]:
        return lambda rows: figure(
            classes.confusion(truth[rows], called[rows], num_classes=len(LABELS))
        )

    statistics = {
        "balanced accuracy": of_matrix(classes.balanced_accuracy),
        "any lesion: sensitivity": of_matrix(
            lambda matrix: classes.sensitivity(classes.any_lesion(matrix), 1)
        ),
        "any lesion: specificity": of_matrix(
            lambda matrix: classes.specificity(classes.any_lesion(matrix), 1)
        ),
    }
    for number, label in enumerate(LABELS):
        for name, figure in (
            ("sensitivity", classes.sensitivity),
            ("specificity", classes.specificity),
            ("one-vs-rest accuracy", classes.one_vs_rest_accuracy),
        ):
            statistics[f"{label}: {name}"] = of_matrix(
                lambda matrix, number=number, figure=figure: figure(matrix, number)  # type: ignore[misc]
            )
    return statistics
