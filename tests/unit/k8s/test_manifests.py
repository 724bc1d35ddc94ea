"""The manifests of k8s/: they fit their schemas, each other, and the settings of the code."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from pirta.settings import load_settings

ROOT = Path(__file__).resolve().parents[3]
BUILT_IN = {
    "Namespace": "v1",
    "ConfigMap": "v1",
    "PersistentVolumeClaim": "v1",
    "NetworkPolicy": "networking.k8s.io/v1",
}

Manifest = dict[str, Any]


def _pods(service: Manifest) -> dict[str, Manifest]:
    cluster = service["spec"]["rayClusterConfig"]
    pods = {"head": cluster["headGroupSpec"]["template"]}
    return pods | {g["groupName"]: g["template"] for g in cluster["workerGroupSpecs"]}


def test_the_rayservice_fits_kuberays_schema(problems_of: Any, rayservice: Manifest) -> None:
    assert problems_of(rayservice) == []


@pytest.mark.parametrize(
    "path",
    [
        ("spec", "upgradeStrategie"),
        ("spec", "rayClusterConfig", "headGroupSpec", "rayStartParam"),
        ("spec", "rayClusterConfig", "workerGroupSpecs", 0, "maxReplica"),
        ("spec", "rayClusterConfig", "workerGroupSpecs", 1, "template", "spec", "toleration"),
    ],
    ids=lambda path: str(path[-1]),
)
def test_a_misspelt_field_is_caught(
    problems_of: Any, rayservice: Manifest, path: tuple[str | int, ...]
) -> None:
    wrong = copy.deepcopy(rayservice)
    place: Any = wrong
    for step in path[:-1]:
        place = place[step]
    place[path[-1]] = {}
    assert any(str(path[-1]) in problem for problem in problems_of(wrong))


def test_a_value_of_another_type_is_caught(problems_of: Any, rayservice: Manifest) -> None:
    wrong = copy.deepcopy(rayservice)
    wrong["spec"]["rayClusterConfig"]["workerGroupSpecs"][0]["maxReplicas"] = "eight"
    assert any("eight" in problem for problem in problems_of(wrong))


def test_kustomization_names_every_manifest_and_no_other(manifests: list[Manifest]) -> None:
    named = yaml.safe_load((ROOT / "k8s" / "kustomization.yaml").read_text())["resources"]
    there = {path.name for path in (ROOT / "k8s").glob("*.yaml")} - {"kustomization.yaml"}
    assert set(named) == there
    assert len(named) == len(set(named))
    assert manifests


def test_every_object_has_its_kinds_version_a_name_and_the_namespace(
    manifests: list[Manifest],
) -> None:
    for document in manifests:
        kind = document["kind"]
        assert document["apiVersion"] == BUILT_IN.get(kind, "ray.io/v1"), kind
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?", document["metadata"]["name"])
        if kind != "Namespace":
            assert document["metadata"]["namespace"] == "pirta", document["metadata"]["name"]


def test_no_two_objects_share_kind_and_name(manifests: list[Manifest]) -> None:
    keys = [(document["kind"], document["metadata"]["name"]) for document in manifests]
    assert len(set(keys)) == len(keys)


def test_the_configmaps_settings_are_settings_of_the_code(
    manifests: list[Manifest], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PIRTA_GATEWAY__TOKENS", '["a-token-for-this-test"]')
    (configmap,) = [document for document in manifests if document["kind"] == "ConfigMap"]
    path = tmp_path / "settings.toml"
    path.write_text(configmap["data"]["settings.toml"], encoding="utf-8")
    settings = load_settings(path)
    assert not settings.gateway.demo
    assert settings.index.uri.startswith("http")
    assert "token" not in configmap["data"]["settings.toml"]


def test_no_secret_and_no_secrets_value_stands_in_the_manifests(
    manifests: list[Manifest], rayservice: Manifest
) -> None:
    assert all(document["kind"] != "Secret" for document in manifests)
    for pod in _pods(rayservice).values():
        for container in pod["spec"]["containers"]:
            for variable in container["env"]:
                secret = re.search("TOKEN|PASSWORD|KEY|SECRET", variable["name"])
                assert not secret or "value" not in variable, variable["name"]


def test_every_mount_and_every_configmap_and_claim_exists(
    manifests: list[Manifest], rayservice: Manifest
) -> None:
    names = {(document["kind"], document["metadata"]["name"]) for document in manifests}
    for pod in _pods(rayservice).values():
        volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
        for container in pod["spec"]["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} == set(volumes)
        for volume in volumes.values():
            if "configMap" in volume:
                assert ("ConfigMap", volume["configMap"]["name"]) in names
            if "persistentVolumeClaim" in volume:
                claim = volume["persistentVolumeClaim"]["claimName"]
                assert ("PersistentVolumeClaim", claim) in names


def test_every_secret_that_is_asked_for_is_in_the_readme(rayservice: Manifest) -> None:
    readme = (ROOT / "k8s" / "README.md").read_text(encoding="utf-8")

    def references(node: Any) -> set[str]:
        if isinstance(node, list):
            return set().union(*map(references, node)) if node else set()
        if not isinstance(node, dict):
            return set()
        found = {node["secretKeyRef"]["name"]} if "secretKeyRef" in node else set()
        found |= {node["secretName"]} if "secretName" in node else set()
        return found.union(*map(references, node.values())) if node else found

    assert references(rayservice) >= {"pirta-gateway", "pirta-ray-auth"}
    assert all(f"`{name}`" in readme for name in references(rayservice))


def test_no_pod_runs_as_root_or_may_become_it(rayservice: Manifest) -> None:
    for name, pod in _pods(rayservice).items():
        assert pod["spec"]["securityContext"]["runAsNonRoot"] is True, name
        for container in pod["spec"]["containers"]:
            assert container["securityContext"]["allowPrivilegeEscalation"] is False, name
            assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}, name


def test_the_head_takes_no_work(rayservice: Manifest) -> None:
    head = rayservice["spec"]["rayClusterConfig"]["headGroupSpec"]
    assert head["rayStartParams"]["num-cpus"] == "0"


def test_only_the_gpu_group_asks_for_gpus(rayservice: Manifest) -> None:
    asking = {
        name
        for name, pod in _pods(rayservice).items()
        for container in pod["spec"]["containers"]
        if "nvidia.com/gpu" in container["resources"]["limits"]
    }
    assert asking == {"gpu"}


def test_every_worker_group_can_grow_from_where_it_starts(rayservice: Manifest) -> None:
    for group in rayservice["spec"]["rayClusterConfig"]["workerGroupSpecs"]:
        assert group["minReplicas"] <= group["replicas"] <= group["maxReplicas"]
        assert group["template"]["spec"].get("restartPolicy", "Never") == "Never"


def test_pods_outlive_the_longest_report_when_they_are_drained(rayservice: Manifest) -> None:
    longest_s = load_settings().gateway.request_timeout_s
    for name, pod in _pods(rayservice).items():
        if name != "head":
            assert pod["spec"]["terminationGracePeriodSeconds"] > longest_s


def test_the_network_is_closed_but_for_a_list(manifests: list[Manifest]) -> None:
    policies = [document for document in manifests if document["kind"] == "NetworkPolicy"]
    (deny,) = [p for p in policies if p["metadata"]["name"] == "default-deny"]
    assert deny["spec"] == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    for policy in policies:
        for rule in policy["spec"].get("ingress", []):
            assert rule.get("from"), f"{policy['metadata']['name']} lets everybody in"
        for rule in policy["spec"].get("egress", []):
            assert rule.get("to"), f"{policy['metadata']['name']} lets everything out"


def test_every_policy_selects_pods_by_labels_that_pods_carry(
    manifests: list[Manifest], rayservice: Manifest
) -> None:
    carried = {"ray.io/node-type": {"head", "worker"}}  # KubeRay sets this one
    for pod in _pods(rayservice).values():
        for label, value in pod["metadata"]["labels"].items():
            carried.setdefault(label, set()).add(value)
    for policy in (document for document in manifests if document["kind"] == "NetworkPolicy"):
        wanted = policy["spec"]["podSelector"].get("matchLabels", {})
        assert all(value in carried[label] for label, value in wanted.items())


def test_the_milvus_of_the_settings_is_the_one_that_the_network_lets_out_to(
    manifests: list[Manifest],
) -> None:
    (configmap,) = [document for document in manifests if document["kind"] == "ConfigMap"]
    uri = re.search(r'uri = "http://\w+\.(\w+)\.svc[\w.]*:(\d+)"', str(configmap["data"]))
    assert uri
    (policy,) = [d for d in manifests if d["metadata"]["name"] == "ray-to-milvus"]
    (rule,) = policy["spec"]["egress"]
    namespace = rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert (namespace, rule["ports"][0]["port"]) == (uri.group(1), int(uri.group(2)))


def test_the_images_carry_the_version_of_the_project(rayservice: Manifest) -> None:
    import tomllib

    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    for pod in _pods(rayservice).values():
        for container in pod["spec"]["containers"]:
            assert container["image"].split(":")[1].removesuffix("-gpu") == version


def test_ray_in_the_manifest_is_the_ray_of_the_constraints(rayservice: Manifest) -> None:
    pinned = re.search(r"^ray==(\S+)$", (ROOT / "constraints.txt").read_text(), re.MULTILINE)
    assert pinned
    assert rayservice["spec"]["rayClusterConfig"]["rayVersion"] == pinned.group(1)


def test_every_pod_reads_every_volume_and_writes_none(
    manifests: list[Manifest], rayservice: Manifest
) -> None:
    claims = {one["metadata"]["name"] for one in manifests if "Claim" in one["kind"]}
    assert claims == {"pirta-models", "pirta-cohorts"}
    for name, pod in _pods(rayservice).items():
        claimed = {
            volume["name"]: volume["persistentVolumeClaim"]
            for volume in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        }
        assert {claim["claimName"] for claim in claimed.values()} == claims, name
        for container in pod["spec"]["containers"]:
            mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
            assert all(mounts[volume]["readOnly"] for volume in claimed), name
