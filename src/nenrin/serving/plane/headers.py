"""Headers of a request, and metadata of a call, by their names."""

from __future__ import annotations

from collections.abc import Iterable


def by_name(sent: Iterable[tuple[str, str]]) -> dict[str, str]:
    """One value a name; those of a name that comes twice, joined by commas.

    So proxies may join them, and so both protocols read them (RFC 9110, section 5.3; gRPC over HTTP/2).
    """
    found: dict[str, str] = {}
    for name, told in sent:
        found[name] = f"{found[name]}, {told}" if name in found else told
    return found
