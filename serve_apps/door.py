"""Who is let in, and whose cases they may see: by bearer tokens alone.

Closed by default: without tokens nothing starts. A demo lets everybody in, and only on an address
that only this machine can reach. A site's token fixes the site of a request and the sites whose
cases may be its evidence; no field of a form widens that. Operators have tokens of their own.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import SecretStr

from pirta.errors import ForbiddenError, SettingsError, UnauthorizedError
from pirta.settings import GatewaySettings

_MIN_TOKEN_CHARACTERS = 16


@dataclass(frozen=True)
class Caller:
    """Who sent a request, as its token says.

    Attributes:
        site: the token's own site; None where the token belongs to no site.
        sites: whose cases may be evidence; None is the whole network.
    """

    site: str | None
    sites: frozenset[str] | None


EVERYBODY = Caller(site=None, sites=None)


def check_door(settings: GatewaySettings) -> None:
    """Raise SettingsError where the settings would leave the service open.

    Raises:
        SettingsError: neither tokens nor a demo on loopback, or a token that can be guessed.
    """
    doors = _doors(settings)
    for name, tokens in doors.items():
        short = [len(token.get_secret_value()) for token in tokens]
        if short and min(short) < _MIN_TOKEN_CHARACTERS:
            raise SettingsError(
                f"A token in gateway.{name} has {min(short)} characters.",
                remedy=f"Use at least {_MIN_TOKEN_CHARACTERS}, for example `openssl rand -hex 32`.",
            )
    if settings.demo:
        if not is_loopback(settings.host):
            raise SettingsError(
                f"gateway.demo lets everybody in and is refused on the host {settings.host}.",
                remedy="Set gateway.host to 127.0.0.1, or set gateway.tokens and no demo.",
            )
        return
    if not any(tokens for name, tokens in doors.items() if name != "admin_tokens"):
        raise SettingsError(
            "gateway.tokens and gateway.sites name no token, and gateway.demo is off: nobody could "
            "be let in safely.",
            remedy="Set gateway.tokens (PIRTA_GATEWAY__TOKENS), or gateway.demo on 127.0.0.1.",
        )


def _doors(settings: GatewaySettings) -> dict[str, tuple[SecretStr, ...]]:
    sites = {f"sites.{name}.tokens": site.tokens for name, site in settings.sites.items()}
    return {"tokens": settings.tokens, "admin_tokens": settings.admin_tokens, **sites}


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def admit(authorization: str | None, settings: GatewaySettings) -> Caller:
    """Return who a request comes from, in a time that tells nothing about the tokens.

    Raises:
        UnauthorizedError: no bearer token, or none of the configured ones.
    """
    given = _bearer(authorization)
    found = EVERYBODY if settings.demo or _is_one_of(given, settings.tokens) else None
    for name, site in settings.sites.items():  # all of them: the time is the same for each
        if _is_one_of(given, site.tokens):
            found = Caller(site=name, sites=site.visible_sites(name))
    if found is None:
        raise _unauthorized()
    return found


def admit_operator(authorization: str | None, settings: GatewaySettings) -> str:
    """Return the name under which an operator's steps are kept: a hash of the token.

    Raises:
        UnauthorizedError: no bearer token, or none of the configured ones.
        ForbiddenError: a token that writes reports and operates nothing.
    """
    given = _bearer(authorization)
    if _is_one_of(given, settings.admin_tokens):
        return f"admin-{hashlib.sha256(given).hexdigest()[:8]}"
    admit(authorization, settings)
    raise ForbiddenError(
        "This token does not open the admin API.",
        remedy="Use a token of gateway.admin_tokens; without any the admin API is shut.",
    )


def _bearer(authorization: str | None) -> bytes:
    scheme, _, given = (authorization or "").partition(" ")
    return given.strip().encode() if scheme.lower() == "bearer" else b""


def _is_one_of(given: bytes, tokens: Iterable[SecretStr]) -> bool:
    matches = [hmac.compare_digest(token.get_secret_value().encode(), given) for token in tokens]
    return any(matches)


def _unauthorized() -> UnauthorizedError:
    return UnauthorizedError(
        "The request carries no valid token.",
        remedy="Send the header 'Authorization: Bearer <token>' with a configured token.",
    )
