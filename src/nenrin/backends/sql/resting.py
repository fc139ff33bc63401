"""Connections that rested are asked whether they still live, before anybody builds on them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Engine, event
from sqlalchemy.exc import DisconnectionError

from nenrin.core.timer import SystemTimer

_RESTED = 1.0  # seconds after which a connection is asked
_KEY = "last used"


def ask_after_rest(engine: Engine) -> None:
    """Replace connections that died while they rested; one in use costs nothing more.

    A server that was started again in a quiet hour is then never noticed. Asking before every use would
    cost each of them a round trip.
    """
    timer = SystemTimer()

    @event.listens_for(engine, "checkin")
    def _rests(_: Any, record: Any) -> None:
        record.info[_KEY] = timer.wall()

    @event.listens_for(engine, "checkout")
    def _asked(connection: Any, record: Any, _: Any) -> None:
        used = record.info.get(_KEY)
        if used is None or timer.wall() - used < _RESTED:
            return
        try:
            connection.execute("SELECT 1")
            connection.rollback()
        except engine.dialect.dbapi.OperationalError as error:  # type: ignore[union-attr]
            raise DisconnectionError from error  # the pool takes another one
