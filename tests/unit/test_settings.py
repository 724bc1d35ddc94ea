"""Settings: defaults, file, environment over the file, and what each mistake is answered with."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from pirta.errors import SettingsError
from pirta.settings import GatewaySettings, ReleasesSettings, Settings, SiteAccess, load_settings


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
        gateway={  # type: ignore[arg-type]
            "tokens": (secret,),
            "admin_tokens": (secret + "a",),
            "sites": {"north": {"tokens": (secret + "n",)}},
        },
        releases={"store_url": f"postgresql://pirta:{secret}@db/pirta"},  # type: ignore[arg-type]
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


SITES = """
[gateway.sites.north]
tokens = ["north-token"]
sees = "partners"
partners = ["south"]
[gateway.sites.south]
tokens = ["south-token"]
[gateway.sites.hub]
tokens = ["hub-token"]
sees = "network"
"""


def test_a_site_sees_its_own_cases_unless_it_is_told_more(tmp_path: Path) -> None:
    sites = load_settings(_toml(tmp_path, SITES)).gateway.sites
    seen = {name: site.visible_sites(name) for name, site in sites.items()}
    assert seen == {"north": {"north", "south"}, "south": {"south"}, "hub": None}


@pytest.mark.parametrize(
    "block", ['sees = "partners"', 'partners = ["south"]', 'sees = "own"\npartners = ["south"]']
)
def test_partners_that_no_rule_looks_at_are_refused(tmp_path: Path, block: str) -> None:
    with pytest.raises(SettingsError, match="a list of partners go together"):
        load_settings(_toml(tmp_path, f"[gateway.sites.north]\n{block}\n"))


@pytest.mark.parametrize(
    "gateway",
    [
        {"tokens": ("hunter2", "hunter2")},
        {"tokens": ("hunter2",), "admin_tokens": ("hunter2",)},
        {"tokens": ("hunter2",), "sites": {"north": {"tokens": ("hunter2",)}}},
        {"sites": {"north": {"tokens": ("hunter2",)}, "south": {"tokens": ("hunter2",)}}},
    ],
)
def test_a_token_that_opens_two_doors_is_refused_without_showing_it(
    gateway: dict[str, object],
) -> None:
    with pytest.raises(ValidationError, match="stands twice") as caught:
        GatewaySettings.model_validate(gateway)
    shown = "; ".join(item["msg"] for item in caught.value.errors(include_input=False))
    assert "hunter2" not in shown


def test_tokens_that_differ_are_taken() -> None:
    sites = {"north": SiteAccess(tokens=("a",)), "south": SiteAccess(tokens=("b",))}  # type: ignore[arg-type]
    assert GatewaySettings(tokens=("c",), admin_tokens=("d",), sites=sites).sites == sites  # type: ignore[arg-type]


def test_a_relative_store_is_that_of_the_folder_in_which_the_settings_were_loaded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    url = load_settings().releases.store_url.get_secret_value()
    assert url == f"sqlite:///{tmp_path}/pirta-releases.db"


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////srv/releases.db",
        "sqlite:///:memory:",
        "sqlite://",
        "postgresql+psycopg://pirta@db/pirta",
        "postgresql:///pirta",
        "nonsense",
    ],
)
def test_every_other_store_stays_as_it_was_written(url: str) -> None:
    releases = ReleasesSettings(store_url=url)  # type: ignore[arg-type]
    assert releases.anchored(Path("/elsewhere")) == releases


def test_a_writer_slower_than_the_whole_request_is_refused(tmp_path: Path) -> None:
    text = "[writer]\ntimeout_s = 60\n[gateway]\nrequest_timeout_s = 60\n"
    with pytest.raises(SettingsError, match=r"writer\.timeout_s \(60\) is not below"):
        load_settings(_toml(tmp_path, text))
