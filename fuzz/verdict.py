"""What became of a case: a typed refusal, a right answer, or a fault.

An answer is right when it equals the sound study's ("clean"), when a plain reading of the same
damaged bytes by other libraries gives it too ("plain"), or, for a whole preparation, when the
pair it came from is right by one of these and its own numbers are possible ("consistent").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fuzz.cases import Case
from fuzz.corpus import Seed
from fuzz.plain import read_plainly
from fuzz.plain_pair import PlainPair, differences, insane
from fuzz.study import leaks
from pirta.contracts.study import GRID_SHAPE, PreparedStudy
from pirta.errors import PirtaError
from pirta.imaging.diffusion_pair import DiffusionPair
from pirta.imaging.read_pair import read_pair

MAX_MESSAGE = 1000

Answer = DiffusionPair | PreparedStudy


@dataclass(frozen=True)
class Verdict:
    """A case's outcome.

    Attributes:
        outcome: "refused", "clean", "plain", "consistent" or "fault".
        detail: the refusal's code, or what the fault is.
    """

    outcome: str
    detail: str = ""


def judge_refusal(error: PirtaError) -> Verdict:
    """Accept a refusal that says something, a remedy, and nothing of the patient."""
    text = f"{error} {error.args!r} {error.remedy}"
    if found := leaks(text):
        return Verdict("fault", f"the message of {error.code} holds the patient's {found}")
    if not error.message.strip() or not error.remedy.strip() or len(text) > 3 * MAX_MESSAGE:
        return Verdict("fault", f"a message of {len(text)} characters ({error.code})")
    return Verdict("refused", error.code)


def judge_answer(case: Case, answer: Answer, sound: Answer) -> Verdict:
    """Hold an answer against the sound one and against a plain reading."""
    words = str(
        {**answer.provenance, **answer.dwi.provenance}
        if isinstance(answer, DiffusionPair)
        else (answer.facts, answer.gates)
    )
    if found := leaks(words):
        return Verdict("fault", f"what comes with the answer holds the patient's {found}")
    if case.study.must_refuse is not None:
        return Verdict("fault", f"answered, though: {case.study.must_refuse}")
    if isinstance(answer, PreparedStudy):
        return _judge_prepared(case, answer, sound)
    assert isinstance(sound, DiffusionPair)
    return _judge_pair(case, answer, sound)


def sound_pair(seed: Seed) -> DiffusionPair:
    """Return the answer to the sound study."""
    return read_pair(seed.study.images())


def _judge_pair(case: Case, answer: DiffusionPair, sound: DiffusionPair) -> Verdict:
    if problems := insane(answer):
        return Verdict("fault", "; ".join(problems))
    if not differences(answer, _as_plain(sound)):
        return Verdict("clean")
    try:
        found = differences(answer, read_plainly(case.study))
    except Exception as error:  # noqa: BLE001 - whatever a library raises, it has no answer
        return Verdict("fault", f"answered where a plain reading fails ({type(error).__name__})")
    return (
        Verdict("fault", "differs from a plain reading: " + "; ".join(found))
        if found
        else (Verdict("plain"))
    )


def _judge_prepared(case: Case, answer: PreparedStudy, sound: Answer) -> Verdict:
    assert isinstance(sound, PreparedStudy)
    volume_CXYZ = answer.volume_CXYZ
    if volume_CXYZ.shape != (2, *GRID_SHAPE) or not np.isfinite(volume_CXYZ).all():
        return Verdict("fault", "the prepared volume is no finite volume on the grid")
    inside_XYZ = volume_CXYZ[0] != 0
    median = float(np.median(volume_CXYZ[0][inside_XYZ])) if inside_XYZ.any() else 0.0
    if not 0.8 < median < 1.2 or volume_CXYZ[1].min() < 0 or volume_CXYZ[1].max() > 10:
        return Verdict("fault", f"prepared DWI of median {median:.2g}, ADC out of range")
    if np.allclose(volume_CXYZ, sound.volume_CXYZ, atol=1e-3):
        return Verdict("clean")
    under = _judge_pair(case, read_pair(case.study.images()), sound_pair(case.seed))
    return under if under.outcome == "fault" else Verdict("consistent")


def _as_plain(pair: DiffusionPair) -> PlainPair:
    return PlainPair(
        pair.dwi.data_XYZ.astype(np.float64), pair.adc.data_XYZ.astype(np.float64), pair.dwi.affine
    )
