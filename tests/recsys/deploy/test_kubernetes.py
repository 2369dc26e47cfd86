"""The manifests are valid, fit the service's own figures, and give no container more than it needs."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

from recsys.service.processes.worker import GRACE_SECONDS
from recsys.settings.serve import ServeConfig
from tests.recsys.test_containers import of, parsed

DEPLOY = Path(__file__).parents[3] / "deploy"
FILES = sorted([*(DEPLOY / "kubernetes").glob("*.yaml"), *(DEPLOY / "ray").glob("*.yaml")])
VERSIONS = ("1.33.0", kubernetes_validate.latest_version())


def documents(path: Path) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(path.read_text(encoding="utf-8")))


MANIFESTS = {(one["kind"], one["metadata"]["name"]): one for path in FILES for one in documents(path)}
DEPLOYMENT, CRON = MANIFESTS["Deployment", "recsys"], MANIFESTS["CronJob", "recsys-refresh"]
RAY = MANIFESTS["RayJob", "recsys-build-index"]["spec"]
PODS: dict[str, dict[str, Any]] = {
    "serve": DEPLOYMENT["spec"]["template"],
    "refresh": CRON["spec"]["jobTemplate"]["spec"]["template"],
    "submit": RAY["submitterPodTemplate"],
    "head": RAY["rayClusterSpec"]["headGroupSpec"]["template"],
    "worker": RAY["rayClusterSpec"]["workerGroupSpecs"][0]["template"],
}
SERVE, PROXY = PODS["serve"]["spec"]["containers"][0], PODS["serve"]["spec"]["initContainers"][0]


def containers(pod: str) -> list[dict[str, Any]]:
    return PODS[pod]["spec"].get("initContainers", []) + PODS[pod]["spec"]["containers"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("name", [name for name in MANIFESTS if name[0] != "RayJob"], ids="-".join)
def test_a_manifest_is_valid(name: tuple[str, str], version: str) -> None:
    kubernetes_validate.validate(MANIFESTS[name], version, strict=True)


@pytest.mark.parametrize("pod", PODS)
def test_a_pod_is_valid_also_inside_a_ray_job(pod: str) -> None:
    template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": pod}, "template": PODS[pod]}
    kubernetes_validate.validate(template, VERSIONS[-1], strict=True)


def test_a_misspelt_key_is_not_valid() -> None:
    wrong = DEPLOYMENT | {"spec": DEPLOYMENT["spec"] | {"replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, VERSIONS[-1], strict=True)


def test_the_ray_job_has_only_keys_of_its_kind() -> None:
    """As in KubeRay 1.4's rayjob_types.go and raycluster_types.go; their schema is in no package."""
    job = (
        "entrypoint shutdownAfterJobFinishes ttlSecondsAfterFinished activeDeadlineSeconds backoffLimit submitterPodTemplate rayClusterSpec"
    )
    assert set(RAY) <= set(job.split())
    assert set(RAY["rayClusterSpec"]) <= {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    assert set(RAY["rayClusterSpec"]["headGroupSpec"]) <= {"rayStartParams", "template"}
    group = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}
    assert all(set(one) <= group for one in RAY["rayClusterSpec"]["workerGroupSpecs"])


def test_the_ray_of_the_job_is_the_one_that_is_tested() -> None:
    constraints = (DEPLOY.parent / "constraints.txt").read_text(encoding="utf-8")
    assert f"\nray=={RAY['rayClusterSpec']['rayVersion']}\n" in constraints


@pytest.mark.parametrize("pod", PODS)
def test_a_container_has_no_rights_and_limited_memory(pod: str) -> None:
    assert PODS[pod]["spec"]["securityContext"]["runAsNonRoot"] is True
    assert PODS[pod]["spec"]["automountServiceAccountToken"] is False
    uid = re.findall(r"--uid (\d+)", " ".join(of("RUN")))
    assert [str(PODS[pod]["spec"]["securityContext"]["runAsUser"])] == uid
    for container in containers(pod):
        rights = container["securityContext"]
        assert rights["allowPrivilegeEscalation"] is False
        assert rights["capabilities"] == {"drop": ["ALL"]}
        # Ray writes where it is installed.
        assert rights.get("readOnlyRootFilesystem", False) is (pod in ("serve", "refresh"))
        assert "memory" in container["resources"]["limits"]
        assert not container["image"].endswith(":latest")


@pytest.mark.parametrize("pod", PODS)
def test_what_is_mounted_exists(pod: str) -> None:
    spec = PODS[pod]["spec"]
    volumes = {volume["name"]: volume for volume in spec.get("volumes", [])}
    mounted = {mount["name"] for container in containers(pod) for mount in container.get("volumeMounts", [])}
    assert mounted == set(volumes)
    generated = yaml.safe_load((DEPLOY / "kustomization.yaml").read_text(encoding="utf-8"))["configMapGenerator"]
    maps = {name for kind, name in MANIFESTS if kind == "ConfigMap"} | {one["name"] for one in generated}
    claims = {name for kind, name in MANIFESTS if kind == "PersistentVolumeClaim"}
    assert {one["configMap"]["name"] for one in volumes.values() if "configMap" in one} <= maps
    assert {one["persistentVolumeClaim"]["claimName"] for one in volumes.values() if "persistentVolumeClaim" in one} <= claims


