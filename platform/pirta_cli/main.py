"""Entry point of the `pirta` command."""


def main() -> None:
    raise SystemExit("not yet")
