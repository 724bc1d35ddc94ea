"""What a run says at its end: every case counted by seed and by mutator, and faults fail it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Self

import pytest

from fuzz import __main__ as command
from fuzz.pool import Outcome

OUTCOMES = (
    Outcome(0, "mha", "bomb", ("a bomb",), "refused", "file_unreadable"),
    Outcome(1, "mha", "none", (), "clean", "", read_s=0.5),
    Outcome(2, "nifti1", "bomb", ("a bomb",), "fault", "took 4096 MB", peak_bytes=2**32),
)


class _Known:
    """Stands for the worker: gives known outcomes."""

    def __init__(self, arguments: Sequence[str]) -> None:
        assert arguments

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return None

    def run(self, indices: Sequence[int]) -> Iterator[Outcome]:
        """Yield the outcomes asked for."""
        return (OUTCOMES[index] for index in indices)


@pytest.fixture
def known_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the known outcomes in the worker's place, and leave signals as they are."""
    monkeypatch.setattr(command, "WorkerProcess", _Known)
    monkeypatch.setattr("signal.signal", lambda *_: None)


@pytest.mark.usefixtures("known_worker")
def test_a_fault_is_shown_with_what_repeats_it_and_fails_the_run(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert command.main(["--count", "3", "--seed", "9", "--no-real"]) == 1
    shown = capsys.readouterr().out
    assert "python -m fuzz --seed 9 --only 2" in shown
    assert "| mha | 2 | 1 | 1 | 0 | 0 | 0 |" in shown
    assert "| bomb | 2 | 1 | 0 | 0 | 0 | 1 |" in shown
    assert shown.count("| all | 3 | 1 | 1 | 0 | 0 | 1 |") == 2
    assert "most memory 4096 MB above the start (case 2)" in shown


@pytest.mark.usefixtures("known_worker")
def test_a_run_without_faults_succeeds(capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main(["--count", "2", "--no-real"]) == 0
    assert "Refusals: file_unreadable 1." in capsys.readouterr().out
