"""Kubernetes objects that run an environment: every pod is one ``nenrin up``, over one database and store.

Who decides is settled by leases in the database, so pods are alike, come and go, and are scaled by their
load. Names are those of the Kubernetes API (https://kubernetes.io/docs/reference/kubernetes-api/).
"""

from __future__ import annotations

from typing import Any

from nenrin.integrations.container import PORT, USER, WRITABLE

SECRET = "nenrin"
SECRET_KEYS = {
    "NENRIN_DATABASE_URL": "database-url",
    "NENRIN_STORE_URL": "store-url",
    "NENRIN_TOKEN": "token",
}
"""Settings that come from the secret ``nenrin``, and their keys in it."""

MORE_KEYS = {
    "NENRIN_ONLINE": "online",
    "NENRIN_EXECUTOR": "executor",
    "NENRIN_WORKERS": "workers",
    "NENRIN_PLANES": "planes",
    "NENRIN_JOIN_MEMORY": "join-memory",
    "NENRIN_MODELS_MEMORY": "models-memory",
    "NENRIN_PREDICTIONS_DAYS": "predictions-days",
    "NENRIN_REQUEST_TIMEOUT_MS": "request-timeout-ms",
    "NENRIN_RESCORE": "rescore",
}
"""Settings that a team may need or not, of which some may hold a password; each may be left out."""

AWS_KEYS = {
    "AWS_ACCESS_KEY_ID": "aws-access-key-id",
    "AWS_SECRET_ACCESS_KEY": "aws-secret-access-key",
    "AWS_ENDPOINT_URL": "aws-endpoint-url",
    "AWS_REGION": "aws-region",
}
"""The store's, where pods have no identity of their own there; each may be left out of the secret."""

OPTIONAL_KEYS = {**MORE_KEYS, **AWS_KEYS}
REQUESTS_A_POD = 100
_METRIC = "nenrin_requests_per_second"
_GRACE = 30

Object = dict[str, Any]


def objects(environment: str, image: str, revision: str) -> dict[str, list[Object]]:
    """Every object, by the name of its file.

    Args:
        environment: the environment that is served; it names the objects.
        image: the image of the revision, as the cluster pulls it.
        revision: its id, a label.
    """
    name = f"nenrin-{environment}"
    labels = {
        "app.kubernetes.io/name": "nenrin",
        "app.kubernetes.io/instance": name,
        "app.kubernetes.io/managed-by": "nenrin",
    }
    told = {**labels, "app.kubernetes.io/version": revision}
    selector = {key: labels[key] for key in list(labels)[:2]}
    return {
        "deployment.yaml": [_deployment(name, told, selector, image)],
        "service.yaml": [_service(name, told, selector)],
        "autoscaler.yaml": [_autoscaler(name, told)],
        "disruption-budget.yaml": [_disruption_budget(name, told, selector)],
        "backup.yaml": [_claim(f"{name}-backup", told), _backup(name, told, image)],
        "apply.yaml": [_apply(name, told, image, revision)],
    }


def _object(version: str, kind: str, name: str, labels: dict[str, str], **more: Any) -> Object:
    return {
        "apiVersion": version,
        "kind": kind,
        "metadata": {"name": name, "labels": labels},
        **more,
    }


def _deployment(name: str, labels: dict[str, str], selector: dict[str, str], image: str) -> Object:
    container = {
        **_container(image, ["up"]),
        "ports": [{"name": "http", "containerPort": PORT}],
        # models load before a pod is ready, which may take minutes
        "startupProbe": {**_probe("live"), "periodSeconds": 2, "failureThreshold": 90},
        "readinessProbe": {**_probe("ready"), "periodSeconds": 2, "failureThreshold": 3},
        "livenessProbe": {**_probe("live"), "periodSeconds": 10, "failureThreshold": 6},
        "resources": {
            "requests": {"cpu": "500m", "memory": "1Gi"},
            # an index of a join may take 2 GiB (NENRIN_JOIN_MEMORY); libraries and models take the rest
            "limits": {"memory": "4Gi"},
        },
    }
    annotations = {
        "prometheus.io/scrape": "true",
        "prometheus.io/port": str(PORT),
        "prometheus.io/path": "/metrics",
    }
    template = {
        "metadata": {"labels": labels, "annotations": annotations},
        "spec": {**_pod([container]), "terminationGracePeriodSeconds": _GRACE},
    }
    spread = {
        "maxSkew": 1,
        "topologyKey": "kubernetes.io/hostname",
        "whenUnsatisfiable": "ScheduleAnyway",
        "labelSelector": {"matchLabels": selector},
    }
    template["spec"]["topologySpreadConstraints"] = [spread]
    return _object(
        "apps/v1",
        "Deployment",
        name,
        labels,
        spec={
            "replicas": 2,
            "selector": {"matchLabels": selector},
            "strategy": {"rollingUpdate": {"maxUnavailable": 0, "maxSurge": 1}},
            "template": template,
        },
    )


