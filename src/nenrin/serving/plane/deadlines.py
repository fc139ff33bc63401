"""How long a request may take, where it says so itself."""

from __future__ import annotations

from nenrin.core.errors import RequestError

TIMEOUT = b"x-request-timeout-ms"
"""The header that says it."""

_LONGEST = 3_600_000
_DIGITS = 8


def seconds_of(text: bytes) -> float:
    """The seconds that a header allows.

    Raises:
        RequestError: it is not a whole number of milliseconds, from one to an hour's.
    """
    milliseconds = int(text) if text.isdigit() and len(text) <= _DIGITS else 0
    if not 0 < milliseconds <= _LONGEST:
        raise RequestError(
            f"X-Request-Timeout-Ms is {text.decode('latin-1')!r:.40}",
            hint=f"send whole milliseconds, 1 to {_LONGEST}, or leave it out",
        )
    return milliseconds / 1e3
