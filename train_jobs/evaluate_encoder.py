"""Measure an encoder: `python -m train_jobs.evaluate_encoder --index S:train --data S:val --out O`.

Joins prepared stores, a checkpoint and the figures: index cases from one store's split, held-out
queries from one or several others, validation cases that choose threshold and temperature. Leaves
one folder; what was embedded is kept there, so that a repeated run is quick.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from pirta.cohort.prepared_store import read_prepared
from pirta.contracts.release import Release
from pirta.errors import InputError, PirtaError, ReleaseError
from pirta.evaluation.embedded_cases import EmbeddedCases, join_cases
from pirta.evaluation.encoder_evaluation import EvaluationOptions
from pirta.evaluation.encoder_study import EncoderCases, EncoderStudy, Json, study_encoder
from pirta.evaluation.report_folder import make_folder, write_folder
from pirta.evaluation.tables import render_markdown
from pirta.models.checkpoint import current_commit
from pirta.models.runtime import LoadedEncoder, load_encoder
from train_jobs.evaluation_data import DataName, embedded_data, parse_data, studies_sha256

VALIDATION_SPLIT = "val"

Progress = Callable[[int, int, str], None]
"""Called as `progress(done, total, what)`."""


@dataclass(frozen=True)
class EvaluationPlan:
    """What to measure, on what, and where to.

    Attributes:
        validation: chooses the threshold and the temperature; None takes the split `val` of the
            index's store, where there is one.
        compare: a second encoder, measured on the same data.
        release: what the encoder must be of; the figures then name it.
    """

    encoder: Path
    index: DataName
    data: tuple[DataName, ...]
    out: Path
    validation: DataName | None = None
    compare: Path | None = None
    release: Release | None = None
    options: EvaluationOptions = field(default_factory=EvaluationOptions)
    num_permutations: int = 100
    num_threads: int = 1

    def command(self) -> str:
        """Return the command that measures this again."""
        words = ["pirta", "evaluate", "encoder", "--encoder", str(self.encoder)]
        words += ["--index", self.index.store, "--index-split", self.index.split or "all"]
        for one in self.data:
            words += ["--data", str(one)]
        for option, value in (
            ("--validation", self.validation),
            ("--compare", self.compare),
            ("--release", self.release and self.release.release_id),
            ("--out", self.out),
        ):
            words += [option, str(value)] if value is not None else []
        usual = EvaluationOptions()
        for option, number, default in (
            ("--num-resamples", self.options.num_resamples, usual.num_resamples),
            ("--seed", self.options.seed, usual.seed),
            ("--num-permutations", self.num_permutations, EvaluationPlan.num_permutations),
        ):
            words += [option, str(number)] if number != default else []
        return shlex.join(words)


def run_evaluation(plan: EvaluationPlan, *, on_progress: Progress | None = None) -> EncoderStudy:
    """Measure as planned, and write the folder.

    Raises:
        InputError: no data, or two under one name.
        FingerprintError: a store was prepared in another way than the encoder's training data.
        CheckpointError, ManifestError, StoreError: a part cannot be used.
        ReleaseError: the encoder is not the release's.
    """
    names = [one.name for one in plan.data]
    if not names or len(set(names)) < len(names):
        raise InputError(
            f"An evaluation needs data, each under a name of its own; given: {names or 'none'}.",
            remedy="Name them apart by --data NAME=STORE:SPLIT.",
        )
    make_folder(plan.out)
    tell = on_progress or (lambda _done, _total, _what: None)
    encoder = load_encoder(plan.encoder, device="cpu", num_threads=plan.num_threads)
    release_id = None if plan.release is None else _check_release(plan.release, encoder)
    validation = plan.validation or _own_validation(plan.index)
    cases = _embedded(encoder, plan, validation, tell)
    other, other_origin = None, None
    if plan.compare is not None:
        second = load_encoder(plan.compare, device="cpu", num_threads=plan.num_threads)
        other, other_origin = _embedded(second, plan, validation, tell), _encoder_origin(second)
    origin: dict[str, Json] = {
        "command": plan.command(),
        "commit": current_commit(Path(__file__).parent),
        "encoder": _encoder_origin(encoder),
        "compared_with": other_origin,
        "release_id": release_id,
        "index": _data_origin(plan.index, cases.index),
        "data": [_data_origin(one, cases.queries) for one in plan.data],
        "validation": (
            None
            if validation is None or cases.validation is None
            else _data_origin(validation, cases.validation)
        ),
        "num_permutations": plan.num_permutations,
    }
    study = study_encoder(
        cases,
        origin=origin,
        other=other,
        options=plan.options,
        num_permutations=plan.num_permutations,
        on_stage=lambda stage: tell(1, 1, stage),
    )
    tell(1, 1, "tables and figures")
    write_folder(plan.out, study)
    return study


def _embedded(
    encoder: LoadedEncoder, plan: EvaluationPlan, validation: DataName | None, tell: Progress
) -> EncoderCases:
    def of(data: DataName) -> EmbeddedCases:
        return embedded_data(
            encoder,
            data,
            folder=plan.out,
            on_case=lambda done, total: tell(done, total, data.name),
        )

    return EncoderCases(
        index=of(plan.index),
        queries=join_cases([of(one) for one in plan.data]),
        validation=None if validation is None else of(validation),
    )


def _own_validation(index: DataName) -> DataName | None:
    """Return the validation split of the index's own store, where it has one beside the index."""
    if index.split in (None, VALIDATION_SPLIT):
        return None
    splits = {row.case.split for row in read_prepared(index.store)}
    name = parse_data(f"{index.store}:{VALIDATION_SPLIT}")
    return name if VALIDATION_SPLIT in splits else None


