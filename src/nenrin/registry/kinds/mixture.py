"""The kind *mixture*: a list of versions whose answers are shared out.

The content is the member list alone. What share each member has is the route's to say, for it moves every
day; without a word of it members share alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import polars as pl

from nenrin.core.errors import RequestError
from nenrin.registry.kinds.contract import Answerer, Answers, OpenContext
from nenrin.registry.kinds.model import ModelKind
from nenrin.registry.kinds.rows import RowAnswerer, vocabularies_of, waits
from nenrin.training.columns import Vocabularies


class MemberContent(msgspec.Struct, frozen=True, kw_only=True):
    """A member: the slot that it fills, the version of a model in it, and the digest of its content."""

    slot: str
    version: str
    content: str


class Mixture(msgspec.Struct, frozen=True, kw_only=True):
    """The content of a version of this kind."""

    members: tuple[MemberContent, ...]

    @property
    def parents(self) -> tuple[str, ...]:
        """The versions that it is made from, each once."""
        return tuple(dict.fromkeys(member.version for member in self.members))

    def dumps(self) -> bytes:
        """The bytes to put into the content store, the same for the same members."""
        return msgspec.json.encode(self)

    @classmethod
    def loads(cls, content: bytes) -> Mixture:
        """The mixture of a content.

        Raises:
            RequestError: the content is no mixture, or has no member.
        """
        try:
            found = msgspec.json.decode(content, type=cls)
        except (msgspec.ValidationError, msgspec.DecodeError) as error:
            raise RequestError(
                f"this is no mixture: {error}",
                hint='its content is JSON: {"members": [{"slot": …, "version": …, …}]}',
            ) from None
        if not found.members:
            raise RequestError("a mixture has one member at least", hint="name its versions")
        return found


class MixtureKind:
    """Mixtures of models as versions."""

    name = "mixture"

    def describe(self, content: bytes) -> dict[str, Any]:
        """The member of each slot.

        Raises:
            RequestError: the content is no mixture.
        """
        return {"members": {m.slot: m.version for m in Mixture.loads(content).members}}

    def open(self, content: bytes, context: OpenContext) -> Answerer:
        """The mixture, ready to answer by the context's shares; members with none of them are not opened.

        Raises:
            NenrinError: a member's content is not there, or does not open.
        """
        members = Mixture.loads(content).members
        given = context.shares or tuple((member.slot, 1 / len(members)) for member in members)
        contents = {member.slot: member.content for member in members}
        shares: dict[str, float] = {}
        for slot, share in given:  # several slots may hold one fit
            shares[contents[slot]] = shares.get(contents[slot], 0.0) + share
        opened = [ModelKind().open(context.store.get(each), context) for each in shares]
        return MixtureAnswerer(opened, list(shares.values()))


class MixtureAnswerer:
    """Opened members and their shares.

    Args:
        members: answer numbers.
        shares: one a member, 1 in all.
    """

    def __init__(self, members: Sequence[Answerer], shares: Sequence[float]) -> None:
        self._members = members
        self._shares = shares

    @property
    def waits(self) -> bool:
        """Whether one of them waits for another server."""
        return any(waits(member) for member in self._members)

    @cached_property
    def vocabularies(self) -> Vocabularies:
        """The texts that the training of any member saw, by column; None where one takes all."""
        found: dict[str, frozenset[str] | None] = {}
        for member in self._members:
            for name, mine in vocabularies_of(member).items():
                known = found.get(name, mine)
                found[name] = None if known is None or mine is None else known | mine
        return found

    def answer(self, frame: pl.DataFrame) -> Answers:
        """float64[n]: the members' answers, each times its share, added up."""
        return self._mixed(lambda member: member.answer(frame))

    def answer_rows(self, rows: Sequence[Mapping[str, Any]]) -> Answers:
        """The same for a few rows, without a frame."""
        return self._mixed(lambda member: RowAnswerer(member).answer_rows(rows))

    def _mixed(self, ask: Callable[[Answerer], Answers]) -> Answers:
        answers = [np.asarray(ask(member), dtype=np.float64) for member in self._members]
        mixed: np.ndarray = sum(
            (share * each for share, each in zip(self._shares, answers, strict=True)),
            start=np.zeros(len(answers[0])),
        )
        return mixed
