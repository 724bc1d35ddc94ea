"""All configuration, frozen and explicit: a TOML file, then PIRTA_* variables over it.

`PIRTA_GATEWAY__PORT=9000` sets `gateway.port`. Units are in the names. Nothing is read at
import: call `load_settings`. docs/SETTINGS.md lists every field; a test fails when one is
missing there. The same code goes from a laptop to a GPU cluster by these values alone.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from pirta.archive_settings import ArchiveSettings as ArchiveSettings
from pirta.errors import SettingsError
from pirta.gateway_settings import GatewaySettings as GatewaySettings
from pirta.gateway_settings import SiteAccess as SiteAccess
from pirta.quality_settings import DEFAULT_QUALITY as DEFAULT_QUALITY
from pirta.quality_settings import QualitySettings as QualitySettings
from pirta.release_settings import ReleasesSettings as ReleasesSettings

SHIPPED_WEIGHTS = Path(__file__).parent / "weights"


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class PreprocessingSettings(_Frozen):
    """How a volume is made ready. All but times enters the preprocessing fingerprint."""

    stripper: Literal["auto", "deepbet", "already-stripped", "external"] = Field(
        default="auto",
        description="auto: detect a stripped volume by its exact-zero background, else deepbet. "
        "external: run strip_command.",
    )
    strip_command: tuple[str, ...] = Field(
        default=(),
        description="Program and arguments of an external stripper, with {input} for the DWI and "
        "{output} for the mask or the stripped volume, both NIfTI.",
    )
    strip_timeout_s: float = Field(
        default=600.0, gt=0, description="Time an external stripper may take for one study."
    )
    n4_fit_spacing_mm: float = Field(
        default=5.2,
        ge=1,
        le=20,
        description="N4 is fitted on a grid thinned in the plane to about this spacing.",
    )
    n4_iterations: tuple[int, ...] = Field(
        default=(50, 50, 50, 50), description="N4 iterations a fitting level."
    )
    n4_on_adc: bool = Field(
        default=False, description="Correct the ADC too; it is a ratio in which bias cancels."
    )

    @model_validator(mode="after")
    def _command_where_it_is_used(self) -> PreprocessingSettings:
        """Refuse an external stripper without its command, and a command that nothing runs."""
        if (self.stripper == "external") != bool(self.strip_command):
            raise ValueError('stripper = "external" and strip_command go together')
        text = " ".join(self.strip_command[1:])
        missing = [part for part in ("{input}", "{output}") if part not in text]
        if self.strip_command and missing:
            raise ValueError(f"strip_command has no {' and no '.join(missing)}")
        return self


class EncoderSettings(_Frozen):
    """Where the image encoder lies and how it runs."""

    path: Path = Field(
        default=SHIPPED_WEIGHTS / "encoder", description="Folder of the encoder checkpoint."
    )
    device: Literal["cpu", "cuda"] = Field(default="cpu", description="Torch device.")
    num_threads: int = Field(default=1, ge=1, description="Torch threads a replica.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        default="auto", description="auto: bfloat16 where the device has units for it."
    )


class IndexSettings(_Frozen):
    """The vector store."""

    uri: str = Field(default="http://127.0.0.1:19530", description="Milvus or milvus-lite server.")
    token: SecretStr = Field(default=SecretStr(""), description="Milvus token, if it wants one.")
    top_k: int = Field(
        default=5, ge=1, le=100, description="Neighbours a report, for new releases."
    )
    timeout_s: float = Field(default=10.0, gt=0, description="Time for one search.")
    load_timeout_s: float = Field(
        default=300.0, gt=0, description="Time for Milvus to load a release's collection."
    )
    flat_up_to_rows: int = Field(
        default=200_000,
        ge=0,
        description="A new release's index is exact (FLAT) up to so many rows, HNSW above.",
    )
    hnsw_m: int = Field(default=32, ge=4, le=64, description="HNSW: links a node.")
    hnsw_ef_construction: int = Field(
        default=200, ge=8, le=2048, description="HNSW: candidates while the graph is built."
    )
    hnsw_ef: int = Field(
        default=256, ge=1, le=32_768, description="HNSW: candidates of a search; never below top_k."
    )


class WriterSettings(_Frozen):
    """The language model and how it decodes."""

    base_path: Path = Field(
        default=SHIPPED_WEIGHTS / "writer_base", description="Folder of the base model."
    )
    adapter_path: Path = Field(
        default=SHIPPED_WEIGHTS / "writer_adapter", description="Folder of the LoRA adapter."
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        default="float32", description="Engine precision."
    )
    accelerator: str | None = Field(
        default=None, description="Ray accelerator type (H100, A100, ...); None runs on the CPU."
    )
    tensor_parallel_size: int = Field(default=1, ge=1, description="GPUs an engine replica.")
    memory_utilization: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="Share of CPU or GPU memory the engine may take; `pirta writer-memory` tells "
        "what a base needs.",
    )
    max_model_tokens: int = Field(default=1024, ge=256, description="Longest prompt plus answer.")
    max_answer_tokens: int = Field(default=256, ge=32, description="Longest answer.")
    max_lora_rank: int = Field(default=16, ge=1, description="Largest adapter rank served.")
    timeout_s: float = Field(
        default=30.0,
        gt=0,
        description="Time for a report's words, a second try included; after it the template "
        "answers. Below gateway.request_timeout_s.",
    )


class ReplicaSettings(_Frozen):
    """Scaling of one deployment."""

    min_replicas: int = Field(default=1, ge=0, description="Replicas kept when idle.")
    max_replicas: int = Field(default=1, ge=1, description="Replicas at the most.")
    target_ongoing_requests: float = Field(
        default=2.0, gt=0, description="Requests a replica at which more are added."
    )
    max_ongoing_requests: int = Field(default=8, ge=1, description="Requests a replica takes.")
    num_cpus: float = Field(default=0.1, ge=0, description="Logical CPUs reserved a replica.")
    num_gpus: float = Field(default=0.0, ge=0, description="GPUs reserved a replica.")


class ScalingSettings(_Frozen):
    """Scaling of the graph, a block a deployment."""

    gateway: ReplicaSettings = ReplicaSettings(max_ongoing_requests=64)
    preprocessor: ReplicaSettings = ReplicaSettings(max_ongoing_requests=2)
    encoder: ReplicaSettings = ReplicaSettings()
    retriever: ReplicaSettings = ReplicaSettings(max_ongoing_requests=32)
    writer: ReplicaSettings = ReplicaSettings(max_ongoing_requests=32)
    engine: ReplicaSettings = ReplicaSettings(max_ongoing_requests=32)

    @model_validator(mode="before")
    @classmethod
    def _keep_the_other_defaults(cls, values: object) -> object:
        """Let a block that sets one field keep this deployment's other defaults."""
        if not isinstance(values, dict):
            return values
        fields = cls.model_fields
        return {
            name: {**fields[name].default.model_dump(), **value}
            if name in fields and isinstance(value, dict)
            else value
            for name, value in values.items()
        }


