"""What is declared of a dataset, checked as it is read."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from nenrin.core.errors import ProjectError
from nenrin.core.instants import duration

MASKS = ("hash", "drop")

_DELAY = re.compile(r"(\s*\d+\s*[smhdw])+\s*")


class DatasetSpec(msgspec.Struct, frozen=True, kw_only=True):
    """What a project file says of a dataset.

    Attributes:
        name: as the project calls it; ``""`` until :meth:`Dataset.named` gives a file its name.
        key: columns that identify a row; empty: a row is identified by its content.
        time: column of the event instant; none: all instants are the load's.
        tz: time zone of naive times (IANA name); none: UTC.
        known: column of the instant at which a row could be known, or a delay after the event
            (``"30m"``); none: see :mod:`nenrin.data.versions`.
        path: file that is read, relative to the project file until it is; none: a function is called.
        personal: columns that the prediction log may not hold as they are, each ``hash`` or ``drop``.
        where: ``file:line`` of the declaration.
    """

    name: str
    key: tuple[str, ...] = ()
    time: str | None = None
    tz: str | None = None
    known: str | None = None
    path: str | None = None
    personal: dict[str, str] = {}
    where: str = ""

    @property
    def delay(self) -> int | None:
        """Microseconds from the event until it is known, where ``known`` is a delay."""
        return duration(self.known) if self.known and _DELAY.fullmatch(self.known) else None

    @property
    def known_column(self) -> str | None:
        """The column with the known instants, where ``known`` is a column."""
        return None if self.delay is not None else self.known


def checked_spec(
    name: str,
    where: str,
    *,
    key: object,
    time: object,
    tz: object,
    known: object,
    path: object = None,
    personal: object = None,
) -> DatasetSpec:
    """The arguments of a declaration as a spec.

    Raises:
        ProjectError: an argument is not of its kind; says ``where``.
    """
    spec = DatasetSpec(
        name=name,
        key=_key(key, where),
        time=_text("time", time, where),
        tz=_zone(_text("tz", tz, where), where),
        known=_text("known", known, where),
        path=_text("path", path, where),
        personal=_personal(personal, where),
        where=where,
    )
    dropped = [column for column in spec.key if spec.personal.get(column) == "drop"]
    if dropped:
        raise ProjectError(
            f"personal= drops {dropped[0]!r}, which is the key: no label would find its prediction",
            hint=f'write personal={{"{dropped[0]}": "hash"}}: a hashed key still joins',
            where=where,
        )
    if spec.delay is not None and spec.time is None:
        raise ProjectError(
            f"known={known!r} is a delay after the event, but the dataset has no time=",
            hint="name the column of the event with time=, or leave known= out",
            where=where,
        )
    return spec


def _key(key: object, where: str) -> tuple[str, ...]:
    columns = [key] if isinstance(key, str) else list(key) if isinstance(key, Sequence) else key
    if columns is None:
        return ()
    if (
        not isinstance(columns, list)
        or not all(isinstance(column, str) and column for column in columns)
        or len(set(columns)) < len(columns)
    ):
        raise ProjectError(
            f"key={key!r} does not name columns",
            hint='give one column or several different ones: key="id", key=["shop", "day"]',
            where=where,
        )
    return tuple(columns)


def _personal(personal: object, where: str) -> dict[str, str]:
    if personal is None:
        return {}
    if (
        not isinstance(personal, Mapping)
        or not all(isinstance(column, str) and column for column in personal)
        or not all(mask in MASKS for mask in personal.values())
    ):
        raise ProjectError(
            f"personal={personal!r} does not say how columns are masked",
            hint='give each column "hash" or "drop": personal={"email": "hash", "name": "drop"}',
            where=where,
        )
    return dict(personal)


def _text(word: str, value: object, where: str) -> str | None:
    if value is None or (isinstance(value, str) and value):
        return value
    raise ProjectError(
        f"{word}={value!r} is not a text", hint=f'write {word}="…" or leave it out', where=where
    )


def _zone(tz: str | None, where: str) -> str | None:
    try:
        return tz and ZoneInfo(tz).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ProjectError(
            f"{tz!r} is not a time zone",
            hint='use an IANA name: tz="Europe/Berlin", tz="Asia/Tokyo", tz="UTC"',
            where=where,
        ) from None
