"""A worker that hangs, dies or grows is a fault of the case it read, and the next one is read."""

from __future__ import annotations

import sys

from fuzz.pool import Outcome, WorkerProcess

WORKER = """
import json, sys, time
def say(**fields):
    print(json.dumps(fields), flush=True)
say(stage="ready", baseline_bytes=10)
for line in sys.stdin:
    say(stage="made", seed="toy", mutator="none", notes=["a note"])
    if line == "1\\n":
        time.sleep(60)
    if line == "2\\n":
        sys.exit(7)
    peak = 2**32 if line == "3\\n" else 2**20
    say(stage="read", read_s=0.1, peak_bytes=peak, printed=0)
    say(stage="judged", outcome="clean", detail="")
"""


def test_hanging_dying_and_growing_are_faults_and_the_next_case_is_read() -> None:
    with WorkerProcess([sys.executable, "-c", WORKER], limit_s=0.3) as worker:
        outcomes = list(worker.run(range(5)))
    assert [one.outcome for one in outcomes] == ["clean", "fault", "fault", "fault", "clean"]
    hung, died, grew = outcomes[1:4]
    assert "no answer before 'read' in time" in hung.detail
    assert "died (exit code 7)" in died.detail
    assert "took 4096 MB" in grew.detail
    assert isinstance(hung, Outcome)
    assert (hung.seed, hung.notes) == ("toy", ("a note",))
