"""Headers of a request, and metadata of a call, by their names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import AnyStr


def by_name(sent: Iterable[tuple[AnyStr, AnyStr]], comma: AnyStr) -> dict[AnyStr, AnyStr]:
    """One value a name; those of a name that comes twice, joined by ``comma``: ``", "``, as text or as bytes.

    So proxies may join them, and so both protocols read them (RFC 9110, section 5.3; gRPC over HTTP/2).
    """
    found: dict[AnyStr, AnyStr] = {}
    for name, told in sent:
        found[name] = found[name] + comma + told if name in found else told
    return found
