"""What stands around the engine: each question once, so many at once, and what does not start."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

import pytest

from pirta.contracts.release import Decoding
from pirta.errors import CheckpointError, UnavailableError
from pirta.settings import SHIPPED_WEIGHTS, WriterSettings
from tests.unit.train_jobs.writer_questions import Scripted
from train_jobs.writer_engine import RememberedAnswers, check_adapter, open_engine

BASE, ADAPTER = SHIPPED_WEIGHTS / "writer_base", SHIPPED_WEIGHTS / "writer_adapter"


async def test_a_question_is_asked_once_and_another_form_of_it_is_another() -> None:
    engine = Scripted(lambda user: f"to {user}")
    remembered = RememberedAnswers(engine)
    together = [remembered.answer("a", regex="x") for _ in range(5)]
    assert await asyncio.gather(*together) == ["to a"] * 5
    await remembered.answer("a", regex=None)
    await remembered.answer("a", regex="x")
    assert engine.asked == [("a", "x"), ("a", None)]


async def test_no_more_questions_than_allowed_are_under_way() -> None:
    engine = Scripted(str)
    remembered = RememberedAnswers(engine, concurrent=3)
    await asyncio.gather(*(remembered.answer(str(n), regex=None) for n in range(20)))
    assert engine.most_at_once == 3


async def test_one_who_gives_up_waiting_does_not_take_the_answer_from_others() -> None:
    gate = asyncio.Event()

    class Slow:
        async def answer(self, user: str, *, regex: str | None) -> str:
            del regex
            await gate.wait()
            return user

    remembered = RememberedAnswers(Slow())
    impatient = asyncio.create_task(remembered.answer("a", regex=None))
    patient = asyncio.create_task(remembered.answer("a", regex=None))
    await asyncio.sleep(0)
    impatient.cancel()
    gate.set()
    assert await patient == "a"


def test_the_shipped_adapter_belongs_to_the_shipped_base() -> None:
    base, adapter = check_adapter(BASE, ADAPTER)
    assert base != adapter


def test_an_adapter_of_another_base_is_refused(tmp_path: Path) -> None:
    adapter = shutil.copytree(ADAPTER, tmp_path / "adapter")
    manifest = json.loads((adapter / "manifest.json").read_text())
    manifest["config"]["base_sha256"] = "0" * 64
    (adapter / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(CheckpointError, match="trained on the base 000000000000"):
        check_adapter(BASE, adapter)


def test_a_base_in_the_adapters_place_is_refused() -> None:
    with pytest.raises(CheckpointError, match="writer_base"):
        check_adapter(BASE, BASE)


async def test_a_machine_without_vllm_is_told_what_to_install(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vllm", None)
    stages: list[str] = []
    with pytest.raises(UnavailableError, match=r"vLLM.*extra `cpu` or `gpu`"):
        async with open_engine(
            BASE, ADAPTER, WriterSettings(), decoding=Decoding(), on_stage=stages.append
        ):
            pytest.fail("there is no engine")
    assert stages == ["importing vLLM"]
