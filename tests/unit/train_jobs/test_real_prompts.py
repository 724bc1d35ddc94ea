"""Prompts of embedded cases: real neighbours of others, some spoilt on purpose, all by a seed."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import groupby

import numpy as np
import pytest

from pirta.cohort.prepared_rows import PreparedCase
from pirta.contracts.case import CaseRecord
from pirta.contracts.finding import (
    LABELS,
    Finding,
    InfarctType,
    Laterality,
    LesionClass,
    Territory,
    label_of,
)
from pirta.contracts.study import Registry
from pirta.errors import InputError, ManifestError
from pirta.evaluation.embedded_cases import EmbeddedCases
from pirta.reporting.prompt import prompt_text
from train_jobs.real_prompts import PromptMix, real_examples
from train_jobs.tuned_patients import patient_hash
from train_jobs.writer_corpus import WriterExample

TERRITORIES = (None, *Territory)
PLAIN = PromptMix(poisoned_share=0, missing_share=0)
ALL = PromptMix(poisoned_share=1, missing_share=1)


def finding(territory: Territory | None, number: int) -> Finding | None:
    if territory is None:
        return None
    return Finding(
        lesion_class=list(LesionClass)[number % 2],
        infarct_type=list(InfarctType)[number % 5],
        territory=territory,
        laterality=Laterality.LEFT,
    )


def cases(prefix: str, count: int, patients: int) -> dict[str, PreparedCase]:
    """Cases in turn of the four labels; each patient has several."""
    found = {}
    for number in range(count):
        case = CaseRecord(
            case_id=f"{prefix}-{number:02d}",
            patient_id=f"patient-{number % patients}",
            site="site-a",
            scanner="scanner-a",
            dwi_uri="dwi.nii.gz",
            adc_uri="adc.nii.gz",
            registry=Registry(age_years=40 + number),
            finding=finding(TERRITORIES[number % 4], number),
            report_text="known",
        )
        found[case.case_id] = PreparedCase(case, "a.npy", None, None, "synthetic", {})
    return found


def embedded(rows: dict[str, PreparedCase], seed: int) -> EmbeddedCases:
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(len(rows), 6))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    records = [row.case for row in rows.values()]
    count = len(records)
    return EmbeddedCases(
        case_ids=np.array([case.case_id for case in records]),
        patient_ids=np.array([case.patient_id for case in records]),
        datasets=np.array(["d"] * count),
        sites=np.array(["site-a"] * count),
        scanners=np.array(["scanner-a"] * count),
        truths_Q=np.array([LABELS.index(case.label) for case in records]),
        lesion_ml_Q=np.zeros(count),
        embeddings_QD=vectors.astype(np.float32),
        probabilities_QK=np.full((count, 4), 0.25),
    )


QUERY_ROWS = cases("query", 24, 7)
# Four of the index's patients are queries too.
INDEX_ROWS = {
    case_id: replace(row, case=row.case.model_copy(update={"patient_id": f"patient-{3 + n % 20}"}))
    for n, (case_id, row) in enumerate(cases("index", 60, 1).items())
}
ROWS = QUERY_ROWS | INDEX_ROWS
QUERIES, INDEX = embedded(QUERY_ROWS, 1), embedded(INDEX_ROWS, 2)


def by_query(examples: list[WriterExample]) -> dict[int | None, list[WriterExample]]:
    """A query's examples, by its registry's age, which is its own."""
    found: dict[int | None, list[WriterExample]] = {}
    for example in examples:
        found.setdefault(example.registry.age_years, []).append(example)
    return found


def test_the_neighbours_are_the_five_nearest_cases_of_other_patients() -> None:
    found = by_query(real_examples(QUERIES, INDEX, ROWS, PLAIN))
    assert len(found) == len(QUERIES)
    for row in range(len(QUERIES)):
        case = QUERY_ROWS[str(QUERIES.case_ids[row])].case
        ranked = sorted(
            range(len(INDEX)),
            key=lambda at: (
                -float(np.dot(INDEX.embeddings_QD[at].astype(float), QUERIES.embeddings_QD[row]))
            ),
        )
        others = [
            INDEX_ROWS[str(INDEX.case_ids[at])].case
            for at in ranked
            if INDEX.patient_ids[at] != case.patient_id
        ]
        (example,) = found[case.registry.age_years]
        assert list(example.neighbours) == [one.finding for one in others[:5]]
        assert example.truth == case.finding
        assert example.patient == patient_hash(case.patient_id)


def test_a_prompt_is_word_for_word_what_the_service_would_ask() -> None:
    example = real_examples(QUERIES, INDEX, ROWS, PLAIN)[0]
    sentences = [
        "There is no diffusion restriction." if one is None else one.sentence()
        for one in example.neighbours
    ]
    assert example.chat.user == prompt_text(example.registry, sentences)


def test_a_patients_own_scans_never_come_even_where_they_are_the_same_image() -> None:
    twin = replace(INDEX, embeddings_QD=QUERIES.embeddings_QD[np.zeros(len(INDEX), int)])
    own = QUERIES.take(np.array([0]))
    for example in real_examples(own, twin, ROWS, replace(PLAIN, top_k=60)):
        mine = sum(INDEX.patient_ids == own.patient_ids[0])
        assert len(example.neighbours) == len(INDEX) - mine


def test_a_poisoned_prompt_differs_in_one_neighbour_whose_label_is_not_true() -> None:
    ranks: Counter[int] = Counter()
    for some in by_query(real_examples(QUERIES, INDEX, ROWS, ALL)).values():
        plain, poisoned, _ = some
        rank = poisoned.poisoned_rank
        assert rank is not None
        ranks[rank] += 1
        assert label_of(poisoned.neighbours[rank]) is not label_of(poisoned.truth)
        named = {label_of(one) for one in plain.neighbours}
        foreign = set(LABELS) - named - {label_of(plain.truth)}
        assert not foreign or label_of(poisoned.neighbours[rank]) in foreign
        rest = [at for at in range(5) if at != rank]
        assert [poisoned.neighbours[at] for at in rest] == [plain.neighbours[at] for at in rest]
        assert (poisoned.truth, poisoned.registry) == (plain.truth, plain.registry)
    assert len(ranks) == 5


def test_a_prompt_with_fewer_neighbours_keeps_some_in_their_order() -> None:
    lengths = set()
    for plain, _, fewer in by_query(real_examples(QUERIES, INDEX, ROWS, ALL)).values():
        lengths.add(len(fewer.neighbours))
        left = iter(plain.neighbours)
        assert all(one in left for one in fewer.neighbours)
        assert fewer.poisoned_rank is None
    assert lengths == {1, 2, 3, 4}


def test_a_patients_lines_stand_together_in_an_order_that_says_nothing_of_them() -> None:
    found = real_examples(QUERIES, INDEX, ROWS, ALL)
    patients = [patient for patient, _ in groupby(one.patient for one in found)]
    assert patients == sorted({patient_hash(str(one)) for one in QUERIES.patient_ids})


def test_what_a_query_gives_follows_from_the_seed_and_its_id_alone() -> None:
    whole = by_query(real_examples(QUERIES, INDEX, ROWS, ALL))
    shuffled = QUERIES.take(np.random.default_rng(0).permutation(len(QUERIES))[:9])
    for age, examples in by_query(real_examples(shuffled, INDEX, ROWS, ALL)).items():
        assert examples == whole[age]
    other = by_query(real_examples(QUERIES, INDEX, ROWS, replace(ALL, seed=1)))
    assert other != whole
    half = real_examples(QUERIES, INDEX, ROWS, PromptMix(poisoned_share=0.5, missing_share=0))
    assert 24 < len(half) < 48


def test_a_query_that_stands_twice_and_an_index_of_its_patient_alone_are_refused() -> None:
    with pytest.raises(ManifestError, match=r"1 cases stand twice.*query-03"):
        real_examples(QUERIES.take(np.array([3, 4, 3])), INDEX, ROWS, PLAIN)
    own = INDEX.take(INDEX.patient_ids == "patient-3")
    query = QUERIES.take(QUERIES.patient_ids == "patient-3")
    with pytest.raises(ManifestError, match="no case of another patient"):
        real_examples(query, own, ROWS, PLAIN)


def test_two_neighbours_are_too_few_to_poison_one_and_no_other_label_gives_no_poison() -> None:
    two = replace(ALL, top_k=2, missing_share=0)
    assert all(one.poisoned_rank is None for one in real_examples(QUERIES, INDEX, ROWS, two))
    normal = INDEX.take(INDEX.truths_Q == 0)
    query = QUERIES.take(QUERIES.truths_Q == 0)
    found = real_examples(query, normal, ROWS, replace(ALL, missing_share=0))
    assert len(found) == len(query)


@pytest.mark.parametrize(
    ("change", "match"),
    [({"poisoned_share": 1.5}, "poisoned_share is 1.5"), ({"top_k": 1}, "prompt of 1 neigh")],
)
def test_a_mix_that_cannot_be_is_refused(change: dict[str, float], match: str) -> None:
    with pytest.raises(InputError, match=match):
        PromptMix(**change)  # type: ignore[arg-type]