def test_pods_that_write_the_workspace_share_a_node() -> None:
    """Events are in SQLite with a write-ahead log, which several machines must not write."""
    assert MANIFESTS["PersistentVolumeClaim", "recsys-workspace"]["spec"]["accessModes"] == ["ReadWriteOnce"]
    for pod in ("serve", "refresh"):
        (term,) = PODS[pod]["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
        assert term["topologyKey"] == "kubernetes.io/hostname"
        assert term["labelSelector"]["matchLabels"].items() <= PODS[pod]["metadata"]["labels"].items()
    assert MANIFESTS["PersistentVolumeClaim", "recsys-shared"]["spec"]["accessModes"] == ["ReadWriteMany"]


def test_probes_ask_the_routes_for_it_and_the_end_leaves_time() -> None:
    port = {one["name"]: one["containerPort"] for one in SERVE["ports"]}
    assert port == {"service": ServeConfig().port}
    assert [SERVE[probe]["httpGet"]["path"] for probe in ("startupProbe", "readinessProbe", "livenessProbe")] == [
        "/readyz",
        "/readyz",
        "/healthz",
    ]
    before = SERVE["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert PODS["serve"]["spec"]["terminationGracePeriodSeconds"] >= before + GRACE_SECONDS + 10
    # Ready no longer, before the end of requests: the endpoints are told meanwhile.
    assert SERVE["readinessProbe"]["periodSeconds"] * SERVE["readinessProbe"]["failureThreshold"] <= before


def test_the_proxy_stays_beside_the_service_and_is_what_others_reach() -> None:
    assert PROXY["restartPolicy"] == "Always"
    values = {one["name"]: one["value"] for one in PROXY["env"]}
    configured = (DEPLOY / "haproxy" / "haproxy.cfg").read_text(encoding="utf-8")
    limits = [MANIFESTS["ConfigMap", one["configMapRef"]["name"]]["data"] for one in PROXY["envFrom"]]
    assert set(values).union(*limits) <= set(re.findall(r"presetenv (\w+)", configured))
    ports = {one["name"]: one["containerPort"] for one in PROXY["ports"]}
    assert values["RECSYS_BIND"] == f"*:{ports['http']}"
    assert values["RECSYS_SERVER"] == f"127.0.0.1:{ServeConfig().port}"
    service = MANIFESTS["Service", "recsys"]["spec"]
    assert service["ports"][0]["targetPort"] == "http"
    assert service["selector"].items() <= PODS["serve"]["metadata"]["labels"].items()


def test_scaling_and_disruptions_name_the_deployment() -> None:
    scaling = MANIFESTS["HorizontalPodAutoscaler", "recsys"]["spec"]
    assert scaling["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": DEPLOYMENT["metadata"]["name"]}
    assert "replicas" not in DEPLOYMENT["spec"]  # it would undo the autoscaler's at each apply
    budget = MANIFESTS["PodDisruptionBudget", "recsys"]["spec"]
    assert budget["selector"]["matchLabels"] == DEPLOYMENT["spec"]["selector"]["matchLabels"]
    assert budget["minAvailable"] < scaling["minReplicas"]
    (rule,) = yaml.safe_load((DEPLOY / "prometheus" / "adapter.yml").read_text(encoding="utf-8"))["rules"]
    assert rule["name"]["as"] == scaling["metrics"][0]["pods"]["metric"]["name"]
    assert scaling["metrics"][1]["containerResource"]["container"] == SERVE["name"]


def test_one_refresh_at_a_time_and_commands_exist() -> None:
    assert CRON["spec"]["concurrencyPolicy"] == "Forbid"
    for pod in ("serve", "refresh"):
        parsed(PODS[pod]["spec"]["containers"][0]["args"])


@pytest.mark.skipif(shutil.which("kubectl") is None, reason="kubectl is not installed")
def test_kustomize_puts_the_manifests_together() -> None:
    built = subprocess.run(["kubectl", "kustomize", DEPLOY], capture_output=True, text=True, check=True).stdout
    made = list(yaml.safe_load_all(built))
    assert {one["kind"] for one in made} == {kind for kind, name in MANIFESTS if kind != "RayJob" and name not in ("ray", "recsys-shared")}
    (proxy,) = [one["metadata"]["name"] for one in made if one["kind"] == "ConfigMap" and "haproxy.cfg" in one["data"]]
    assert proxy in built.split("kind: Deployment")[1]
    for one in made:
        kubernetes_validate.validate(one, VERSIONS[-1], strict=True)
