"""A container's build context: a revision's sources, its locked packages, and a Dockerfile.

The image holds what the revision holds, and nothing that changes: state, content and secrets are elsewhere.
It runs as a user without rights, and writes below ``/app/.nenrin`` and ``/tmp`` alone. The same image serves
on SageMaker, which starts it with ``serve``, and on Vertex AI, which sets its port and paths (``AIP_*``).
"""

from __future__ import annotations

from nenrin.project.revision import Revision

PORT = 8080
USER = 10001
FOLDER = "/app"
WRITABLE = {"state": f"{FOLDER}/.nenrin", "tmp": "/tmp"}

# what a slim image lacks, by the package that needs it: the system's package, and a library in it
_SYSTEM = {"lightgbm": ("libgomp1", "libgomp.so.1")}


def dockerfile(revision: Revision, environment: str) -> str:
    """The Dockerfile of a revision's image.

    Args:
        revision: whose Python, packages and sources it holds.
        environment: the environment that it serves.
    """
    names = {package.partition("==")[0] for package in revision.packages}
    needed = sorted(system for name, system in _SYSTEM.items() if name in names)
    lines = [
        f"# {revision.id}: written by nenrin export container; write it anew instead of changing it.",
        f"ARG BASE=docker.io/library/python:{revision.python}-slim",
        "FROM ${BASE}",
        *(_apt(package, library) for package, library in needed),
        f"RUN useradd --uid {USER} --no-create-home --home-dir {FOLDER} nenrin "
        f"&& mkdir -p {WRITABLE['state']} && chown {USER}:{USER} {WRITABLE['state']}",
        "ARG PIP_INDEX_URL=",
        "ARG PIP_NO_INDEX=",
        "RUN --mount=type=bind,target=/build "
        "pip install --no-cache-dir --no-deps --find-links /build/wheels -r /build/requirements.txt",
        f"ADD project.tar {FOLDER}/",
        *(f"ENV {name}={value}" for name, value in variables(environment).items()),
        f"WORKDIR {FOLDER}",
        f"USER {USER}:{USER}",
        f"EXPOSE {PORT}",
        "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true",
        'ENTRYPOINT ["nenrin"]',
        'CMD ["up"]',
    ]
    return "\n".join(lines) + "\n"


def variables(environment: str) -> dict[str, str]:
    """The settings that the image brings; addresses and secrets are the cluster's."""
    return {
        "NENRIN_FOLDER": FOLDER,
        "NENRIN_ENVIRONMENT": environment,
        "NENRIN_HOST": "0.0.0.0",
        "NENRIN_PORT": str(PORT),
        "NENRIN_LOG": "json",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": WRITABLE["tmp"],
    }


def requirements(revision: Revision) -> str:
    """The locked packages, one a line."""
    return "".join(f"{package}\n" for package in revision.packages)


def context(revision: Revision, environment: str) -> dict[str, bytes]:
    """The build context but for the project's own files: path to content."""
    return {
        "Dockerfile": dockerfile(revision, environment).encode(),
        "requirements.txt": requirements(revision).encode(),
        ".dockerignore": b".git\n**/__pycache__\n.nenrin\n",
        "wheels/README.txt": b"Wheels that the build takes before it asks an index: --wheels fetches all.\n",
    }


def _apt(package: str, library: str) -> str:
    """Nothing is fetched where the base has it: one behind a firewall cannot."""
    return (
        f"RUN ldconfig -p | grep -q {library} || (apt-get update && apt-get install -y "
        f"--no-install-recommends {package} && rm -rf /var/lib/apt/lists/*)"
    )
