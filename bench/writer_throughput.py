"""Reports a second through vLLM against Hugging Face's `generate`, same weights and same prompts.

Ours is the engine as the service configures it: continuous batching, prefix caching, base and LoRA
adapter apart, answers held to the report's form. The baseline is `generate` with the adapter
merged into the base (no LoRA arithmetic), greedy, padded on the left, as many tokens at most; it
decodes free, since `generate` knows no such constraint, and a row with vLLM decoding free as well
stands beside. Each side has the precision and the device of `writer.*`; on a CPU the baseline gets
the number of threads that it is fastest with. Prompts are drawn as the adapter's corpus draws
them and built by the product's code; each turn draws new ones, so that none is found in a cache
but for the template's head, as in the service. How many answers are equal stands in the note.

Then the time to a report where 1, 8 and 32 clients each ask the next question as soon as they have
an answer. The baseline there is computed: the measured one-by-one times in a queue, first come,
first served.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from bench.result import Ratio
from pirta.contracts.release import Decoding
from pirta.reporting.answer import ANSWER_REGEX
from pirta.settings import WriterSettings, load_settings
from train_jobs.writer_corpus import writer_example
from train_jobs.writer_engine import AnswerEngine, open_engine
from train_jobs.writer_folder import load_tokenizer
from train_jobs.writer_scores import MAX_ANSWER_TOKENS, write_answers

TURNS = 5
PROMPTS = 64
BATCH = 16
CLIENTS = (1, 8, 32)
FEWEST_OF_A_CLIENT = 8
# Seeds of prompts that no turn has shown to the engine yet.
CLIENTS_SEED, FREE_SEED = 1_000, 2_000


@dataclass
class Measured:
    """Seconds of each turn on each side, and what was answered.

    Attributes:
        one_s: of single answers, one by one, all turns.
    """

    constrained_s: list[float] = field(default_factory=list)
    free_s: list[float] = field(default_factory=list)
    batched_s: list[float] = field(default_factory=list)
    alone_s: list[float] = field(default_factory=list)
    one_s: list[float] = field(default_factory=list)
    equal: dict[str, int] = field(default_factory=lambda: dict.fromkeys(_COMPARED, 0))
    answers: int = 0


_COMPARED = ("constrained", "free", "batched")


def run() -> Iterator[Ratio]:
    """Measure reports a second and the time to a report."""
    yield from asyncio.run(_collected())


async def _collected(turns: int = TURNS, num_prompts: int = PROMPTS) -> list[Ratio]:
    writer = load_settings().writer
    plain = PlainWriter(writer)
    decoding = Decoding(max_answer_tokens=MAX_ANSWER_TOKENS)
    folders = (writer.base_path, writer.adapter_path)
    async with open_engine(
        *folders, writer, decoding=decoding, on_stage=lambda _stage: None
    ) as engine:
        threads = plain.choose_threads(drawn_prompts(0, 4))
        measured = Measured()
        for turn in range(turns + 1):
            # The first one warms up: kernels, caches and the grammar of the report's form.
            into = Measured() if turn == 0 else measured
            await _turn(engine, plain, into, seed=turn + 1, num_prompts=num_prompts)
        ratios = [*_throughput(measured, num_prompts, threads)]
        async for one in _latencies(engine, measured.one_s):
            ratios.append(one)
    return ratios


async def _turn(
    engine: AnswerEngine, plain: PlainWriter, into: Measured, *, seed: int, num_prompts: int
) -> None:
    prompts = drawn_prompts(seed, num_prompts)
    started = time.perf_counter()
    constrained = await _together(engine, prompts, ANSWER_REGEX)
    into.constrained_s.append(time.perf_counter() - started)

    alone, one_s = [], []
    for prompt in prompts:
        started = time.perf_counter()
        alone += plain.answers([prompt], batch_size=1)
        one_s.append(time.perf_counter() - started)
    into.one_s += one_s
    into.alone_s.append(sum(one_s))

    # Other prompts of the same kind: those above lie in the engine's cache by now.
    others = drawn_prompts(FREE_SEED + seed, len(prompts))
    started = time.perf_counter()
    await _together(engine, others, None)
    into.free_s.append(time.perf_counter() - started)

    started = time.perf_counter()
    batched = plain.answers(prompts, batch_size=BATCH)
    into.batched_s.append(time.perf_counter() - started)

    free_of_same = await _together(engine, prompts, None)
    for name, answers in zip(_COMPARED, (constrained, free_of_same, batched), strict=True):
        into.equal[name] += sum(a == b for a, b in zip(answers, alone, strict=True))
    into.answers += len(prompts)


async def _together(engine: AnswerEngine, prompts: Sequence[str], regex: str | None) -> list[str]:
    return list(await asyncio.gather(*(engine.answer(one, regex=regex) for one in prompts)))


def _throughput(measured: Measured, num_prompts: int, threads: int) -> Iterator[Ratio]:
    def rate(seconds: Sequence[float]) -> float:
        return num_prompts / float(np.median(seconds))

    alone = ("generate, merged, one by one, free", rate(measured.alone_s))
    batched = (f"generate, merged, batch {BATCH}, free", rate(measured.batched_s))
    ours = {
        "constrained": ("vLLM, LoRA, constrained", rate(measured.constrained_s)),
        "free": ("vLLM, LoRA, free", rate(measured.free_s)),
    }
    for form, baseline in (("constrained", alone), ("free", alone), ("constrained", batched)):
        note = (
            f"{measured.equal[form]} of {measured.answers} answers equal; baseline on "
            f"{threads} thread(s)"
        )
        if baseline is batched:
            note += f", its answers equal one by one's in {measured.equal['batched']}"
        yield Ratio(
            f"Writing {num_prompts} reports at once, {form}", *ours[form], *baseline,
            "reports/s", ours[form][1] / baseline[1], note,
        )  # fmt: skip


async def _latencies(engine: AnswerEngine, one_s: Sequence[float]) -> AsyncIterator[Ratio]:
    for place, clients in enumerate(CLIENTS):
        each = max(FEWEST_OF_A_CLIENT, PROMPTS // clients)
        prompts = drawn_prompts(CLIENTS_SEED + place, clients * each)
        waited_s: list[float] = []

        async def client(questions: Sequence[str], waited_s: list[float] = waited_s) -> None:
            for question in questions:
                started = time.perf_counter()
                await engine.answer(question, regex=ANSWER_REGEX)
                waited_s.append(time.perf_counter() - started)

        await asyncio.gather(*(client(prompts[n::clients]) for n in range(clients)))
        queued_s = waits_in_a_queue(one_s, clients=clients)
        (p50, p99), (queued_p50, queued_p99) = _p50_p99(waited_s), _p50_p99(queued_s)
        yield Ratio(
            f"Time to a report's words at {clients} client(s), p50",
            "vLLM, constrained", p50 * 1e3, "generate, one by one in a queue", queued_p50 * 1e3,
            "ms", queued_p50 / p50,
            f"p99 {p99 * 1e3:.0f} ms against {queued_p99 * 1e3:.0f} ms; {len(waited_s)} reports; "
            "the queue is computed from the measured times",
        )  # fmt: skip


def waits_in_a_queue(one_s: Sequence[float], *, clients: int) -> list[float]:
    """Return each answer's wait where `clients` ask a server that answers one after the other.

    A client asks again at once: an answer is waited for as long as itself and the `clients` - 1
    before it take. The first round, in which the queue fills, is left out.
    """
    ends_s = np.cumsum([0.0, *one_s])
    return [float(ends_s[place] - ends_s[place - clients]) for place in range(clients, len(ends_s))]


def drawn_prompts(seed: int, number: int) -> list[str]:
    """Return prompts of the writer's corpus, as the product builds them."""
    rng = np.random.default_rng((17, seed))
    return [str(writer_example(rng).chat.user) for _ in range(number)]


