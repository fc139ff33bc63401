"""A KServe ``InferenceService``: the same image as its predictor, which speaks the Open Inference Protocol.

The form is KServe's custom predictor (https://kserve.github.io/website/, ``serving.kserve.io/v1beta1``).
"""

from __future__ import annotations

from typing import Any

from nenrin.integrations import kubernetes


def inference_service(environment: str, image: str, revision: str) -> dict[str, Any]:
    """The object that has KServe run, route and scale the pods of an environment.

    Args:
        environment: the environment that is served; it names the object.
        image: the image of the revision, as the cluster pulls it.
        revision: its id, a label.
    """
    (deployment,) = kubernetes.objects(environment, image, revision)["deployment.yaml"]
    pod = deployment["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    ours = {key: value for key, value in container.items() if key != "startupProbe"}
    port = {**container["ports"][0], "name": "http1", "protocol": "TCP"}
    probes = {
        name: {**container[name], "httpGet": {**container[name]["httpGet"], "port": "http1"}}
        for name in ("readinessProbe", "livenessProbe")
    }
    predictor = {
        "minReplicas": 2,
        "maxReplicas": 10,
        **{key: pod[key] for key in ("automountServiceAccountToken", "securityContext", "volumes")},
        "containers": [{**ours, "name": "kserve-container", "ports": [port], **probes}],
    }
    return {
        "apiVersion": "serving.kserve.io/v1beta1",
        "kind": "InferenceService",
        "metadata": deployment["metadata"],
        "spec": {"predictor": predictor},
    }
