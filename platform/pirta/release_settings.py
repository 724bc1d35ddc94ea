"""Where the releases' state is kept, and the times of a switch.

Part of `pirta.settings`, in a file of its own. The defaults suit one machine: a SQLite file in
the working directory; several machines share a PostgreSQL by its URL.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, SecretStr


class ReleasesSettings(BaseModel):
    """The release store."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    store_url: SecretStr = Field(
        default=SecretStr("sqlite:///pirta-releases.db"),
        description="URL of the release store: sqlite:///FILE for one machine (a relative FILE is "
        "of the folder in which the settings are loaded; never on a network drive), or "
        "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE for several.",
    )
    poll_s: float = Field(
        default=1.0, gt=0, le=5, description="How often a replica asks which releases to hold."
    )
    stage_timeout_s: float = Field(
        default=300.0, gt=0, description="Time for every replica to load a staged release."
    )
    drain_timeout_s: float = Field(
        default=180.0, gt=0, description="Time for a retiring release's last requests to end."
    )
    replica_stale_s: float = Field(
        default=10.0, gt=0, description="A replica that was not heard of for so long is gone."
    )

    def anchored(self, folder: Path) -> ReleasesSettings:
        """Return these settings with a relative SQLite file taken from `folder`.

        Replicas run in folders of their own; each would find an empty store in its own.
        """
        kind, slashes, file = self.store_url.get_secret_value().partition(":///")
        if not slashes or kind.partition("+")[0] != "sqlite" or file in {"", ":memory:"}:
            return self
        url = f"{kind}:///{(folder / file).as_posix()}"
        return self.model_copy(update={"store_url": SecretStr(url)})
