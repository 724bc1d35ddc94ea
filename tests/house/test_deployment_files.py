"""Files that other programs read: manifests parse, import paths import, Ray accepts them."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
YAML_FILES = [ROOT / "ray_cluster.yaml", *sorted((ROOT / "k8s").glob("*.yaml"))]

READ_SERVE_CONFIG = """
import importlib, inspect, json, sys
from ray.serve.schema import ServeDeploySchema
config = ServeDeploySchema.model_validate(json.load(sys.stdin))
for application in config.applications:
    module, _, name = application.import_path.partition(":")
    builder = getattr(importlib.import_module(module), name)
    (argument,) = inspect.signature(builder).parameters.values()
    # As Ray does it: an annotation that is a string (`from __future__ import annotations`)
    # would leave the builder with a plain dict.
    assert inspect.isclass(argument.annotation), f"Ray cannot read {argument}"
    argument.annotation.model_validate(application.args)
    print(application.import_path, list(application.args))
"""


@pytest.mark.parametrize("path", YAML_FILES, ids=lambda path: path.name)
def test_every_manifest_parses(path: Path) -> None:
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    assert documents
    assert all(isinstance(document, dict) for document in documents)


def _serve_config() -> dict[str, Any]:
    service = yaml.safe_load((ROOT / "k8s" / "rayservice.yaml").read_text(encoding="utf-8"))
    config: dict[str, Any] = yaml.safe_load(service["spec"]["serveConfigV2"])
    return config


def _read_serve_config(config: dict[str, Any]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", READ_SERVE_CONFIG],
        input=json.dumps(config),
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def test_serve_reads_the_manifests_config_and_its_import_path_takes_its_args() -> None:
    done = _read_serve_config(_serve_config())
    assert done.returncode == 0, done.stderr[-2000:]
    assert "serve_apps.app:build ['settings_path']" in done.stdout


def test_a_misspelt_argument_of_the_app_is_caught() -> None:
    config = _serve_config()
    config["applications"][0]["args"] = {"setting_path": "/etc/pirta/settings.toml"}
    done = _read_serve_config(config)
    assert done.returncode != 0
    assert "setting_path" in done.stderr


def _ray_schema() -> dict[str, Any]:
    from importlib.util import find_spec

    spec = find_spec("ray")
    assert spec is not None
    assert spec.origin is not None
    path = Path(spec.origin).parent / "autoscaler" / "ray-schema.json"
    schema: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return schema


def test_ray_up_accepts_the_cluster_file_and_not_a_misspelt_one() -> None:
    config = yaml.safe_load((ROOT / "ray_cluster.yaml").read_text(encoding="utf-8"))
    jsonschema.validate(config, _ray_schema())
    wrong = copy.deepcopy(config)
    wrong["head_setup_command"] = []
    with pytest.raises(jsonschema.ValidationError, match="head_setup_command"):
        jsonschema.validate(wrong, _ray_schema())


def test_ray_fills_the_cluster_file_in_as_it_would_for_ray_up() -> None:
    code = (
        "import sys, yaml\n"
        "from ray.autoscaler._private.util import prepare_config, validate_config\n"
        "config = prepare_config(yaml.safe_load(open('ray_cluster.yaml')))\n"
        "validate_config(config)\n"
        "print(config['head_node_type'], config['max_workers'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split()[-1] == "2"
