"""Who is let in: bearer tokens, or everybody in a demo that only this machine can reach.

Closed by default: without tokens nothing starts.
"""

from __future__ import annotations

import hmac
import ipaddress

from pirta.errors import SettingsError, UnauthorizedError
from pirta.settings import GatewaySettings

_MIN_TOKEN_CHARACTERS = 16


def check_door(settings: GatewaySettings) -> None:
    """Raise SettingsError where the settings would leave the service open.

    Raises:
        SettingsError: neither tokens nor a demo on loopback, or a token that can be guessed.
    """
    if settings.demo:
        if not is_loopback(settings.host):
            raise SettingsError(
                f"gateway.demo lets everybody in and is refused on the host {settings.host}.",
                remedy="Set gateway.host to 127.0.0.1, or set gateway.tokens and no demo.",
            )
        return
    if not settings.tokens:
        raise SettingsError(
            "gateway.tokens is empty, and gateway.demo is off: nobody could be let in safely.",
            remedy="Set gateway.tokens (PIRTA_GATEWAY__TOKENS), or gateway.demo on 127.0.0.1.",
        )
    short = [len(token.get_secret_value()) for token in settings.tokens]
    if min(short) < _MIN_TOKEN_CHARACTERS:
        raise SettingsError(
            f"A token in gateway.tokens has {min(short)} characters.",
            remedy=f"Use at least {_MIN_TOKEN_CHARACTERS}, for example `openssl rand -hex 32`.",
        )


def is_loopback(host: str) -> bool:
    """Return whether only this machine can reach the address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def check_token(authorization: str | None, settings: GatewaySettings) -> None:
    """Check a request's Authorization header, in a time that tells nothing about the tokens.

    Raises:
        UnauthorizedError: no bearer token, or none of the configured ones.
    """
    if settings.demo:
        return
    scheme, _, given = (authorization or "").partition(" ")
    matches = [
        hmac.compare_digest(token.get_secret_value().encode(), given.strip().encode())
        for token in settings.tokens
    ]
    if scheme.lower() != "bearer" or not any(matches):
        raise UnauthorizedError(
            "The request carries no valid token.",
            remedy="Send the header 'Authorization: Bearer <token>' with a configured token.",
        )
