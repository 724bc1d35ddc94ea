"""KubeRay's CRDs made strict: what the API server would only prune or warn of is an error here.

Looks for `../shared/schemas` beside the checkout. Not checked: the CRDs' CEL rules.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[3]
SCHEMAS = ROOT / ".." / "shared" / "schemas" / "kuberay-v1.7.0"

Validate = Callable[[dict[str, Any]], list[str]]


def load_documents(path: Path) -> list[dict[str, Any]]:
    """Return every YAML document of a file."""
    return [
        d
        for d in yaml.load_all(path.read_text(encoding="utf-8"), yaml.CSafeLoader)
        if d is not None
    ]


def _strict(node: Any, name: str = "") -> Any:
    """Return the schema with unknown fields forbidden, but for metadata, which CRDs leave open."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, dict):
        return node
    strict = {
        key: {k: _strict(v, k) for k, v in value.items()} if key == "properties" else _strict(value)
        for key, value in node.items()
    }
    if node.get("x-kubernetes-int-or-string"):
        strict.pop("type", None)
        strict["anyOf"] = [{"type": "integer"}, {"type": "string"}]
    closed = "properties" in node and not node.get("x-kubernetes-preserve-unknown-fields")
    if closed and name != "metadata":
        strict["additionalProperties"] = False
    if node.get("nullable") and "type" in strict:
        strict["type"] = [strict["type"], "null"]
    return strict


@pytest.fixture(scope="session")
def rayservice_schema() -> dict[str, Any]:
    """The strict schema of a RayService's v1."""
    if not SCHEMAS.is_dir():
        pytest.skip("no shared/schemas beside the checkout: KubeRay's CRDs are not here")
    (crd,) = load_documents(SCHEMAS / "ray.io_rayservices.yaml")
    (version,) = [v for v in crd["spec"]["versions"] if v["name"] == "v1"]
    schema: dict[str, Any] = _strict(version["schema"]["openAPIV3Schema"])
    return schema


@pytest.fixture(scope="session")
def problems_of(rayservice_schema: dict[str, Any]) -> Validate:
    """A function that returns every problem of a RayService, one line each."""
    validator = jsonschema.Draft202012Validator(rayservice_schema)

    def validate(document: dict[str, Any]) -> list[str]:
        found: Iterator[jsonschema.ValidationError] = validator.iter_errors(document)
        return [f"{'.'.join(map(str, e.absolute_path))}: {e.message[:200]}" for e in found]

    return validate


@pytest.fixture(scope="session")
def manifests() -> list[dict[str, Any]]:
    """Every object of k8s/, in the order that kustomization.yaml names the files."""
    folder = ROOT / "k8s"
    (kustomization,) = load_documents(folder / "kustomization.yaml")
    return [d for name in kustomization["resources"] for d in load_documents(folder / name)]


@pytest.fixture(scope="session")
def rayservice(manifests: list[dict[str, Any]]) -> dict[str, Any]:
    """The one RayService."""
    (service,) = [document for document in manifests if document["kind"] == "RayService"]
    return service
