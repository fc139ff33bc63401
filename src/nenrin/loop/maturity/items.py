"""What an item is: a requirement, what it needs to be switched on, what shows it, and the next steps."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from nenrin.loop.maturity.facts import Facts, Sign

COMMAND, LINE, WAIT = 1, 2, 3


class Next(msgspec.Struct, frozen=True, kw_only=True):
    """The cheapest next step.

    Attributes:
        step: one exact command, or one line of the project file; ``{other}`` is another environment,
            ``{day}`` a date in the data, ``{env}`` the option that names an environment that is not ``dev``.
        when: when it helps, where that is not at once.
        cost: ``COMMAND`` is one command, ``LINE`` a line of the project file, ``WAIT`` needs something to
            happen first.
    """

    step: str
    when: str = ""
    cost: int = COMMAND


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What an item needs to be switched on: its words, whether it is, and the step that does it."""

    says: str
    holds: Callable[[Facts], bool]
    begin: Next


class Item(msgspec.Struct, frozen=True, kw_only=True):
    """One requirement of a maturity model.

    Attributes:
        id: the model's letter, the level and a number.
        level: the level that asks for it.
        text: what it asks for.
        needs: what has to be switched on or declared, in the order in which it is done.
        shown: finds the sign that it happened; None: nenrin cannot know it.
        show: what makes it happen, once its needs are there.
        optional: whether the level counts without it.
        outside: why nenrin cannot know it, or which part of it.
    """

    id: str
    level: int
    text: str
    needs: tuple[Need, ...] = ()
    shown: Callable[[Facts], Sign | None] | None = None
    show: Next = Next(step="")
    optional: bool = False
    outside: str = ""


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """A maturity model: its name, its highest level, its items in order."""

    name: str
    highest: int
    items: tuple[Item, ...]
