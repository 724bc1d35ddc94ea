"""Pretrain the demo language model: `python -m train_jobs.train_writer_base --run demo`.

A Llama of a few million weights with its own tokenizer, from scratch on made-up text
(`writer_corpus`), so that the whole path runs on a laptop with the architecture, chat template
and engine that Llama-3-8B-Instruct has on a GPU. It knows nothing of medicine beyond that
text. The result is a folder that transformers and vLLM load, with a manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pirta.models.checkpoint import CheckpointManifest, write_manifest
from train_jobs.launch import launch
from train_jobs.writer_corpus import Chat, base_document, writer_example
from train_jobs.writer_folder import (
    check_target,
    filled_folder,
    load_tokenizer,
    run_as_command,
    save_tokenizer,
)
from train_jobs.writer_loop import load_weights, run_loop
from train_jobs.writer_presets import BASE_RUNS, BaseRun, named_run
from train_jobs.writer_scores import scores, write_answers
from train_jobs.writer_tokens import token_row, train_tokenizer

JOB = "writer_base"
TOKENIZER_FOLDER = "tokenizer"


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description="Pretrain the demo language model.")
    parser.add_argument("--run", default="demo", help=f"one of {', '.join(BASE_RUNS)}")
    parser.add_argument("--out", type=Path, help="the run's folder (default runs/writer_base-RUN)")
    parser.add_argument("--to", type=Path, help="where the model goes (default OUT/weights)")
    asked = parser.parse_args()
    run_as_command(lambda: _train_as_asked(asked))


def _train_as_asked(asked: argparse.Namespace) -> CheckpointManifest:
    run = named_run(BASE_RUNS, asked.run)
    out = asked.out or Path("runs") / f"{JOB}-{run.name}"
    return train_base(run, run_dir=out, to=asked.to or out / "weights")


def train_base(
    run: BaseRun, *, run_dir: Path, to: Path, show: Callable[[str], None] | None = None
) -> CheckpointManifest:
    """Train a base as `run` says, going on where `run_dir` holds this run, and write it to `to`.

    Raises:
        TrainingError: `to` holds other things; or see `launch`.
    """
    check_target(to)
    texts = [_text(document) for document in documents(run)]
    tokenizer_dir = run_dir / TOKENIZER_FOLDER
    if not tokenizer_dir.is_dir():
        save_tokenizer(train_tokenizer(texts, vocab_size=run.vocab_size), tokenizer_dir)
    result = launch(
        train_loop,
        {"run": run.model_dump(mode="json"), "run_dir": str(run_dir.resolve())},
        run_dir=run_dir,
        name=JOB,
        num_workers=run.loop.num_workers,
        use_gpu=run.loop.use_gpu,
        resume=True,
        cpus_per_worker=run.loop.num_threads,
        show=show,
    )
    torch.set_num_threads(run.loop.num_threads)  # more would fight over a shared machine
    model = build_model(run, load_tokenizer(tokenizer_dir))
    assert result.checkpoint is not None
    with result.checkpoint.as_directory() as folder:
        load_weights(model, Path(folder))
    data_sha256 = hashlib.sha256("\0".join(texts).encode()).hexdigest()
    return export_base(model, run, tokenizer_dir, to, data_sha256=data_sha256)


def train_loop(config: dict[str, Any]) -> None:
    """Train on one Ray Train worker."""
    run = BaseRun.model_validate(config["run"])
    run_dir = Path(config["run_dir"])
    tokenizer = load_tokenizer(run_dir / TOKENIZER_FOLDER)
    rows = [token_row(tokenizer, document) for document in documents(run)]
    model = build_model(run, tokenizer)
    run_loop(model, rows, run.loop, pad_id=tokenizer.pad_token_id, run_dir=run_dir)


def documents(run: BaseRun) -> list[Chat]:
    """Return the run's corpus, the same each time."""
    rng = np.random.default_rng((run.loop.seed, 1))
    return [base_document(rng) for _ in range(run.num_documents)]


def build_model(run: BaseRun, tokenizer: Any) -> Any:
    """Return a Llama with fresh weights drawn from the run's seed."""
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(run.loop.seed)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=-(-len(tokenizer) // 64) * 64,
            hidden_size=run.hidden_size,
            intermediate_size=run.intermediate_size,
            num_hidden_layers=run.num_layers,
            num_attention_heads=run.num_heads,
            num_key_value_heads=run.num_kv_heads,
            max_position_embeddings=run.max_tokens,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )


def export_base(
    model: Any, run: BaseRun, tokenizer_dir: Path, to: Path, *, data_sha256: str
) -> CheckpointManifest:
    """Write the model in bfloat16 with its tokenizer, measured as it was stored."""
    tokenizer = load_tokenizer(tokenizer_dir)
    model.to(torch.bfloat16)
    with filled_folder(to) as folder:
        model.save_pretrained(folder)
        save_tokenizer(tokenizer, folder)
        return write_manifest(
            folder,
            kind=JOB,
            config=json.loads(model.config.to_json_string()),
            run=run.model_dump(mode="json"),
            data_sha256=data_sha256,
            preprocessing_fingerprint=None,
            metrics=held_out_metrics(model.to(torch.float32).eval(), tokenizer, run),
            command=f"python -m train_jobs.train_writer_base --run {run.name}",
        )


def held_out_metrics(model: Any, tokenizer: Any, run: BaseRun) -> dict[str, float]:
    """Return the share of held-out chats answered to the letter, and Table-3 prompts likewise."""
    rng = np.random.default_rng((run.loop.seed, 2))
    chats = [base_document(rng) for _ in range(run.num_held_out)]
    asked = [(chat.user, chat.answer) for chat in chats if chat.user is not None]
    answers = write_answers(model, tokenizer, [user for user, _ in asked])
    right = sum(answer.strip() == known for answer, (_, known) in zip(answers, asked, strict=True))
    examples = [writer_example(rng) for _ in range(run.num_held_out)]
    reports = write_answers(model, tokenizer, [str(item.chat.user) for item in examples])
    return {
        "held_out_chats_equal": right / max(1, len(asked)),
        **{f"report_{name}": value for name, value in scores(examples, reports).items()},
        "num_weights": float(sum(value.numel() for value in model.parameters())),
    }


def _text(document: Chat) -> str:
    return document.answer if document.user is None else f"{document.user}\n{document.answer}"


if __name__ == "__main__":
    main()
