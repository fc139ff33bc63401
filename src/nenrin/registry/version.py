"""A version: a registered artefact of some kind."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from nenrin.core.digest import derived_id

Status = Literal["registered", "serving", "archived", "bad"]


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """One artefact under the name that it is a version of.

    Attributes:
        id: derived from name, kind, content and parents: the same artefact of the same parents has
            the same id everywhere.
        name: the declared model, prompt, … that it is a version of.
        kind: ``model``, ``prompt``, ``mixture`` …; only the kind's own code asks which.
        environment: where it is registered; content is shared, records are not.
        content: digest of its bytes in the content store.
        at: business instant of its registration, microseconds UTC.
        revision: id of the project revision that made it; empty where none did.
        parents: digests and ids that it was made from: data versions, a tuned study, members.
        facts: plain values: what its kind reads from its content, and what its maker says.
        status: ``bad`` ones are never served again.
    """

    id: str
    name: str
    kind: str
    environment: str
    content: str
    at: int
    revision: str = ""
    parents: tuple[str, ...] = ()
    facts: dict[str, Any] = {}
    status: Status = "registered"


def version_id(name: str, kind: str, content: str, parents: Sequence[str] = ()) -> str:
    """The id of a version, before it is registered."""
    return derived_id("version", name, kind, content, list(parents))
