"""Personal fields: what of a prediction is masked before it is written.

A hash is a keyed BLAKE3 of the value's text. Its secret belongs to one folder of predictions: the file
``personal.key``, which only its owner may read, and which no ledger and no backup holds. Equal values
have equal hashes there, in rows, features and keys, so that a hashed key still joins.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

import msgspec
from blake3 import blake3

from nenrin.serving.router import key_text

SECRET = "personal.key"

_BYTES = 32

Mask = Literal["hash", "drop"]


class LogRules(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How a deployment's predictions are logged.

    Attributes:
        durable: an answer leaves once its prediction is on the disk.
        row: personal columns of the request, each with what becomes of it.
        features: features that are read from personal columns, likewise.
    """

    durable: bool = False
    row: dict[str, Mask] = {}
    features: dict[str, Mask] = {}

    @property
    def masked(self) -> tuple[str, ...]:
        """Everything that is masked, by name."""
        return tuple(sorted({*self.row, *self.features}))


class Masks:
    """Masks values with the secret of one folder of predictions.

    Args:
        folder: the folder; its secret is made when it is first needed.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._secret = b""

    def values(self, values: Mapping[str, Any], rules: Mapping[str, Mask]) -> dict[str, Any]:
        """The same with personal ones hashed or null.

        Raises:
            OSError: the secret cannot be read or made.
        """
        return {
            name: value if name not in rules else self.value(value, rules[name])
            for name, value in values.items()
        }

    def value(self, value: Any, mask: Mask) -> str | None:
        """One personal value, hashed or null.

        Raises:
            OSError: the secret cannot be read or made.
        """
        if value is None or mask == "drop":
            return None
        text = key_text([value]).encode()
        return f"hash-{blake3(text, key=self._key()).hexdigest(length=16)}"

    def key(
        self, key: str, names: Sequence[str], row: Mapping[str, Any], rules: Mapping[str, Mask]
    ) -> str:
        """The text of a row's key, its personal parts hashed; ``names`` are its columns.

        Raises:
            OSError: the secret cannot be read or made.
        """
        if not key or not any(name in rules for name in names):
            return key
        given = [(name, row.get(name)) for name in names]
        parts = [self.value(part, rules[name]) if name in rules else part for name, part in given]
        return "" if None in parts else key_text(parts)

    def _key(self) -> bytes:
        if not self._secret:
            self._secret = _secret_of(self._folder / SECRET)
        return self._secret


def _secret_of(path: Path) -> bytes:
    """The secret in a file; where there is none it is made, by whoever is first."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_name(f"{SECRET}.{os.getpid()}")
        file = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            # drawn, unlike everything else here: what could be derived would hide nothing
            os.write(file, os.urandom(_BYTES))
            os.fsync(file)
        finally:
            os.close(file)
        with suppress(FileExistsError):
            os.link(part, path)
        part.unlink()
    secret = path.read_bytes()
    if len(secret) != _BYTES:
        raise OSError(f"{path} is no secret: {_BYTES} bytes are wanted")
    return secret