class Settings(BaseSettings):
    """Everything that can be set."""

    model_config = SettingsConfigDict(
        frozen=True, extra="forbid", env_prefix="PIRTA_", env_nested_delimiter="__"
    )

    preprocessing: PreprocessingSettings = PreprocessingSettings()
    quality: QualitySettings = DEFAULT_QUALITY
    site_quality: dict[str, QualitySettings] = Field(
        default_factory=dict,
        description="Quality limits of single sites, a block a site's name; what a block leaves "
        "out stands as in `quality`.",
    )
    archive: ArchiveSettings = ArchiveSettings()
    encoder: EncoderSettings = EncoderSettings()
    index: IndexSettings = IndexSettings()
    writer: WriterSettings = WriterSettings()
    scaling: ScalingSettings = ScalingSettings()
    gateway: GatewaySettings = GatewaySettings()
    releases: ReleasesSettings = ReleasesSettings()

    @model_validator(mode="before")
    @classmethod
    def _sites_start_from_quality(cls, values: object) -> object:
        """Fill a site's block with the limits that it leaves out."""
        if not isinstance(values, dict) or not isinstance(values.get("site_quality"), dict):
            return values
        shared = values.get("quality", {})
        if isinstance(shared, QualitySettings):
            shared = shared.model_dump()
        if not isinstance(shared, dict):
            return values  # told by its own check
        sites = {
            str(name).lower(): {**shared, **block} if isinstance(block, dict) else block
            for name, block in values["site_quality"].items()
        }
        return {**values, "site_quality": sites}

    @model_validator(mode="after")
    def _template_has_its_turn(self) -> Settings:
        """Refuse times that would end a request before the template could answer."""
        if self.writer.timeout_s >= self.gateway.request_timeout_s:
            raise ValueError(
                f"writer.timeout_s ({self.writer.timeout_s:g}) is not below "
                f"gateway.request_timeout_s ({self.gateway.request_timeout_s:g})"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let the environment win over what `load_settings` read from the file."""
        del settings_cls, dotenv_settings, file_secret_settings
        return (env_settings, init_settings)

    def quality_for(self, site: str) -> QualitySettings:
        """Return the quality limits of a site: its own, or those of all; case does not count."""
        return self.site_quality.get(site.lower(), self.quality)

    def sha256(self) -> str:
        """Return the hash of all values; secrets enter as their mask."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()


def load_settings(path: Path | None = None) -> Settings:
    """Return the settings of a TOML file (or the defaults), with PIRTA_* over them.

    Raises:
        SettingsError: the file is missing or no TOML, or a value is unknown or out of range.
    """
    values: dict[str, object] = {}
    if path is not None:
        if not path.is_file():
            raise SettingsError(
                f"The settings file {path} does not exist.",
                remedy="Name an existing TOML file, or leave it out for the defaults.",
            )
        try:
            values = dict(TomlConfigSettingsSource(Settings, toml_file=path).toml_data)
        except ValueError as error:
            raise SettingsError(
                f"The settings file {path} is not valid TOML: {error}.", remedy="Correct that line."
            ) from None
    try:
        settings = Settings(**values)  # type: ignore[arg-type]
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(str(part) for part in item['loc'])}: {item['msg']}"
            for item in error.errors(include_url=False, include_input=False)
        )
        raise SettingsError(
            f"The settings cannot be used: {problems}.",
            remedy="docs/SETTINGS.md lists every field with its range.",
        ) from None
    return settings.model_copy(update={"releases": settings.releases.anchored(Path.cwd())})
