"""Write docs/SETTINGS.md and docs/ERRORS.md from the code, so that they cannot go stale.

Run by `make docs`. A house test compares the files with what this would write. It holds no
text about a setting or an error: that stands in pirta.settings and pirta.errors.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from pirta.errors import PirtaError, error_classes
from pirta.settings import SHIPPED_WEIGHTS, Settings

ROOT = Path(__file__).resolve().parents[1]

SETTINGS_OPENING = """# Settings

One TOML file (`--settings FILE`), then `PIRTA_*` environment variables over it; a variable wins.
Written from `pirta.settings` by `make docs`: change the code, not this file.

```toml
[gateway]
port = 9000
```

is the same as `PIRTA_GATEWAY__PORT=9000`. An unknown or misspelt name stops the start with the
error `settings_invalid`. Units are in the names. Lists are given as JSON in variables:
`PIRTA_GATEWAY__TOKENS='["..."]'`. Secrets are best given by the environment; they are never
logged, and reports carry only a hash in which they are masked.

`(package)` below stands for the folder in which `pirta` is installed.
"""

ERRORS_OPENING = """# Error codes

Every error meant for people has a stable code. Over HTTP it is the body's `code`, beside
`message` (what is wrong, with the numbers) and `remedy` (what to do), with the status below. On
the command line it is one line, `error [code]: ...`, and exit code 2. In batch jobs it is the
`code` column of the dead-letter table. Messages name fields and files' roles, never patient data.
Written from `pirta.errors` by `make docs`: change the code, not this file.

| Code | HTTP | Raised as | Meaning |
| --- | --- | --- | --- |
"""


def setting_fields(
    model: BaseModel, prefix: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], FieldInfo, object]]:
    """Yield the path, the field and the default of every leaf setting."""
    for name, field in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from setting_fields(value, (*prefix, name))
        else:
            yield (*prefix, name), field, value


def _default_text(value: object) -> str:
    if isinstance(value, Path):
        parent = SHIPPED_WEIGHTS.parent
        inside = value.is_relative_to(parent)
        value = f"(package)/{value.relative_to(parent)}" if inside else str(value)
    elif isinstance(value, SecretStr):
        value = value.get_secret_value() or "(empty)"  # a default is no secret
    elif isinstance(value, tuple):
        value = list(value)
    return "none" if value is None else f"`{value}`"


def _type_text(field: FieldInfo) -> str:
    text = str(field.annotation)
    if isinstance(field.annotation, type):
        text = field.annotation.__name__ if "[" not in text else text
    for part in ("typing.", "pathlib.", "pydantic.types."):
        text = text.replace(part, "")
    return text.replace("|", "or")


def _range_text(field: FieldInfo) -> str:
    signs = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
    bounds: list[Any] = field.metadata
    limits = [
        f"{sign} {getattr(bound, name)}"
        for bound in bounds
        for name, sign in signs.items()
        if hasattr(bound, name)
    ]
    return ", ".join(limits)


def settings_page() -> str:
    """Return docs/SETTINGS.md: one table for each block of settings."""
    text = SETTINGS_OPENING
    block: tuple[str, ...] | None = None
    for path, field, default in setting_fields(Settings.model_construct()):
        if path[:-1] != block:
            block = path[:-1]
            title = f"`[{'.'.join(block)}]`" if block else "Top level"
            text += f"\n## {title}\n\n| Setting | Type | Default | Range | Meaning |\n"
            text += "| --- | --- | --- | --- | --- |\n"
        name = ".".join(path)
        text += f"| `{name}` | {_type_text(field)} | {_default_text(default)} "
        text += f"| {_range_text(field)} | {field.description or ''} |\n"
    return text


def errors_page() -> str:
    """Return docs/ERRORS.md: one line for each class of the tree."""
    kinds: list[type[PirtaError]] = [k for k in error_classes() if k.__module__ == "pirta.errors"]
    return ERRORS_OPENING + "".join(
        f"| `{kind.code}` | {kind.http_status} | `{kind.__name__}` "
        f"| {' '.join(inspect.cleandoc(kind.__doc__ or '').split())} |\n"
        for kind in sorted(kinds, key=lambda kind: kind.code)
    )


def main() -> None:
    """Write both pages."""
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "SETTINGS.md").write_text(settings_page(), encoding="utf-8")
    (ROOT / "docs" / "ERRORS.md").write_text(errors_page(), encoding="utf-8")


if __name__ == "__main__":
    main()
