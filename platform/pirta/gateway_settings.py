"""Who may come in by the gateway's door, and whose cases they may see.

Part of `pirta.settings`, in a file of its own. What a request may see follows from its token
alone: a site's token fixes the site, and `sees` says which sites' cases may be its evidence.
Nothing is checked here against a request; see `serve_apps.door`.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator


class SiteAccess(BaseModel):
    """One site's tokens, and the sites whose cases its requests may see."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tokens: tuple[SecretStr, ...] = Field(
        default=(), description="Bearer tokens of this site; a request with one is this site's."
    )
    sees: Literal["own", "partners", "network"] = Field(
        default="own",
        description="own: its own cases; partners: also those of `partners`; network: all.",
    )
    partners: tuple[str, ...] = Field(
        default=(), description='Sites whose cases it may see too, with sees = "partners".'
    )

    @model_validator(mode="after")
    def _partners_where_they_count(self) -> SiteAccess:
        """Refuse partners that no rule looks at: somebody believes that they are seen."""
        if (self.sees == "partners") != bool(self.partners):
            raise ValueError('sees = "partners" and a list of partners go together')
        return self

    def visible_sites(self, own_site: str) -> frozenset[str] | None:
        """Return the sites whose cases `own_site` may see; None is the whole network."""
        if self.sees == "network":
            return None
        return frozenset({own_site, *self.partners})


class GatewaySettings(BaseModel):
    """The door to the outside. Closed by default: see `serve_apps.door`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8000, ge=1, le=65535, description="Port to listen on.")
    tokens: tuple[SecretStr, ...] = Field(
        default=(),
        description="Bearer tokens of no site of their own, which see the whole network's cases; "
        "without any token, here or in `sites`, nothing starts.",
    )
    sites: dict[str, SiteAccess] = Field(
        default_factory=dict,
        description="Sites with tokens of their own, a block a site's name as the index has it: "
        '`tokens`, `sees` ("own", "partners" or "network") and `partners` (names of sites).',
    )
    admin_tokens: tuple[SecretStr, ...] = Field(
        default=(), description="Bearer tokens that open the admin API; without any it is shut."
    )
    demo: bool = Field(
        default=False, description="Let everybody in. Refused unless the host is loopback."
    )
    max_upload_mb: int = Field(
        default=256, ge=1, description="Largest upload, all files of a study."
    )
    request_timeout_s: float = Field(default=120.0, gt=0, description="Time for one report.")
    max_queued_requests: int = Field(
        default=64, ge=1, description="Reports waiting at the most; more get 503."
    )

    @model_validator(mode="after")
    def _one_door_a_token(self) -> GatewaySettings:
        """Refuse a token that stands twice: whose request it is would be a matter of order."""
        doors = {"tokens": self.tokens, "admin_tokens": self.admin_tokens}
        doors |= {f"sites.{name}.tokens": site.tokens for name, site in self.sites.items()}
        counts = Counter(token.get_secret_value() for door in doors.values() for token in door)
        for name, door in doors.items():
            if any(counts[token.get_secret_value()] > 1 for token in door):
                raise ValueError(f"a token of {name} stands twice; give each door its own")
        return self
