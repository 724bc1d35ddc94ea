"""Say whether this environment holds what constraints.txt and pyproject.toml ask for.

Standard library only: it runs before anything is installed. Exit code 0 is yes; 1 is no, with
a line for each difference. It does not resolve dependencies; pip did.
"""

from __future__ import annotations

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Pinned for building, and for GPU machines: no difference where absent.
OPTIONAL = {"hatchling", "editables", "trove-classifiers", "vllm"}
UNUSED = {"torchvision", "torchaudio", "torchcodec"}


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pinned_versions(text: str) -> dict[str, str]:
    """Return name and version of every `name==version` line."""
    pins = re.findall(r"^([A-Za-z0-9._-]+)==([^\s;#]+)", text, flags=re.MULTILINE)
    return {_canonical(name): version for name, version in pins}


def differences(pins: dict[str, str], project: dict[str, object]) -> list[str]:
    """Return one line for each package that is missing, of another version, or unwanted."""
    installed = {_canonical(d.name): d.version for d in metadata.distributions() if d.name}
    found = []
    for name, version in pins.items():
        have = installed.get(name)
        if have is None and name not in OPTIONAL:
            found.append(f"{name} {version} is not installed")
        elif have is not None and have.split("+")[0] != version.split("+")[0]:
            found.append(f"{name} is {have}, constraints.txt says {version}")
    found += [f"{name} is installed and must not be" for name in sorted(UNUSED & set(installed))]
    name = str(project["name"])
    if name not in installed:
        return [*found, f"{name} itself is not installed"]
    wanted_scripts = project.get("scripts", {})
    scripts = {
        e.name: e.value for e in metadata.entry_points(group="console_scripts").select()
        if e.dist is not None and e.dist.name == name
    }  # fmt: skip
    if scripts != wanted_scripts:
        found.append(f"{name}'s commands are {scripts}, pyproject.toml says {wanted_scripts}")
    return found


def main() -> int:
    """Print the differences, return the exit code."""
    pins = pinned_versions((ROOT / "constraints.txt").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    found = differences(pins, project)
    sys.stdout.write("".join(f"{line}\n" for line in found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
