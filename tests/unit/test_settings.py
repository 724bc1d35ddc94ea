"""Settings: defaults, file, environment over the file, and what each mistake is answered with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pirta.errors import SettingsError
from pirta.settings import GatewaySettings, Settings, load_settings


@pytest.fixture(autouse=True)
def _no_variables_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("PIRTA_")]:
        monkeypatch.delenv(name)


def _toml(folder: Path, text: str) -> Path:
    path = folder / "settings.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_without_file_and_environment_the_defaults_stand() -> None:
    settings = load_settings()
    assert settings.gateway.port == 8000
    assert settings.index.top_k == 5


def test_a_file_overrides_the_defaults_and_leaves_the_rest(tmp_path: Path) -> None:
    settings = load_settings(_toml(tmp_path, "[gateway]\nport = 9000\n"))
    assert settings.gateway.port == 9000
    assert settings.gateway.host == "127.0.0.1"


def test_the_environment_wins_over_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIRTA_GATEWAY__PORT", "9001")
    path = _toml(tmp_path, '[gateway]\nport = 9000\nhost = "0.0.0.0"\n')
    settings = load_settings(path)
    assert settings.gateway.port == 9001
    assert settings.gateway.host == "0.0.0.0"


def test_three_levels_deep_can_be_set_by_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIRTA_SCALING__ENCODER__MAX_REPLICAS", "4")
    assert load_settings().scaling.encoder.max_replicas == 4


def test_setting_one_field_of_a_scaling_block_keeps_the_blocks_other_defaults(
    tmp_path: Path,
) -> None:
    path = _toml(tmp_path, "[scaling.writer]\nmax_replicas = 3\n")
    scaling = load_settings(path).scaling
    assert scaling.writer.max_replicas == 3
    assert scaling.writer.max_ongoing_requests == Settings().scaling.writer.max_ongoing_requests


def test_a_misspelt_setting_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"gateway\.prot"):
        load_settings(_toml(tmp_path, "[gateway]\nprot = 9000\n"))


def test_a_misspelt_block_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="gatway"):
        load_settings(_toml(tmp_path, "[gatway]\nport = 9000\n"))


def test_a_misspelt_variable_inside_a_block_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIRTA_GATEWAY__PROT", "9000")
    with pytest.raises(SettingsError, match=r"gateway\.prot"):
        load_settings()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_port_outside_its_range_is_refused_with_the_limit(tmp_path: Path, port: int) -> None:
    with pytest.raises(SettingsError, match=r"gateway\.port.*(greater|less) than or equal"):
        load_settings(_toml(tmp_path, f"[gateway]\nport = {port}\n"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml does not exist"):
        load_settings(tmp_path / "nowhere.toml")


def test_a_file_that_is_no_toml_is_refused_with_the_place(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"not valid TOML.*line 2"):
        load_settings(_toml(tmp_path, "[gateway]\nport 9000\n"))


def test_settings_cannot_be_changed_after_loading() -> None:
    settings = load_settings()
    with pytest.raises(ValidationError):
        settings.gateway = GatewaySettings(port=1)
    with pytest.raises(ValidationError):
        settings.gateway.port = 1


@given(secret=st.from_regex(r"[A-Za-z0-9]{12,40}", fullmatch=True))
def test_a_secret_never_shows_in_a_dump_or_a_text(secret: str) -> None:
    settings = Settings(
        index={"token": secret},  # type: ignore[arg-type]
        gateway={"tokens": (secret,)},  # type: ignore[arg-type]
    )
    shown = settings.model_dump_json() + repr(settings) + str(settings) + str(settings.model_dump())
    assert secret not in shown
    assert settings.gateway.tokens[0].get_secret_value() == secret


def test_a_refused_secret_does_not_show_in_the_error(tmp_path: Path) -> None:
    path = _toml(tmp_path, '[index]\ntoken = ["hunter2-hunter2"]\n')
    with pytest.raises(SettingsError) as caught:
        load_settings(path)
    assert "hunter2" not in str(caught.value)
    assert "index.token" in str(caught.value)


def test_the_hash_depends_on_values_and_not_on_secrets(tmp_path: Path) -> None:
    plain = load_settings().sha256()
    assert plain == load_settings().sha256()
    assert load_settings(_toml(tmp_path, "[index]\ntop_k = 7\n")).sha256() != plain
    one = load_settings(_toml(tmp_path, '[index]\ntoken = "first"\n')).sha256()
    assert one == load_settings(_toml(tmp_path, '[index]\ntoken = "second"\n')).sha256()
