"""A preprocessing run's record, and which studies it need not touch again.

A run goes from its first session to the one that ends it, whatever was killed in between. What
is prepared counts for ever, while its key stays the same; what is refused counts within the run.
Manifests add up in a store, provided that all of it is prepared alike.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import uuid
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import ray

from pirta.cohort.prepared_rows import Row
from pirta.cohort.shards import (
    Gathered,
    Planned,
    read_run,
    shards_of,
    standing_rows,
    write_run,
)
from pirta.contracts.case import CaseRecord
from pirta.errors import FingerprintError
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

    def begin(self) -> None:
        """Note that the run has begun, or goes on.

        Raises:
            StoreError: the store cannot be written.
        """
        write_run(self.root, self.record)

    def end(self, counts: Gathered) -> None:
        """Note that the run has ended, with its counts."""
        outcome = {
            "state": ENDED,
            "ended": _now(),
            "prepared": counts.num_done,
            "refused": counts.num_refused,
            "of_earlier_manifests": counts.num_others,
        }
        write_run(self.root, {**self.record, **outcome})

    def finished(self, planned: Mapping[str, Planned]) -> dict[str, bool]:
        """Return the planned cases that have their outcome, and whether it is a refusal.

        Raises:
            FingerprintError: the store holds other cases, prepared with other settings.
        """
        found: dict[str, bool] = {}
        num_foreign = 0
        for row in self._standing():
            case_id, is_refusal = str(row["case_id"]), row["code"] is not None
            plan = planned.get(case_id)
            if plan is None:
                num_foreign += not is_refusal and row["fingerprint"] != self.record["fingerprint"]
            elif plan.work_key == row["work_key"]:
                found[case_id] = is_refusal
        if num_foreign:
            raise FingerprintError(
                f"The output holds {num_foreign} studies that this manifest does not name, and "
                "that were prepared with other settings; their numbers would not compare.",
                remedy="Name them in the manifest too, which prepares them again; or take another "
                "output folder, or the settings that OUT/run.json holds.",
            )
        return found

    def _standing(self) -> Iterator[Row]:
        for shard in shards_of(self.root):
            if shard.is_open():
                shard.close()  # left by a session that was cut off
            yield from standing_rows(shard, self.run_id)


def plan_cases(cases: Iterable[CaseRecord], keys: WorkKeys) -> dict[str, Planned]:
    """Return each case's key and place, by its id."""
    return {case.case_id: Planned(keys.of(case), place) for place, case in enumerate(cases)}


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


def next_run(root: str, settings: Settings) -> Run:
    """Return the run that was cut off here, or a new one; nothing is written.

    Raises:
        ManifestError: the store's record is damaged.
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
    origin = {"run_id": run_id, "pirta_version": version, "commit": commit}
    return Run(root, run_id, settings, origin, record)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
