"""Fine-tune the writer with LoRA: `python -m train_jobs.finetune_writer --run demo`.

Learns the answer to prompts of the paper's Table 3, with the loss on the answer alone. `demo`
draws its prompts from a seed, beside those of a file where one is given; `paper` takes
Llama-3-8B-Instruct and a file of prompts made from verified cases (`--prompts`, which
`make_writer_prompts` makes); `qlora` is the same on one small GPU. The result is an adapter folder
that PEFT and vLLM load, with a manifest that names the base it belongs to.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from pirta.errors import TrainingError
from pirta.models.checkpoint import CheckpointManifest, write_manifest
from pirta.settings import SHIPPED_WEIGHTS
from train_jobs.launch import launch
from train_jobs.writer_corpus import WriterExample
from train_jobs.writer_examples import ExampleSets, example_sets, poisoned_examples
from train_jobs.writer_folder import (
    base_sha256,
    check_target,
    filled_folder,
    load_tokenizer,
    read_json,
    run_as_command,
    write_json,
)
from train_jobs.writer_loop import load_weights, run_loop
from train_jobs.writer_model import build_model, check_four_bit
from train_jobs.writer_presets import ADAPTER_RUNS, LORA_TARGETS, AdapterRun, named_run
from train_jobs.writer_prompts import examples_sha256
from train_jobs.writer_scores import baseline_scores, poison_scores, scores, write_answers
from train_jobs.writer_tokens import token_row

JOB = "writer_adapter"
CONFIG_NAME = "adapter_config.json"


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Fine-tune the report writer with LoRA.")
    parser.add_argument("--run", default="demo", help=f"one of {', '.join(ADAPTER_RUNS)}")
    parser.add_argument("--base", type=Path, help="the base model's folder (default: shipped)")
    parser.add_argument("--prompts", type=Path, help="JSON lines of real prompts (default: drawn)")
    parser.add_argument(
        "--out", type=Path, help="the run's folder (default runs/writer_adapter-RUN)"
    )
    parser.add_argument("--to", type=Path, help="where the adapter goes (default OUT/weights)")
    asked = parser.parse_args()
    run_as_command(lambda: _finetune_as_asked(asked))


def _finetune_as_asked(asked: argparse.Namespace) -> CheckpointManifest:
    run = named_run(ADAPTER_RUNS, asked.run)
    out = asked.out or Path("runs") / f"{JOB}-{run.name}"
    return finetune(
        run,
        base=asked.base or SHIPPED_WEIGHTS / "writer_base",
        run_dir=out,
        to=asked.to or out / "weights",
        prompts=asked.prompts,
    )


def finetune(
    run: AdapterRun,
    *,
    base: Path,
    run_dir: Path,
    to: Path,
    prompts: Path | None = None,
    show: Callable[[str], None] | None = None,
) -> CheckpointManifest:
    """Train an adapter as `run` says and write it to `to`.

    Raises:
        TrainingError: the base or the prompts are missing, or `to` holds other things; or see
            `launch`.
        CheckpointError: the base differs from its manifest.
    """
    if not (base / "config.json").is_file():
        raise TrainingError(
            f"There is no base model in {base}.",
            remedy="Train one with `python -m train_jobs.train_writer_base`, or name its folder "
            "with --base.",
        )
    check_target(to)
    check_four_bit(run)
    sets = example_sets(run, prompts)  # a file that cannot be used is told before Ray starts
    base_hash = base_sha256(base)
    result = launch(
        train_loop,
        {
            "run": run.model_dump(mode="json"),
            "run_dir": str(run_dir.resolve()),
            "base": str(base.resolve()),
            "base_sha256": base_hash,
            "prompts": None if prompts is None else str(prompts.resolve()),
            "examples_sha256": examples_sha256(sets.learnt),
        },
        run_dir=run_dir,
        name=JOB,
        num_workers=run.loop.num_workers,
        use_gpu=run.loop.use_gpu,
        resume=True,
        cpus_per_worker=run.loop.num_threads,
        show=show,
    )
    torch.set_num_threads(run.loop.num_threads)  # more would fight over a shared machine
    model = build_model(run, base)
    assert result.checkpoint is not None
    with result.checkpoint.as_directory() as folder:
        load_weights(model, Path(folder))
    return export_adapter(model, run, base, to, prompts=prompts, sets=sets, base_hash=base_hash)


def train_loop(config: dict[str, Any]) -> None:
    """Train on one Ray Train worker."""
    run = AdapterRun.model_validate(config["run"])
    base = Path(config["base"])
    prompts = None if config["prompts"] is None else Path(config["prompts"])
    tokenizer = load_tokenizer(base)
    rows = [token_row(tokenizer, one.chat) for one in example_sets(run, prompts).learnt]
    run_loop(
        build_model(run, base),
        rows,
        run.loop,
        pad_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0,
        run_dir=Path(config["run_dir"]),
    )


def export_adapter(
    model: Any,
    run: AdapterRun,
    base: Path,
    to: Path,
    *,
    prompts: Path | None,
    sets: ExampleSets,
    base_hash: str,
) -> CheckpointManifest:
    """Write the adapter with its manifest, measured with and without it on held-out prompts."""
    with filled_folder(to) as folder:
        model.save_pretrained(folder)
        # PEFT's model card and config hold the base's path on this machine.
        (folder / "README.md").unlink(missing_ok=True)
        config = read_json(folder / CONFIG_NAME) | {
            "base_model_name_or_path": run.base_name,
            "target_modules": sorted(LORA_TARGETS),  # PEFT keeps a set, whose order changes
        }
        write_json(folder / CONFIG_NAME, config)
        return write_manifest(
            folder,
            kind=JOB,
            config=config | {"base_sha256": base_hash},
            run=run.model_dump(mode="json"),
            data_sha256=examples_sha256(sets.learnt),
            preprocessing_fingerprint=None,
            metrics=held_out_metrics(model.eval(), load_tokenizer(base), run, sets),
            command=f"python -m train_jobs.finetune_writer --run {run.name}"
            + ("" if prompts is None else f" --prompts {prompts.name}"),
        )


def held_out_metrics(
    model: Any, tokenizer: Any, run: AdapterRun, sets: ExampleSets
) -> dict[str, float]:
    """Return scores on held-out prompts, drawn and real, beside rules and the bare base.

    Figures of a file's prompts begin with `real_`; the poisoned ones among them are counted apart.
    """
    found: dict[str, float] = {}
    real = [one for one in sets.held_out_real if one.poisoned_rank is None]
    for name, examples in (("", list(sets.held_out_drawn)), ("real_", real)):
        if not examples:
            continue
        with_adapter = scores(examples, _answers(model, tokenizer, examples))
        with model.disable_adapter():
            without = scores(examples, _answers(model, tokenizer, examples))
        found |= {f"{name}{key}": value for key, value in with_adapter.items()}
        found |= {f"{name}{key}_without_adapter": value for key, value in without.items()}
        found |= {f"{name}{key}": value for key, value in baseline_scores(examples).items()}
        found[f"{name}num_held_out"] = float(len(examples))
    poisoned = poisoned_examples(run)
    answers = _answers(model, tokenizer, poisoned)
    found["poisoned_one_of_five_equals_truth"] = scores(poisoned, answers)["equals_truth"]
    found |= poison_scores(poisoned, answers)
    spoilt = [one for one in sets.held_out_real if one.poisoned_rank is not None]
    if spoilt:
        real_answers = _answers(model, tokenizer, spoilt)
        figures = poison_scores(spoilt, real_answers)
        found |= {f"real_{key}": value for key, value in figures.items()}
    return found


def _answers(model: Any, tokenizer: Any, examples: Sequence[WriterExample]) -> list[str]:
    return write_answers(model, tokenizer, [str(example.chat.user) for example in examples])


if __name__ == "__main__":
    main()
