"""The settings of one folder: defaults, then ``NENRIN_*`` variables, then arguments."""

from __future__ import annotations

import os
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ByteSize, Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from nenrin.core import environment as environments
from nenrin.core.errors import RequestError

PLATFORMS = {
    "SAGEMAKER_BIND_TO_PORT": "port",
    "AIP_HTTP_PORT": "port",
    "AIP_HEALTH_ROUTE": "health_route",
    "AIP_PREDICT_ROUTE": "predict_route",
}
"""What SageMaker and Vertex AI tell a container, by the setting that it is."""

_ROUTE = r"^(/[\w\-./:]*)?$"
JOIN_MEMORY = ByteSize(2 * 2**30)
"""Half of the 4 GiB that the smallest machine of a cluster usually has for a core."""


class Settings(BaseSettings):
    """Where things are kept, where they are served, and how much of the machine they may use.

    Every field can be set by the environment variable of its name, ``NENRIN_PORT`` for ``port``.
    """

    model_config = SettingsConfigDict(env_prefix="NENRIN_", frozen=True, extra="forbid")

    folder: Path = Field(Path(), description="the project's folder: project.py and .nenrin/")
    environment: str = Field(
        environments.DEFAULT, description="the environment that commands act on"
    )
    database_url: str = Field(
        "",
        description="state and ledger, postgresql://user@host/name; empty: .nenrin/state.db in the folder",
    )
    store_url: str = Field(
        "",
        description="content by digest: a folder, or s3://BUCKET/PREFIX; empty: .nenrin/store in the folder",
    )
    executor: str = Field(
        "",
        description="where steps, fits and trials run; ray://HOST:PORT: on the cluster of that head, "
        "ray: on the cluster that this machine is a node of; empty: here",
    )
    node_folder: str = Field(
        "",
        description="where a node of a cluster keeps what it unpacks; empty: nenrin in the user's cache",
    )
    online: str = Field(
        "",
        description="online features: sqlite, or redis://HOST:PORT/DATABASE; empty: in the memory of"
        " every data plane",
    )
    join_memory: ByteSize = Field(
        JOIN_MEMORY,
        description="memory that a process may take for an index of a dataset, such as 4GiB; a larger one is"
        " joined in partitions",
    )
    models_memory: ByteSize = Field(
        ByteSize(0),
        description="memory that the models of a data plane may take, such as 4GiB: deployments that were"
        " asked longest ago are let go, and opened again when they are asked; 0: all stay",
    )
    host: str = Field("127.0.0.1", description="address of the public port")
    port: int = Field(8321, ge=0, le=65535, description="the public port; 0: any free one")
    planes: int = Field(
        0,
        ge=0,
        description="processes that answer predictions; 0: one on a loopback host, else one a core",
    )
    request_timeout_ms: int = Field(
        30_000,
        ge=1,
        description="how long a prediction may take, where its request does not say it",
    )
    grpc_port: int | None = Field(
        None, ge=1, le=65535, description="a port for gRPC beside it; empty: gRPC is not served"
    )
    health_route: str = Field(
        "", pattern=_ROUTE, description="a further path that /ping is answered at"
    )
    predict_route: str = Field(
        "", pattern=_ROUTE, description="a further path that /invocations is answered at"
    )
    predictions_open: bool = Field(
        False,
        description="whether /invocations needs no token: for a platform in front that asks for its own",
    )
    token: SecretStr | None = Field(
        None, min_length=16, description="required of every request when the host is not loopback"
    )
    log: Literal["text", "json"] = Field(
        "text",
        description="how logs are written; json: one object a line, with run, step and deployment",
    )
    predictions_days: int = Field(
        0, ge=0, description="days that logged predictions are kept; 0: all are kept"
    )
    rescore: int = Field(
        1_000,
        ge=0,
        description="one batch in so many that a compiled model answers is answered by its original too,"
        " and compared; 0: none",
    )
    workers: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=0,
        description="worker processes; 0: in process",
    )

    @classmethod
    def read(cls, **given: Any) -> Self:
        """Settings from arguments, the process' environment variables and defaults, in this order.

        Of the variables, those that a platform sets for its container come first (``PLATFORMS``).

        Raises:
            RequestError: a value does not fit; says which, and the argument or variable that set it.
        """
        told = {name: each for each, name in PLATFORMS.items() if os.environ.get(each)}
        values: dict[str, Any] = {name: os.environ[each] for name, each in told.items()}
        values |= {name: value for name, value in given.items() if value is not None}
        try:
            settings = cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0]) if first["loc"] else "settings"
            variable = told.get(name, f"NENRIN_{name.upper()}")
            is_given = given.get(name) is not None
            raise RequestError(
                f"the setting {name} is wrong: {first['msg']}",
                hint="give another value"
                if is_given
                else f"set {variable}, or unset it for the default",
                where=name if is_given else variable,
            ) from None
        environments.checked(settings.environment)
        return settings

    @property
    def state_folder(self) -> Path:
        """The absolute path of ``.nenrin``: what nenrin keeps beside the project's files."""
        return self.folder.absolute() / ".nenrin"

    @property
    def database(self) -> str:
        """The SQLAlchemy URL of state and ledger."""
        return self.database_url or self.own_database

    @property
    def own_database(self) -> str:
        """The URL of the file that keeps state and ledger where no other database is set."""
        return f"sqlite:///{self.state_folder / 'state.db'}"

    @property
    def store(self) -> str:
        """The root of the content store, a path or a URL."""
        return self.store_url or str(self.state_folder / "store")

    @property
    def plane_count(self) -> int:
        """How many processes answer predictions: who serves others has cores for it, a laptop other work."""
        return self.planes or (1 if self.is_loopback else os.cpu_count() or 1)

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the host; any other host needs a token."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False
