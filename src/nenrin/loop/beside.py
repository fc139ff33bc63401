"""A version that is put beside the champion by hand: whether it may stand there, and what it reads."""

from __future__ import annotations

from nenrin.core.errors import RefusedError
from nenrin.loop.ports import Replay
from nenrin.registry.service import RegistryService
from nenrin.registry.version import Version
from nenrin.serving.deployments import Deployment
from nenrin.serving.signature import RequestSignature


def beside(
    registry: RegistryService, environment: str, deployment: Deployment, version: str
) -> Version:
    """The version, where it can answer by itself for a deployment.

    Raises:
        NotFoundError: there is none of that id.
        RefusedError: it is bad, a mixture, or of another model.
    """
    found = registry.get(environment, version)
    if found.status == "bad":
        raise RefusedError(f"{version} is marked bad", hint="choose another version")
    if found.name != deployment.model or found.kind == "mixture":
        raise RefusedError(
            f"{version} is no version of {deployment.model!r} that can answer by itself",
            hint=f"nenrin models list {deployment.model}",
            where=version,
        )
    return found


def reads(
    registry: RegistryService,
    replay: Replay,
    environment: str,
    deployment: Deployment,
    version: Version,
) -> tuple[str, RequestSignature]:
    """A version's feature state and request: the champion's, where both come from one revision."""
    champion = registry.get(environment, deployment.champion)
    if version.revision in ("", champion.revision):
        return deployment.route.champion.features, deployment.request
    prepared = replay.by_revision(environment, version.revision, deployment.name)
    return prepared.served.answering(), prepared.served.request
