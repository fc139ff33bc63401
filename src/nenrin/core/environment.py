"""Environments: what a deployment, an alias, a calendar and a ledger chain belong to.

``dev`` is where work happens, ``prod`` is changed by ``nenrin apply`` only, ``backtest/<id>``
belongs to one replay. Content is shared between them by digest.
"""

from __future__ import annotations

import re

from nenrin.core.errors import RequestError

DEFAULT = "dev"

_BACKTEST = "backtest/"
_NAME = re.compile(r"(?:backtest/)?[a-z][a-z0-9_-]{0,63}")


def checked(name: str) -> str:
    """``name``, when it can name an environment.

    Raises:
        RequestError: it cannot.
    """
    if not _NAME.fullmatch(name) or name == "backtest":
        raise RequestError(
            f"{name!r} cannot name an environment",
            hint="use small letters, digits, - and _, beginning with a letter: dev, prod, staging",
        )
    return name


def of_backtest(backtest: str) -> str:
    """The environment of the backtest with the id ``backtest``."""
    return checked(_BACKTEST + backtest)


def is_backtest(name: str) -> bool:
    """Whether ``name`` is the environment of a backtest: what it holds can be computed again."""
    return name.startswith(_BACKTEST)