def _check_release(release: Release, encoder: LoadedEncoder) -> str:
    if release.encoder_sha256 != encoder.sha256:
        raise ReleaseError(
            f"The encoder is {encoder.sha256[:12]}, the release {release.release_id} was made "
            f"with {release.encoder_sha256[:12]}.",
            remedy="Put the release's own weights there, or name the encoder alone.",
        )
    return release.release_id


def _encoder_origin(encoder: LoadedEncoder) -> dict[str, Json]:
    manifest = encoder.manifest
    return {
        "sha256": encoder.sha256,
        "fingerprint": encoder.preprocessing_fingerprint,
        "dimensions": encoder.dimensions,
        "trained_at_commit": manifest.commit,
        "training_data_sha256": manifest.data_sha256,
    }


def _data_origin(data: DataName, cases: EmbeddedCases) -> dict[str, Json]:
    own = cases.datasets == data.name
    return {
        **asdict(data),
        "studies_sha256": studies_sha256(data.store),
        "num_cases": int(own.sum()),
        "num_strokes": int((own & cases.is_stroke_Q).sum()),
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="Measure an encoder on held-out studies.")
    parser.add_argument("--encoder", required=True, type=Path, help="encoder weights folder")
    parser.add_argument("--index", required=True, help="STORE[:SPLIT] of the index cases")
    parser.add_argument("--data", required=True, nargs="+", help="[NAME=]STORE[:SPLIT] of queries")
    parser.add_argument("--validation", help="STORE[:SPLIT] that chooses the threshold")
    parser.add_argument("--compare", type=Path, help="a second encoder's folder")
    parser.add_argument("--out", required=True, type=Path, help="folder to fill")
    args = parser.parse_args(arguments)
    try:
        plan = EvaluationPlan(
            encoder=args.encoder,
            index=parse_data(args.index),
            data=tuple(parse_data(text) for text in args.data),
            out=args.out,
            validation=parse_data(args.validation) if args.validation else None,
            compare=args.compare,
        )
        study = run_evaluation(plan)
    except PirtaError as error:
        sys.stderr.write(f"{error}\n")
        raise SystemExit(2) from None
    sys.stdout.write(render_markdown(study))


if __name__ == "__main__":
    main()
