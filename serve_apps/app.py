"""Composes the graph: `import_path: serve_apps.app:build` with `args: {settings_path: ...}`.

gateway -> preprocessor, encoder, retriever, writer -> engines, and the release control beside them.
Every choice comes from the settings; which releases are served stands in the store, so that the
graph is the same before, while and after releases are switched. Nothing happens at import.
Annotations are evaluated here (no `from __future__`): Serve reads the class of `build`'s argument
from them.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict

from pirta.errors import SettingsError
from pirta.settings import ReplicaSettings, Settings, load_settings

if TYPE_CHECKING:
    from ray.serve import Application

    from serve_apps.engines import StartEngine

# Health checks and refusals have to get through while reports fill the gateway.
_GATEWAY_HEADROOM = 32
_CONTROL = ReplicaSettings(max_ongoing_requests=64)


class AppArgs(BaseModel):
    """Arguments of the builder, as they stand in a Serve configuration file.

    Attributes:
        settings_path: TOML file; the defaults and PIRTA_* variables where None.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    settings_path: str | None = None


@dataclass(frozen=True)
class GraphParts:
    """What a test may put in the place of the two slowest parts.

    Attributes:
        preprocessor: the deployment's class; the product's own where None.
        start_engine: starts a base's engine; vLLM where None.
    """

    preprocessor: type | None = None
    start_engine: "StartEngine | None" = None


def build(args: AppArgs) -> "Application":
    """Return the application that Serve deploys from a configuration file.

    Raises:
        PirtaError: settings, door or store cannot be used.
    """
    settings = load_settings(None if args.settings_path is None else Path(args.settings_path))
    if settings.gateway.demo:
        # Serve's own configuration says where it listens; `gateway.host` is not asked here.
        raise SettingsError(
            "gateway.demo lets everybody in and is refused in a Serve configuration.",
            remedy="Set gateway.tokens, or use `pirta serve` for a demo on loopback.",
        )
    return build_app(settings)


def build_app(settings: Settings, parts: GraphParts | None = None) -> "Application":
    """Return the application. The store's schema is brought up to date first.

    Raises:
        SettingsError: the door would be open.
        UnavailableError: the store of releases does not answer.
    """
    from serve_apps.door import check_door
    from serve_apps.replica import open_store

    check_door(settings.gateway)
    store = open_store(settings.releases)
    try:
        store.migrate()
    finally:
        store.close()
    return _compose(settings, parts or GraphParts())


def _compose(settings: Settings, parts: GraphParts) -> "Application":
    from pirta.imaging.prepare import fingerprint
    from pirta.pipelines.pseudonyms import service_key
    from serve_apps.encoder import Encoder
    from serve_apps.engines import start_vllm_engine
    from serve_apps.gateway import Gateway
    from serve_apps.preprocessor import Preprocessor
    from serve_apps.release_control import ReleaseControl
    from serve_apps.release_steps import run_operation
    from serve_apps.retriever import Retriever
    from serve_apps.writer import Writer

    scaling = settings.scaling
    preprocessor = parts.preprocessor or Preprocessor
    control = _deployment(ReleaseControl, _CONTROL, settings).bind(
        settings,
        start_engine=parts.start_engine or start_vllm_engine,
        run_operation=run_operation,
    )
    gateway = scaling.gateway.model_copy(
        update={"max_ongoing_requests": scaling.gateway.max_ongoing_requests + _GATEWAY_HEADROOM}
    )
    application: Application = _deployment(Gateway, gateway, settings).bind(
        settings,
        preprocessor=_deployment(preprocessor, scaling.preprocessor, settings).bind(
            settings.preprocessing,
            quality=settings.quality,
            site_quality=settings.site_quality,
            patient_key=service_key(settings.archive),
        ),
        encoder=_deployment(Encoder, scaling.encoder, settings).bind(
            settings.encoder,
            settings.releases,
            preprocessing_fingerprint=fingerprint(settings.preprocessing),
        ),
        retriever=_deployment(Retriever, scaling.retriever, settings).bind(
            settings.index, settings.releases
        ),
        writer=_deployment(Writer, scaling.writer, settings).bind(
            control, settings.writer, settings.releases
        ),
        control=control,
    )
    return application


def _deployment(kind: type, replicas: ReplicaSettings, settings: Settings) -> Any:
    from ray import serve

    from serve_apps.scaling import scaling_options

    return serve.deployment(kind, name=kind.__name__, **scaling_options(replicas, settings))
