"""The shipped encoder on a scanner that it never saw: clearly better than chance.

Twelve fresh phantoms, three a class, from the external hospital's scanner and a seed of their own.
By chance eight or more of twelve are right about once in 360 times (binomial, p = 0.25).
docs/RESULTS.md holds the figures on the whole external cohort.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from pirta.cohort.make import make_cohort
from pirta.cohort.presets import CaseBatch, CohortPlan, each_label, external_south
from pirta.cohort.table import read_cohort, resolve_uri
from pirta.contracts.finding import LABELS
from pirta.contracts.study import StudyImages
from pirta.imaging.prepare import prepare_study
from pirta.imaging.strip import make_stripper
from pirta.models.runtime import load_encoder
from pirta.settings import Settings

MIN_RIGHT = 8


def test_the_shipped_encoder_beats_chance_on_an_unseen_scanner(tmp_path: Path) -> None:
    settings = Settings()
    plan = CohortPlan(
        name="unseen", seed=424242, batches=(CaseBatch(external_south(), "test", each_label(3)),)
    )
    table = make_cohort(plan, tmp_path / "cohort", num_workers=2)
    encoder = load_encoder(settings.encoder.path, device="cpu", num_threads=1)
    stripper = make_stripper(settings.preprocessing)
    right = 0
    for case in read_cohort(table):
        prepared = prepare_study(
            StudyImages(
                dwi=Path(resolve_uri(table, case.dwi_uri)).read_bytes(),
                adc=Path(resolve_uri(table, case.adc_uri)).read_bytes(),
            ),
            settings=settings.preprocessing,
            stripper=stripper,
        )
        assert prepared.fingerprint == encoder.preprocessing_fingerprint
        _, probabilities_BK = encoder.embed(prepared.volume_CXYZ[np.newaxis])
        right += LABELS[int(probabilities_BK[0].argmax())] == case.label
    assert right >= MIN_RIGHT, f"{right} of 12 right"
