"""Scaling options, builder arguments, and what is refused before Ray starts."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr, ValidationError

from pirta.errors import SettingsError, UnavailableError
from pirta.imaging.prepare import fingerprint
from pirta.settings import (
    GatewaySettings,
    PreprocessingSettings,
    ReleasesSettings,
    ReplicaSettings,
    Settings,
)
from serve_apps.app import AppArgs, build, build_app
from serve_apps.run import check_port_is_free, describe_active, start
from serve_apps.scaling import scaling_options
from tests.unit.serve_apps.releases import activate, new_store, release_of


def test_every_limit_of_a_deployment_is_set() -> None:
    settings = Settings()
    for name in type(settings.scaling).model_fields:
        options = scaling_options(getattr(settings.scaling, name), settings)
        assert 0 < options["autoscaling_config"]["target_ongoing_requests"] < 1e6
        assert 0 < options["max_ongoing_requests"] < 1e6
        assert 0 < options["max_queued_requests"] < 1e6
        assert options["graceful_shutdown_timeout_s"] > settings.writer.timeout_s


def test_more_minimum_than_maximum_replicas_takes_the_minimum() -> None:
    options = scaling_options(ReplicaSettings(min_replicas=3, max_replicas=2), Settings())
    assert options["autoscaling_config"]["max_replicas"] == 3


def test_an_unknown_builder_argument_is_refused() -> None:
    with pytest.raises(ValidationError):
        AppArgs.model_validate({"setings_path": "x"})


def test_the_builder_refuses_a_missing_settings_file(tmp_path: Path) -> None:
    with pytest.raises(SettingsError):
        build(AppArgs(settings_path=str(tmp_path / "none.toml")))


def test_an_open_door_is_refused_before_anything_is_loaded() -> None:
    with pytest.raises(SettingsError, match=r"gateway\.tokens"):
        build_app(Settings())
    with pytest.raises(SettingsError, match=r"gateway\.tokens"):
        start(Settings())


def test_a_demo_in_a_serve_configuration_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text("[gateway]\ndemo = true\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="refused in a Serve configuration"):
        build(AppArgs(settings_path=str(path)))


def test_a_store_that_cannot_be_opened_is_told_before_ray_starts(tmp_path: Path) -> None:
    url = SecretStr(f"sqlite:///{tmp_path / 'missing' / 'releases.db'}")
    settings = Settings(
        gateway=GatewaySettings(demo=True), releases=ReleasesSettings(store_url=url)
    )
    with pytest.raises(UnavailableError, match="release store"):
        build_app(settings)


def test_an_active_release_that_cannot_be_served_is_told_and_keeps_no_service_down(
    tmp_path: Path,
) -> None:
    prepared = fingerprint(PreprocessingSettings())
    store = new_store(tmp_path)
    url = SecretStr(f"sqlite:///{tmp_path / 'releases.db'}")
    settings = Settings(releases=ReleasesSettings(store_url=url))
    assert "No release is active" in describe_active(settings)
    activate(store, release_of(preprocessing_fingerprint=prepared))
    assert "WARNING" in describe_active(settings)
    assert "encoder of rel-" in describe_active(settings)
    activate(store, release_of(preprocessing_fingerprint=prepared, prompt_sha256="0" * 64))
    assert "prompt" in describe_active(settings)
    store.close()


def test_a_taken_port_is_named_before_ray_starts() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        with pytest.raises(SettingsError, match=str(port)):
            check_port_is_free("127.0.0.1", port)


def test_importing_the_builder_loads_neither_ray_nor_torch() -> None:
    code = (
        "import sys, serve_apps.app, serve_apps.run\n"
        "assert not {'ray', 'torch', 'vllm'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
