"""Objects of Kubernetes and KServe: valid by the published schemas, and hardened as they say."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from nenrin.core.settings import Settings
from nenrin.integrations.container import USER, WRITABLE, variables
from nenrin.integrations.exports import _DNS
from nenrin.integrations.kserve import inference_service
from nenrin.integrations.kubernetes import OPTIONAL_KEYS, SECRET, SECRET_KEYS, objects

IMAGE = "registry.example.com/team/delay:1"
MADE = objects("prod", IMAGE, "revision-0123456789ab")
ALL = [each for many in MADE.values() for each in many]


def named(kind: str) -> dict[str, Any]:
    (found,) = [each for each in ALL if each["kind"] == kind]
    return found


def pods() -> Iterator[dict[str, Any]]:
    yield named("Deployment")["spec"]["template"]["spec"]
    yield named("Job")["spec"]["template"]["spec"]
    yield named("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    yield inference_service("prod", IMAGE, "revision-0123456789ab")["spec"]["predictor"]


@pytest.mark.parametrize("made", ALL, ids=lambda made: made["kind"])
def test_the_published_schema_takes_it(made: dict[str, Any]) -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    validate.validate(made, "1.37", strict=True)


def test_the_schema_is_one_that_refuses() -> None:
    validate = pytest.importorskip("kubernetes_validate", reason="pip install kubernetes-validate")
    wrong = {**named("Deployment"), "spec": {**named("Deployment")["spec"], "replicas": "two"}}
    with pytest.raises(validate.ValidationError):
        validate.validate(wrong, "1.37", strict=True)


def test_what_the_deployment_is_made_for_is_there() -> None:
    kinds = [each["kind"] for each in ALL]
    assert sorted(kinds) == [
        "CronJob",
        "Deployment",
        "HorizontalPodAutoscaler",
        "Job",
        "PersistentVolumeClaim",
        "PodDisruptionBudget",
        "Service",
    ]


@pytest.mark.parametrize("pod", list(pods()))
def test_no_pod_has_rights(pod: dict[str, Any]) -> None:
    security = pod["securityContext"]
    assert (security["runAsNonRoot"], security["runAsUser"]) == (True, USER)
    assert security["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    assert mounts.items() >= WRITABLE.items()
    assert {volume["name"] for volume in pod["volumes"]} == set(mounts)


@pytest.mark.parametrize("pod", list(pods()))
def test_secrets_are_named_and_never_written(pod: dict[str, Any]) -> None:
    (container,) = pod["containers"]
    told = {each["name"]: each for each in container["env"]}
    assert set(told) == {*SECRET_KEYS, *OPTIONAL_KEYS}
    for each in told.values():
        assert set(each) == {"name", "valueFrom"}
        assert each["valueFrom"]["secretKeyRef"]["name"] == SECRET
    assert not set(told) & set(variables("prod"))  # what the image sets is not set twice


def test_no_setting_is_forgotten() -> None:
    given = {*SECRET_KEYS, *OPTIONAL_KEYS, *variables("prod")}
    left_out = {
        "NENRIN_NODE_FOLDER",  # of nodes of a cluster, which pods are not
        "NENRIN_GRPC_PORT",  # the service has one port
        "NENRIN_HEALTH_ROUTE",  # these of platforms that run a container themselves
        "NENRIN_PREDICT_ROUTE",
        "NENRIN_PREDICTIONS_OPEN",
    }
    assert {f"NENRIN_{name.upper()}" for name in Settings.model_fields} <= given | left_out


def test_they_find_each_other() -> None:
    deployment = named("Deployment")
    selector = deployment["spec"]["selector"]["matchLabels"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    assert named("Service")["spec"]["selector"] == selector
    assert named("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == selector
    target = named("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert (target["kind"], target["name"]) == ("Deployment", deployment["metadata"]["name"])
    (mounted,) = [
        volume["persistentVolumeClaim"]["claimName"]
        for volume in named("CronJob")["spec"]["jobTemplate"]["spec"]["template"]["spec"]["volumes"]
        if "persistentVolumeClaim" in volume
    ]
    assert mounted == named("PersistentVolumeClaim")["metadata"]["name"]
    for job in (named("Job"), named("CronJob")["spec"]["jobTemplate"]):
        found = job["spec"]["template"]["metadata"]["labels"]
        assert not selector.items() <= found.items()  # no request is sent to a job's pod


def test_kserve_runs_the_same_container() -> None:
    service = inference_service("prod", IMAGE, "revision-0123456789ab")
    (ours,) = named("Deployment")["spec"]["template"]["spec"]["containers"]
    (theirs,) = service["spec"]["predictor"]["containers"]
    assert theirs["name"] == "kserve-container"  # the name that KServe looks for
    assert {key: theirs[key] for key in ("image", "args", "env")} == {
        key: ours[key] for key in ("image", "args", "env")
    }
    assert theirs["ports"] == [{"name": "http1", "containerPort": 8080, "protocol": "TCP"}]


def test_the_longest_environment_has_names_that_kubernetes_takes() -> None:
    made = objects("e" * 34, IMAGE, "revision-0123456789ab")
    assert _DNS.fullmatch("e" * 34)
    assert not _DNS.fullmatch("e" * 35)
    most = {"CronJob": 52}  # its jobs' names have eleven letters more
    for each in (one for many in made.values() for one in many):
        assert len(each["metadata"]["name"]) <= most.get(each["kind"], 63)
