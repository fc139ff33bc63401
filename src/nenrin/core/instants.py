"""Instants and durations as whole microseconds.

Inside nenrin an instant is an ``int``: microseconds since 1970-01-01 UTC (numpy ``int64`` in arrays).
Whole numbers compare exactly, hash alike in every process, and go into digests unchanged.
``NEVER`` is later than every instant: the label that never comes, the member that was never replaced.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from nenrin.core.errors import ProjectError

SECOND = 1_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
NEVER = 2**63 - 1

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_UNITS = {"s": SECOND, "m": MINUTE, "h": HOUR, "d": DAY, "w": 7 * DAY}
_DURATION = re.compile(r"\s*(\d+)\s*([smhdw])\s*")


def duration(text: str) -> int:
    """Microseconds of a duration such as ``"30m"``, ``"3h"``, ``"7d"`` or ``"1d 12h"``.

    Raises:
        ProjectError: the text is not a duration.
    """
    parts = _DURATION.findall(text)
    if not parts or _DURATION.sub("", text):
        raise ProjectError(
            f"{text!r} is not a duration",
            hint='write a number and one of s, m, h, d, w: "30m", "3h", "7d"',
        )
    return sum(int(number) * _UNITS[unit] for number, unit in parts)


def declared_duration(word: str, value: object, where: str, example: str = "3h") -> int:
    """Microseconds of a duration that a project file gives as ``word``; more than none.

    Raises:
        ProjectError: it is no text, no duration or nothing; says ``where`` (``file:line``).
    """
    try:
        us = duration(value) if isinstance(value, str) else 0
    except ProjectError:
        us = 0
    if not us:
        raise ProjectError(
            f"{word}={value!r} is not a duration",
            hint=f'write a positive number and one of s, m, h, d, w: {word}="{example}"',
            where=where,
        )
    return us


def spell(us: int) -> str:
    """The shortest duration text of ``us`` microseconds, the inverse of :func:`duration`."""
    parts = []
    rest = us
    for unit, size in (("d", DAY), ("h", HOUR), ("m", MINUTE), ("s", SECOND)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts) or "0s"


def to_us(moment: datetime) -> int:
    """The instant of an aware ``datetime``; a naive one is UTC."""
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=UTC)
    delta = moment - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * SECOND + delta.microseconds


def from_us(us: int) -> datetime:
    """The aware UTC ``datetime`` of an instant."""
    return _EPOCH + timedelta(microseconds=us)


def iso(us: int) -> str:
    """An instant as ISO 8601 text in UTC, as events and reports write it."""
    return from_us(us).isoformat().replace("+00:00", "Z")


def local_midnight(day: date, zone: str) -> int:
    """The instant at which ``day`` begins in the time zone ``zone``."""
    return local_instant(day, time(0), zone)


def local_instant(day: date, clock: time, zone: str) -> int:
    """The instant of a local clock time; of a doubled hour the first, a missing hour moves on by it."""
    return to_us(datetime.combine(day, clock, tzinfo=ZoneInfo(zone)).astimezone(UTC))


def local_date(us: int, zone: str) -> date:
    """The calendar date of an instant in the time zone ``zone``."""
    return from_us(us).astimezone(ZoneInfo(zone)).date()