class PlainWriter:
    """The same base with the adapter merged into it, in transformers."""

    def __init__(self, writer: WriterSettings) -> None:
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        self._tokenizer = load_tokenizer(writer.base_path)
        base = AutoModelForCausalLM.from_pretrained(
            writer.base_path,
            local_files_only=True,
            use_safetensors=True,
            dtype=getattr(torch, writer.dtype),
        )
        adapted: Any = PeftModel.from_pretrained(base, str(writer.adapter_path))
        device = "cpu" if writer.accelerator is None else "cuda"
        self._model = adapted.merge_and_unload().eval().to(device)

    def answers(self, prompts: Sequence[str], *, batch_size: int) -> list[str]:
        """Return the greedy answers, `batch_size` prompts at a time."""
        return write_answers(self._model, self._tokenizer, prompts, batch_size=batch_size)

    def choose_threads(self, prompts: Sequence[str]) -> int:
        """Set and return the number of torch's threads that answers one by one fastest."""
        taken_s: dict[int, float] = {}
        for threads in sorted({1, len(os.sched_getaffinity(0))}):
            torch.set_num_threads(threads)
            self.answers(prompts[:1], batch_size=1)
            started = time.perf_counter()
            self.answers(prompts, batch_size=1)
            taken_s[threads] = time.perf_counter() - started
        best = min(taken_s, key=lambda threads: taken_s[threads])
        torch.set_num_threads(best)
        return best


def _p50_p99(seconds: Sequence[float]) -> tuple[float, float]:
    p50, p99 = np.percentile(seconds, (50, 99))
    return float(p50), float(p99)
