"""The paper's tables 4 and 6: does pretraining help, at home and at other hospitals?

`run_experiment` trains the same stage 2 after no, small and large pretraining and measures each
encoder on the held-out split of the training store and on every site of other stores. Each
arm's jobs lie in a folder of their own, and a repeated call goes on where the last one stopped.

    OUT/ARM/{mae,territory}/   the jobs    OUT/experiment.{json,md,png}   the result
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from pirta.cohort.prepared_store import read_prepared
from pirta.errors import ManifestError
from pirta.evaluation.embedded_cases import EmbeddedCases, join_cases
from pirta.evaluation.embedding import EvaluationCase, embed_cases
from pirta.evaluation.encoder_evaluation import EncoderEvaluation, Group, evaluate
from pirta.evaluation.report_folder import plain, unwritable, write_whole
from pirta.models.checkpoint import CheckpointManifest
from pirta.models.runtime import LoadedEncoder, load_encoder
from train_jobs.evaluation_data import DataName, store_cases
from train_jobs.experiment_plans import ARMS, ExperimentPlan
from train_jobs.experiment_report import draw_chart, render_tables
from train_jobs.job_folder import WEIGHTS_FOLDER
from train_jobs.train_mae import train_mae
from train_jobs.train_territory import train_territory

Tell = Callable[[str], None]
INTERNAL = "internal"


@dataclass(frozen=True)
class ArmResult:
    """An arm's encoder and its figures, all sites and each."""

    arm: str
    encoder: CheckpointManifest
    evaluation: EncoderEvaluation

    def site(self, name: str) -> Group:
        """Return the figures of one site, or of all internal ones together."""
        return next(
            group for group in self.evaluation.groups if group.kind == "data" and group.name == name
        )


def run_experiment(
    plan: ExperimentPlan,
    *,
    store: str,
    external: Sequence[str],
    out: Path,
    num_threads: int = 1,
    with_ray: bool = True,
    tell: Tell | None = None,
) -> tuple[ArmResult, ...]:
    """Train and measure the three arms, write the tables, and return what they hold.

    Args:
        store: prepared, with the splits "train" (learnt from, and the index) and "val".
        external: prepared stores of other hospitals; every site is measured on its own.
        with_ray: train on Ray Train's workers; else in this process, without Ray.

    Raises:
        ManifestError: a store cannot be used, or two stores name the same site.
        TrainingError: `out` holds another experiment, or training failed.
        StoreError: `out` cannot be written.
    """
    say = tell or (lambda _line: None)
    _check_sites(store, external)
    results = []
    for arm in ARMS:
        say(f"arm '{arm}'")
        weights = train_arm(plan, arm, store=store, out=out / arm, with_ray=with_ray, tell=tell)
        encoder = load_encoder(weights, device="cpu", num_threads=num_threads)
        say(f"arm '{arm}': measuring")
        # No threshold, no temperature: there is no set of cases left to choose them on.
        evaluation = evaluate(*_embed(encoder, store, external))
        results.append(ArmResult(arm, encoder.manifest, evaluation))
    _write(plan, results, out)
    return tuple(results)


def train_arm(
    plan: ExperimentPlan,
    arm: str,
    *,
    store: str,
    out: Path,
    with_ray: bool = True,
    tell: Tell | None = None,
) -> Path:
    """Run an arm's one or two jobs, or find them finished, and return its encoder's folder."""
    stage_one = plan.stage_one(arm)
    mae = None
    if stage_one is not None:
        train_mae(stage_one, store=store, out=out / "mae", with_ray=with_ray, show=tell)
        mae = out / "mae" / WEIGHTS_FOLDER
    train_territory(
        plan.territory,
        store=store,
        out=out / "territory",
        mae=mae,
        with_ray=with_ray,
        show=tell,
    )
    return out / "territory" / WEIGHTS_FOLDER


def _check_sites(store: str, external: Sequence[str]) -> None:
    seen: dict[str, str] = {}
    for where in (store, *external):
        for site in {row.case.site for row in read_prepared(where)}:
            if site in seen:
                raise ManifestError(
                    f"The site '{site}' is in both {seen[site]} and {where}.",
                    remedy="External sites must be others than the training ones.",
                )
            seen[site] = where


def _embed(
    encoder: LoadedEncoder, store: str, external: Sequence[str]
) -> tuple[EmbeddedCases, EmbeddedCases]:
    """Return index and queries; a query's data set is its site."""

    def cases(name: str, where: str, split: str | None) -> list[EvaluationCase]:
        return store_cases(DataName(name, where, split), encoder.preprocessing_fingerprint)

    index = embed_cases(encoder, cases("index", store, "train"), dataset="index")
    parts = [embed_cases(encoder, cases(INTERNAL, store, "val"), dataset=INTERNAL)]
    for where in external:
        found = cases("external", where, None)
        for site in sorted({case.site for case in found}):
            own = [case for case in found if case.site == site]
            parts.append(embed_cases(encoder, own, dataset=site))
    return index, join_cases(parts)


def _write(plan: ExperimentPlan, results: Sequence[ArmResult], out: Path) -> None:
    sites = [INTERNAL, *(name for name in results[0].evaluation.names("data") if name != INTERNAL)]
    by_arm = {one.arm: [one.site(site) for site in sites] for one in results}
    content = {
        "plan": plan.name,
        "num_small": plan.num_small,
        "arms": {
            one.arm: {
                "encoder_sha256": one.encoder.sha256,
                "commit": one.encoder.commit,
                "sites": {
                    site: {
                        name: [value.value, value.low, value.high]
                        for name, value in one.site(site).figures.items()
                    }
                    for site in sites
                },
            }
            for one in results
        },
    }
    text = json.dumps(plain(content), indent=2, allow_nan=False) + "\n"
    try:
        write_whole(out / "experiment.json", text.encode())
        write_whole(out / "experiment.md", render_tables(plan, by_arm).encode())
        draw_chart(by_arm, out / "experiment.png")
    except OSError as error:
        raise unwritable(out, error) from None
