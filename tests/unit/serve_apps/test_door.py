"""Who is let in, and whose cases they may see."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

from pirta.errors import ForbiddenError, SettingsError, UnauthorizedError
from pirta.settings import GatewaySettings
from serve_apps.door import Caller, admit, admit_operator, check_door

TOKEN = "a-token-nobody-guesses"
NORTH, SOUTH, WEST, ADMIN = (f"the-token-of-{name}-x" for name in ("north", "south", "west", "op"))
GATEWAY = {
    "tokens": [TOKEN],
    "admin_tokens": [ADMIN],
    "sites": {
        "north": {"tokens": [NORTH]},
        "south": {"tokens": [SOUTH], "sees": "partners", "partners": ["north", "east"]},
        "west": {"tokens": [WEST], "sees": "network"},
    },
}


@pytest.fixture
def settings() -> GatewaySettings:
    return GatewaySettings.model_validate(GATEWAY)


@pytest.mark.parametrize(
    "gateway",
    [
        {},
        {"demo": True, "host": "0.0.0.0"},
        {"demo": True, "host": "example.org"},
        {"demo": True, "host": "0.0.0.0", "tokens": [TOKEN]},
        {"tokens": [""]},
        {"tokens": [TOKEN, "short"]},
        {"admin_tokens": [ADMIN]},
        {"tokens": [TOKEN], "admin_tokens": ["short"]},
        {"tokens": [TOKEN], "sites": {"north": {"tokens": ["short"]}}},
        {"demo": True, "admin_tokens": ["short"]},
        {"sites": {"north": {}}},
    ],
)
def test_an_open_door_is_refused_at_the_start(gateway: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        check_door(GatewaySettings.model_validate(gateway))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_demo_on_loopback_opens_and_so_do_tokens_anywhere(host: str) -> None:
    check_door(GatewaySettings(demo=True, host=host))
    check_door(GatewaySettings.model_validate({"host": "0.0.0.0", "tokens": [TOKEN]}))
    sites = {"north": {"tokens": [NORTH]}}
    check_door(GatewaySettings.model_validate({"host": "0.0.0.0", "sites": sites}))


@pytest.mark.parametrize(
    ("token", "caller"),
    [
        (TOKEN, Caller(None, None)),
        (NORTH, Caller("north", frozenset({"north"}))),
        (SOUTH, Caller("south", frozenset({"south", "north", "east"}))),
        (WEST, Caller("west", None)),
    ],
)
def test_a_token_says_whose_it_is_and_what_it_may_see(
    settings: GatewaySettings, token: str, caller: Caller
) -> None:
    assert admit(f"Bearer {token}", settings) == caller


def test_an_operators_token_writes_no_reports_and_a_reports_token_operates_nothing(
    settings: GatewaySettings,
) -> None:
    with pytest.raises(UnauthorizedError):
        admit(f"Bearer {ADMIN}", settings)
    for token in (TOKEN, NORTH):
        with pytest.raises(ForbiddenError):
            admit_operator(f"Bearer {token}", settings)
    with pytest.raises(UnauthorizedError):
        admit_operator(None, settings)


def test_operators_are_told_apart_without_their_tokens(settings: GatewaySettings) -> None:
    other = settings.model_copy(update={"admin_tokens": settings.tokens})
    names = {admit_operator(f"Bearer {ADMIN}", settings), admit_operator(f"Bearer {TOKEN}", other)}
    assert len(names) == 2
    assert not any(ADMIN in name or TOKEN in name for name in names)


def test_a_demo_opens_no_admin_api() -> None:
    with pytest.raises(ForbiddenError):
        admit_operator(None, GatewaySettings(demo=True))


@pytest.mark.parametrize("site", ["south", "west", None])
def test_a_sites_token_fixes_the_site_and_what_is_seen_whatever_the_form_says(
    make_client: Any, parts: Any, site: str | None
) -> None:
    client: TestClient = make_client(**GATEWAY)
    response = client.post(
        "/v1/reports",
        files={"dwi": ("d", b"x"), "adc": ("a", b"y")},
        data={} if site is None else {"site": site},
        headers={"Authorization": f"Bearer {NORTH}"},
    )
    assert response.status_code == 200
    assert parts.studies[0].site == "north"
    assert parts.requests[0].policy.sites == {"north"}
