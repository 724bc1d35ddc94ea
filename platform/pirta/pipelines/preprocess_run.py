"""A preprocessing run's record, and which studies it need not touch again.

A run goes from its first session to the one that ends it, whatever was killed in between. What
is prepared counts for ever, while its key stays the same; what is refused counts within the run.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import ray

from pirta.cohort.shards import finished_keys, read_run, shards_of, write_run
from pirta.contracts.case import CaseRecord
from pirta.imaging.prepare import fingerprint
from pirta.models.checkpoint import current_commit
from pirta.settings import Settings

OPEN, ENDED = "open", "ended"


@dataclass(frozen=True)
class Run:
    """A run that is going on.

    Attributes:
        origin: what each row says of where it comes from.
    """

    root: str
    run_id: str
    settings: Settings
    origin: dict[str, str]
    record: dict[str, object]

    def finished(self) -> Iterator[tuple[str, bool]]:
        """Yield the keys that have their outcome, and whether it is a refusal."""
        for shard in shards_of(self.root):
            if shard.is_open():
                shard.close()  # left by a session that was cut off
            yield from finished_keys(shard, self.run_id)


class WorkKeys:
    """Names for "this case, prepared and judged like this": the same key, the same outcome."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._fingerprint = fingerprint(settings.preprocessing)
        self._quality: dict[str, str] = {}

    def of(self, case: CaseRecord) -> str:
        """Return the key: over the case, the preprocessing, and its site's quality limits."""
        if case.site not in self._quality:
            self._quality[case.site] = self._settings.quality_for(case.site).model_dump_json()
        content = f"{case.model_dump_json()}\n{self._fingerprint}\n{self._quality[case.site]}"
        return hashlib.sha256(content.encode()).hexdigest()[:20]


def begin_run(root: str, settings: Settings) -> Run:
    """Go on with the run that was cut off here, or begin one.

    Raises:
        ManifestError: the store's record is damaged.
        StoreError: the store cannot be written.
    """
    before = read_run(root) or {}
    goes_on = before.get("state") == OPEN
    run_id = str(before.get("run_id")) if goes_on else uuid.uuid4().hex[:12]
    commit = current_commit(Path(__file__).parent)
    version = importlib.metadata.version("pirta")
    record: dict[str, object] = {
        "run_id": run_id,
        "state": OPEN,
        "started": before.get("started") if goes_on else _now(),
        "fingerprint": fingerprint(settings.preprocessing),
        "settings": {
            name: json.loads(getattr(settings, name).model_dump_json())
            for name in ("preprocessing", "quality", "archive")
        },
        "site_quality": {
            site: json.loads(limits.model_dump_json())
            for site, limits in settings.site_quality.items()
        },
        "pirta_version": version,
        "ray_version": ray.__version__,
        "commit": commit,
    }
    write_run(root, record)
    origin = {"run_id": run_id, "pirta_version": version, "commit": commit}
    return Run(root, run_id, settings, origin, record)


def end_run(run: Run, num_done: int, num_refused: int) -> None:
    """Note that the run has ended, with its counts."""
    outcome = {"state": ENDED, "ended": _now(), "prepared": num_done, "refused": num_refused}
    write_run(run.root, {**run.record, **outcome})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
