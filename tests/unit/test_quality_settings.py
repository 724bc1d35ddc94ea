"""Quality limits: a site's own over those of all, and limits that contradict each other."""

from __future__ import annotations

from pathlib import Path

import pytest

from pirta.errors import SettingsError
from pirta.settings import PreprocessingSettings, QualitySettings, Settings, load_settings


@pytest.fixture
def load(tmp_path: Path):
    def load(text: str) -> Settings:
        path = tmp_path / "settings.toml"
        path.write_text(text, encoding="utf-8")
        return load_settings(path)

    return load


def test_a_site_keeps_what_it_does_not_set_from_the_limits_of_all(load) -> None:
    settings = load(
        "[quality]\nsnr_warn = 12\n[site_quality.north]\nmotion_warn_mm = 2\n"
        '[site_quality.south]\nunknown_side = "warn"\nsnr_warn = 6\n'
    )
    north, south = settings.quality_for("north"), settings.quality_for("south")
    assert (north.snr_warn, north.motion_warn_mm, north.unknown_side) == (12, 2, "refuse")
    assert (south.snr_warn, south.motion_warn_mm, south.unknown_side) == (6, 3, "warn")
    assert settings.quality_for("North") == north
    assert settings.quality_for("elsewhere") == settings.quality == QualitySettings(snr_warn=12)


def test_a_sites_limits_can_be_set_by_the_environment(
    load, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIRTA_SITE_QUALITY__NORTH__SNR_REFUSE", "2")
    settings = load("[quality]\nsnr_warn = 12\n")
    assert settings.quality_for("north").snr_refuse == 2
    assert settings.quality_for("north").snr_warn == 12


def test_a_misspelt_limit_of_a_site_is_named(load) -> None:
    with pytest.raises(SettingsError, match=r"site_quality\.north\.snr_warm"):
        load("[site_quality.north]\nsnr_warm = 3\n")
    with pytest.raises(SettingsError, match="quality"):
        load("quality = 3\n[site_quality.north]\nsnr_warn = 3\n")
    with pytest.raises(SettingsError, match="site_quality"):
        load("site_quality = 3\n")


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ("snr_warn = 3\nsnr_refuse = 4", "snr_refuse = 4 is stricter than snr_warn = 3"),
        ("motion_warn_mm = 9", "motion_refuse_mm = 8 is stricter than motion_warn_mm = 9"),
        ("snr_warn = -1", "snr_warn"),
    ],
)
def test_limits_that_contradict_each_other_are_refused(load, limits: str, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(f"[quality]\n{limits}\n")


def test_settings_hand_a_site_on_through_their_own_copy(load) -> None:
    settings = load("[site_quality.north]\nsnr_warn = 6\n")
    again = Settings.model_validate(settings.model_dump())
    assert again.quality_for("north") == settings.quality_for("north")
    assert again.sha256() == settings.sha256() != Settings().sha256()


@pytest.mark.parametrize(
    "values",
    [
        {"stripper": "external"},
        {"strip_command": ("mri_synthstrip", "-i", "{input}", "-m", "{output}")},
        {"stripper": "external", "strip_command": ("hd-bet", "-i", "{input}")},
        {"stripper": "external", "strip_command": ("{input}{output}",)},
    ],
)
def test_an_external_stripper_needs_its_command_with_both_places(values) -> None:
    with pytest.raises(ValueError, match=r"go together|strip_command has no"):
        PreprocessingSettings(**values)