def _service(name: str, labels: dict[str, str], selector: dict[str, str]) -> Object:
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    return _object("v1", "Service", name, labels, spec={"selector": selector, "ports": ports})


def _autoscaler(name: str, labels: dict[str, str]) -> Object:
    busy = {
        "type": "Resource",
        "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 70}},
    }
    asked = {
        "type": "Pods",
        "pods": {
            "metric": {"name": _METRIC},
            "target": {"type": "AverageValue", "averageValue": str(REQUESTS_A_POD)},
        },
    }
    return _object(
        "autoscaling/v2",
        "HorizontalPodAutoscaler",
        name,
        labels,
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": 2,
            "maxReplicas": 10,
            "metrics": [busy, asked],
        },
    )


def _disruption_budget(name: str, labels: dict[str, str], selector: dict[str, str]) -> Object:
    return _object(
        "policy/v1",
        "PodDisruptionBudget",
        name,
        labels,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": selector}},
    )


def _claim(name: str, labels: dict[str, str]) -> Object:
    return _object(
        "v1",
        "PersistentVolumeClaim",
        name,
        labels,
        spec={
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": "20Gi"}},
        },
    )


def _backup(name: str, labels: dict[str, str], image: str) -> Object:
    to = "/backup"
    container = _container(image, ["backup", "--to", f"{to}/{name}"])
    container["volumeMounts"] = [
        *container["volumeMounts"],
        {"name": "backup", "mountPath": to},
    ]
    pod = _pod([container])
    pod["volumes"] = [
        *pod["volumes"],
        {"name": "backup", "persistentVolumeClaim": {"claimName": f"{name}-backup"}},
    ]
    return _object(
        "batch/v1",
        "CronJob",
        f"{name}-backup",
        labels,
        spec={
            "schedule": "17 2 * * *",
            "concurrencyPolicy": "Forbid",
            "jobTemplate": {"spec": _job(labels, pod)},
        },
    )


def _apply(name: str, labels: dict[str, str], image: str, revision: str) -> Object:
    """Makes what the image holds the environment's revision; a job of its own for every revision."""
    environment = name.removeprefix("nenrin-")
    pod = _pod([_container(image, ["apply", "--env", environment])])
    return _object(
        "batch/v1",
        "Job",
        f"{name}-{revision}",
        labels,
        spec={**_job(labels, pod), "ttlSecondsAfterFinished": 86_400},
    )


def _job(labels: dict[str, str], pod: Object) -> Object:
    return {
        "backoffLimit": 2,
        "template": {
            "metadata": {"labels": {**labels, "app.kubernetes.io/name": "nenrin-job"}},
            "spec": {**pod, "restartPolicy": "Never"},
        },
    }


def _pod(containers: list[Object]) -> Object:
    return {
        "automountServiceAccountToken": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": containers,
        "volumes": [{"name": volume, "emptyDir": {}} for volume in WRITABLE],
    }


def _container(image: str, arguments: list[str]) -> Object:
    return {
        "name": "nenrin",
        "image": image,
        "args": arguments,
        "env": [
            *(_secret(variable, key) for variable, key in SECRET_KEYS.items()),
            *(_secret(variable, key, optional=True) for variable, key in OPTIONAL_KEYS.items()),
        ],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [{"name": volume, "mountPath": path} for volume, path in WRITABLE.items()],
    }


def _secret(variable: str, key: str, *, optional: bool = False) -> Object:
    reference: Object = {"name": SECRET, "key": key}
    if optional:
        reference["optional"] = True
    return {"name": variable, "valueFrom": {"secretKeyRef": reference}}


def _probe(which: str) -> Object:
    return {"httpGet": {"path": f"/v2/health/{which}", "port": "http"}}
