"""The embedding in two dimensions, and how well clusters part in it: the paper's figure 5.

UMAP with cosine distance, as the paper draws it; then four Gaussians are fitted in the plane
and the silhouette of their clusters is taken, which is how "GMM" and "Silhouette Score" of the
paper are read here. A silhouette of clusters says nothing of whether they are the labels, so
their agreement (adjusted Rand index) and the labels' own silhouette in the embedding stand
beside it.

Axis suffixes: Q cases, D embedding, P the plane's two coordinates.
"""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pirta.contracts.finding import LABELS
from pirta.evaluation.embedded_cases import EmbeddedCases

LEAST_CASES = 16
_NEIGHBOURS = 15


@dataclass(frozen=True)
class Projection:
    """The plane, and the figures of its clusters; NaN where a figure is not defined.

    Attributes:
        method: what made the plane, with its settings.
        cluster_silhouette: of the Gaussians' clusters, in the plane.
        cluster_agreement: adjusted Rand index of those clusters and the labels.
        label_silhouette: of the true labels in the embedding, cosine distance.
    """

    method: str
    plane_QP: NDArray[np.float32]
    cluster_silhouette: float
    cluster_agreement: float
    label_silhouette: float


def project(cases: EmbeddedCases, *, seed: int = 0) -> Projection | None:
    """Return the projection; None below 16 cases, too few for neighbourhoods."""
    from sklearn.metrics import adjusted_rand_score, silhouette_score
    from sklearn.mixture import GaussianMixture

    if len(cases) < LEAST_CASES:
        return None
    plane_QP = _plane(cases.embeddings_QD, seed)
    mixture = GaussianMixture(n_components=len(LABELS), n_init=5, random_state=seed)
    clusters_Q = mixture.fit_predict(plane_QP.astype(np.float64))
    several = len(np.unique(clusters_Q)) > 1
    labelled = 1 < len(np.unique(cases.truths_Q)) < len(cases)
    return Projection(
        method=f"UMAP, cosine, {_NEIGHBOURS} neighbours, seed {seed}",
        plane_QP=plane_QP,
        cluster_silhouette=float(silhouette_score(plane_QP, clusters_Q)) if several else math.nan,
        cluster_agreement=float(adjusted_rand_score(cases.truths_Q, clusters_Q)),
        label_silhouette=(
            float(silhouette_score(cases.embeddings_QD, cases.truths_Q, metric="cosine"))
            if labelled
            else math.nan
        ),
    )


def _plane(embeddings_QD: NDArray[np.float32], seed: int) -> NDArray[np.float32]:
    with warnings.catch_warnings():
        # Its package says at import that TensorFlow, for a variant not used here, is not there.
        warnings.simplefilter("ignore", ImportWarning)
        from umap import UMAP

    neighbours = min(_NEIGHBOURS, len(embeddings_QD) - 1)
    reducer = UMAP(n_neighbors=neighbours, metric="cosine", random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(embeddings_QD), dtype=np.float32)
