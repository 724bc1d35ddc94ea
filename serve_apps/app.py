"""Composes the graph: `import_path: serve_apps.app:build` with `args: {settings_path: ...}`.

gateway -> preprocessor, encoder, retriever, writer -> engine. Every choice comes from the
settings and the release record; nothing happens at import. Annotations are evaluated here (no
`from __future__`): Serve reads the class of `build`'s argument from them.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from pirta.contracts.release import Release
from pirta.errors import FingerprintError, SettingsError
from pirta.settings import ReplicaSettings, Settings, load_settings

if TYPE_CHECKING:
    from ray.serve import Application

# Health checks and refusals have to get through while reports fill the gateway.
_GATEWAY_HEADROOM = 32


class AppArgs(BaseModel):
    """Arguments of the builder, as they stand in a Serve configuration file.

    Attributes:
        settings_path: TOML file; the defaults and PIRTA_* variables where None.
        release_path: the release record, where it is not the settings' own.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings_path: str | None = None
    release_path: str | None = None


def build(args: AppArgs) -> "Application":
    """Return the application that Serve deploys from a configuration file.

    Raises:
        PirtaError: settings, door, release or weights cannot be used.
    """
    from pirta.releases.record import read_release

    settings = load_settings(None if args.settings_path is None else Path(args.settings_path))
    if settings.gateway.demo:
        # Serve's own configuration says where it listens; `gateway.host` is not asked here.
        raise SettingsError(
            "gateway.demo lets everybody in and is refused in a Serve configuration.",
            remedy="Set gateway.tokens, or use `pirta serve` for a demo on loopback.",
        )
    path = settings.release_path if args.release_path is None else Path(args.release_path)
    return build_app(settings, read_release(path))


def build_app(settings: Settings, release: Release) -> "Application":
    """Return the application for a release. The release says where the weights lie.

    Raises:
        SettingsError: the door would be open.
        ReleaseError: a part of the release is missing or another one.
        FingerprintError: the settings prepare studies otherwise than the release's index.
    """
    from serve_apps.door import check_door

    check_door(settings.gateway)
    check_release(settings, release)
    return _compose(settings_for(settings, release), release)


def check_release(settings: Settings, release: Release) -> None:
    """Check that this machine can serve the release.

    Raises:
        ReleaseError: a part of the release is missing or another one.
        FingerprintError: the settings prepare studies otherwise than the release's index.
    """
    from pirta.imaging.prepare import fingerprint
    from pirta.models.checkpoint import verify_manifest
    from pirta.releases.record import verify_release

    verify_release(release, sha256_of=lambda path, kind: verify_manifest(path, kind=kind).sha256)
    found = fingerprint(settings.preprocessing)
    if found != release.preprocessing_fingerprint:
        raise FingerprintError(
            f"The settings prepare studies as {found}, the index of {release.release_id} was "
            f"made with {release.preprocessing_fingerprint}.",
            remedy="Serve with the preprocessing settings of the release, or build it again.",
        )


def settings_for(settings: Settings, release: Release) -> Settings:
    """Return the settings with the weights' folders of the release."""
    encoder = settings.encoder.model_copy(update={"path": Path(release.encoder_path)})
    writer = settings.writer.model_copy(
        update={
            "base_path": Path(release.writer_base_path),
            "adapter_path": Path(release.writer_adapter_path),
        }
    )
    return settings.model_copy(update={"encoder": encoder, "writer": writer})


def _compose(settings: Settings, release: Release) -> "Application":
    from serve_apps.encoder import Encoder
    from serve_apps.gateway import Gateway
    from serve_apps.llm import adapter_model_id, build_engine
    from serve_apps.preprocessor import Preprocessor
    from serve_apps.retriever import Retriever
    from serve_apps.writer import Writer

    scaling = settings.scaling
    adapter_id = adapter_model_id(release.writer_adapter_sha256)
    engine = build_engine(settings, adapter_id=adapter_id)
    writer = _deployment(Writer, scaling.writer, settings).bind(
        engine, settings.writer, adapter_id=adapter_id
    )
    encoder = _deployment(Encoder, scaling.encoder, settings).bind(
        settings.encoder, expected_sha256=release.encoder_sha256
    )
    gateway = scaling.gateway.model_copy(
        update={"max_ongoing_requests": scaling.gateway.max_ongoing_requests + _GATEWAY_HEADROOM}
    )
    application: Application = _deployment(Gateway, gateway, settings).bind(
        settings,
        release,
        preprocessor=_deployment(Preprocessor, scaling.preprocessor, settings).bind(
            settings.preprocessing, quality=settings.quality, site_quality=settings.site_quality
        ),
        encoder=encoder,
        retriever=_deployment(Retriever, scaling.retriever, settings).bind(settings.index, release),
        writer=writer,
    )
    return application


def _deployment(kind: type, replicas: ReplicaSettings, settings: Settings) -> Any:
    from ray import serve

    from serve_apps.scaling import scaling_options

    return serve.deployment(kind, name=kind.__name__, **scaling_options(replicas, settings))
