"""Which version answers which row.

A key is hashed once and keeps its place between 0 and 100 for as long as the deployment lives. The
challengers own the low end of that range, in order, and the champion the rest: raising the weight
of the challenger moves keys from the champion to it, and no key the other way.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
import numpy as np
import polars as pl
from blake3 import blake3

from nenrin.core.errors import RequestError

FORMER, CONSTANT = -1, -2
"""Places of who answers and is in no route: the version that the champion replaced, the declared answer."""

_SPECIAL = re.compile(r"([\\|])")
_FEW = 8  # keys, up to which numpy takes longer
_MASK = 2**64 - 1
_TOP_BIT = 2**63


class Member(msgspec.Struct, frozen=True):
    """A member's part in a mixture's answer: the slot that it fills, its version, its share."""

    slot: str
    version: str
    share: float


class Variant(msgspec.Struct, frozen=True, kw_only=True):
    """One version's part in a deployment's requests.

    Attributes:
        version: id of the version that answers.
        weight: percent of the keys, 0 to 100.
        features: digest of the feature state that it reads; empty: the request's own columns.
        members: of a mixture, who answers with which share; empty: the version alone.
        recalibration: ``(a, b)``: logits of its answers are multiplied by b, then a is added; None: they
            stay as they are.
    """

    version: str
    weight: int = 100
    features: str = ""
    members: tuple[Member, ...] = ()
    recalibration: tuple[float, float] | None = None


class Shadow(msgspec.Struct, frozen=True, kw_only=True):
    """A version that scores what others have answered, afterwards; no client hears of it.

    Attributes:
        variant: the version, without a weight.
        budget: percent of a core that each data plane spends on it at most, 1 to 100.
        since: business instant of its beginning, microseconds UTC.

    Raises:
        RequestError: the budget is none.
    """

    variant: Variant
    budget: int = 25
    since: int = 0

    def __post_init__(self) -> None:
        if not 1 <= self.budget <= 100:
            raise RequestError(
                f"{self.budget} % of a core is no budget",
                hint="give a shadow a whole percentage from 1 to 100",
                where="budget",
            )

    @property
    def version(self) -> str:
        """Who scores."""
        return self.variant.version


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """The versions behind one deployment: first the champion, then the challengers; and the shadow.

    Raises:
        RequestError: there is no variant, one comes twice, or the weights do not add up to 100.
    """

    deployment: str
    variants: tuple[Variant, ...]
    shadow: Shadow | None = None

    def __post_init__(self) -> None:
        weights = [variant.weight for variant in self.variants]
        if not weights or min(weights) < 0 or sum(weights) != 100:
            raise RequestError(
                f"the weights {weights} of deployment {self.deployment!r} do not add up to 100",
                hint="give every version a whole percentage, 100 in all",
            )
        if len({variant.version for variant in self.variants}) < len(self.variants):
            raise RequestError(
                f"a version comes twice in the route of deployment {self.deployment!r}",
                hint="name every version once and add up its weights",
            )

    @property
    def champion(self) -> Variant:
        """The version that serves what no challenger takes."""
        return self.variants[0]

    @property
    def challengers(self) -> tuple[Variant, ...]:
        """The versions that are being tried."""
        return self.variants[1:]

    @property
    def loaded(self) -> tuple[Variant, ...]:
        """Everything that a data plane loads: those that answer, and the shadow."""
        return self.variants if self.shadow is None else (*self.variants, self.shadow.variant)

    def each(self, change: Callable[[Variant], Variant]) -> Route:
        """This route with every variant changed, the shadow's too."""
        shadow = self.shadow
        if shadow is not None:
            shadow = msgspec.structs.replace(shadow, variant=change(shadow.variant))
        return msgspec.structs.replace(
            self, variants=tuple(map(change, self.variants)), shadow=shadow
        )

    def only(self, version: str, features: str = "") -> Route:
        """This route with everything going to one version."""
        variant = Variant(version=version, features=features)
        return msgspec.structs.replace(self, variants=(variant,))

    def canary(self, version: str, weight: int, features: str = "") -> Route:
        """This route with ``weight`` percent going to a challenger and the rest to the champion."""
        champion = msgspec.structs.replace(self.champion, weight=100 - weight)
        challenger = Variant(version=version, weight=weight, features=features)
        return msgspec.structs.replace(self, variants=(champion, challenger))


class Router:
    """Deals keys to the variants of one route, sticky by key."""

    def __init__(self, route: Route) -> None:
        self.route = route
        self._salt = key_hash(route.deployment)
        order = [*range(1, len(route.variants)), 0]
        reached = np.cumsum([route.variants[index].weight for index in order])
        self._edges = [int(percent) * _TOP_BIT // 100 for percent in reached]
        self._edge_array = np.array(self._edges, dtype=np.uint64)
        self._order = np.array(order, dtype=np.int8)

    def split(self, hashes: np.ndarray) -> np.ndarray:
        """The variant of every row.

        Args:
            hashes: uint64[n], from :func:`key_hashes`.

        Returns:
            int8[n]: indices into ``route.variants``.
        """
        place = _mix_array(hashes ^ np.uint64(self._salt)) >> np.uint64(1)
        return self._order[np.searchsorted(self._edge_array, place, side="right")]

    def pick(self, key: str) -> int:
        """The variant of one key, the same as :meth:`split` gives it."""
        if len(self._edges) == 1:
            return 0
        place = _mix(key_hash(key) ^ self._salt) >> 1
        for index, edge in zip(self._order, self._edges, strict=True):
            if place < edge:
                return int(index)
        return 0

    def pick_each(self, keys: Sequence[str]) -> list[int]:
        """The variant of every key; each that comes several times is dealt once."""
        distinct = dict.fromkeys(keys)
        if len(distinct) <= _FEW:
            places = {key: self.pick(key) for key in distinct}
        else:
            dealt: list[int] = self.split(key_hashes(distinct)).tolist()
            places = dict(zip(distinct, dealt, strict=True))
        return [places[key] for key in keys]


def key_text(parts: Sequence[Any]) -> str:
    """A row's key as one text, as row tables write it: the parts of several joined by ``|``."""
    if len(parts) == 1:
        return _part_text(parts[0])
    return "|".join(_SPECIAL.sub(r"\\\1", _part_text(part)) for part in parts)


def _part_text(part: Any) -> str:
    if isinstance(part, str):
        return part
    if type(part) is int:
        return str(part)
    text: str = pl.Series([part]).cast(pl.String)[0]  # times and numbers as polars spells them
    return text


def key_hash(key: str) -> int:
    """64 bits of the BLAKE3 digest of a key."""
    return int.from_bytes(blake3(key.encode()).digest(length=8), "little")


def key_hashes(keys: Iterable[str]) -> np.ndarray:
    """:func:`key_hash` of every key: uint64[n]."""
    digests = b"".join([blake3(key.encode()).digest(length=8) for key in keys])
    return np.frombuffer(digests, "<u8").astype(np.uint64, copy=False)


def _mix(value: int) -> int:
    """The finaliser of SplitMix64 (Steele, Lea and Flood, 2014): every bit moves every other."""
    value = ((value ^ (value >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    value = ((value ^ (value >> 27)) * 0x94D049BB133111EB) & _MASK
    return value ^ (value >> 31)


def _mix_array(values: np.ndarray) -> np.ndarray:
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: np.ndarray = values ^ (values >> np.uint64(31))
    return mixed
