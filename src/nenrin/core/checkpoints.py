"""Checkpoints: the heads of the ledger's chains, signed, to be kept where the ledger is not.

A chain alone cannot show that its end was cut off, or rewritten together with the state beside it. A head
that somebody else keeps can. A checkpoint is a *signed note*, text that people can read and other tools can
check (C2SP, "Signed note", https://c2sp.org/signed-note): an origin, an instant, a line a chain, and an
Ed25519 signature (RFC 8032) over all of it.
"""

from __future__ import annotations

import base64
import binascii
import os
import re
from collections.abc import Callable, Mapping
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from nenrin.core.environment import is_backtest
from nenrin.core.errors import IntegrityError, NotFoundError, RequestError, UnavailableError
from nenrin.core.instants import iso
from nenrin.core.unit import Units

if TYPE_CHECKING:
    from nacl.signing import SigningKey

_ORIGIN = "nenrin ledger"
_NAME = "nenrin"
_ED25519 = b"\x01"
_LINE = re.compile(r"(\S+) (\d+) ([0-9a-f]{64})")
_SIGNATURE = re.compile(rf"— {_NAME} (\S+)")
_KEY = re.compile(r"([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)")
_MAKE = "make one: nenrin audit checkpoint --to FILE"


class Head(msgspec.Struct, frozen=True):
    """The newest event of a chain: its environment, sequence and chain hash."""

    environment: str
    sequence: int
    hash: str


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a checkpoint says.

    Attributes:
        at: instant at which it was made, ISO 8601.
        heads: of every environment but those of backtests, by name.
        note: the signed text.
        key: the public key that it can be verified with; keep it beside the note.
    """

    at: str
    heads: tuple[Head, ...]
    note: str
    key: str


class Checkpoints:
    """Makes checkpoints of one ledger, and reads them.

    Args:
        units: the ledger.
        folder: where the signing key is; made, for this user alone, when one is first needed.
        now: business time, in microseconds.
    """

    def __init__(self, units: Units, folder: Path, now: Callable[[], int]) -> None:
        self._units = units
        self._key = folder / "checkpoint.key"
        self._now = now

    def make(self) -> Checkpoint:
        """Sign the heads as they are now.

        Raises:
            NotFoundError: the ledger has no event to be signed.
            UnavailableError: the key can neither be read nor made.
        """
        heads = tuple(
            Head(name, *self._units.head(name))
            for name in self._units.environments()
            if not is_backtest(name)
        )
        if not heads:
            raise NotFoundError("the ledger has no events yet", hint="begin: nenrin run")
        at = iso(self._now())
        lines = [f"{head.environment} {head.sequence} {head.hash}" for head in heads]
        text = "\n".join([_ORIGIN, at, *lines]) + "\n"
        key = self._signing_key()
        public = bytes(key.verify_key)
        signed = _key_id(public) + key.sign(text.encode()).signature
        note = f"{text}\n— {_NAME} {base64.b64encode(signed).decode()}\n"
        return Checkpoint(at=at, heads=heads, note=note, key=_spelled(public))

    def heads_of(self, note: str, key: str | None = None) -> Mapping[str, Head]:
        """The heads of a checkpoint, by environment.

        Args:
            note: the signed text.
            key: the public key, as it was told when the checkpoint was made; None: this folder's own.

        Raises:
            IntegrityError: the text is not what was signed, or another key signed it.
            RequestError: it is no checkpoint, or ``key`` is no key.
            NotFoundError: no key was given, and this folder has none.
        """
        return opened(note, self.public_key() if key is None else key)

    def public_key(self) -> str:
        """This folder's own public key.

        Raises:
            NotFoundError: it has none.
        """
        if not self._key.exists():
            raise NotFoundError(
                "this folder has no key to verify a checkpoint with",
                where=str(self._key),
                hint="give the one that was printed when it was made: --key",
            )
        return _spelled(bytes(self._signing_key().verify_key))

    def _signing_key(self) -> SigningKey:
        from nacl.signing import SigningKey  # takes a while to load, and few commands need it

        try:
            self._key.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self._key.exists():
                _write_private(self._key, base64.b64encode(bytes(SigningKey.generate())))
            if self._key.stat().st_mode & 0o077:
                raise UnavailableError(
                    "others may read the key that signs checkpoints",
                    where=str(self._key),
                    hint=f"chmod 600 {self._key}; if somebody has read it, move it away for a new one",
                )
            return SigningKey(base64.b64decode(self._key.read_bytes(), validate=True))
        except OSError as error:
            raise UnavailableError(
                f"the key that signs checkpoints cannot be used: {error.strerror or error}",
                where=str(self._key),
                hint="let nenrin write to that folder",
            ) from error
        except (binascii.Error, ValueError):
            raise IntegrityError(
                "the key that signs checkpoints is damaged",
                where=str(self._key),
                hint="restore it from a backup, or move it away for a new one",
            ) from None


def opened(note: str, key: str) -> Mapping[str, Head]:
    """The heads that a checkpoint says, by environment, once its signature is verified.

    Raises:
        IntegrityError: the text is not what was signed, or another key signed it.
        RequestError: it is no checkpoint, or ``key`` is no public key.
    """
    text, _, signatures = note.replace("\r\n", "\n").partition("\n\n")
    text += "\n"
    lines = text.splitlines()
    if lines[0] != _ORIGIN or not signatures.startswith("— "):
        raise RequestError("this is no checkpoint of a ledger of nenrin", hint=_MAKE)
    if not _is_signed(text, signatures, _public(key)):
        raise IntegrityError(
            "the checkpoint is not what was signed by this key",
            hint="somebody changed its text, or another folder made it: give its key, --key",
        )
    found = [_LINE.fullmatch(line) for line in lines[2:]]
    if not all(found):
        raise RequestError("the checkpoint has a line that this version does not know", hint=_MAKE)
    heads = [Head(each[1], int(each[2]), each[3]) for each in found if each]
    return {head.environment: head for head in heads}


def _is_signed(text: str, signatures: str, public: bytes) -> bool:
    from nacl.exceptions import BadSignatureError
    from nacl.signing import VerifyKey

    for line in signatures.splitlines():
        found = _SIGNATURE.fullmatch(line)
        signed = _decoded(found[1]) if found else b""
        if signed[:4] != _key_id(public):
            continue  # others may have signed it too
        try:
            VerifyKey(public).verify(text.encode(), signed[4:])
        except (BadSignatureError, ValueError):
            continue
        return True
    return False


def _decoded(text: str) -> bytes:
    """The bytes of a base64 text in its one right spelling, none of another."""
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error:
        return b""
    return raw if base64.b64encode(raw).decode() == text else b""


def _key_id(public: bytes) -> bytes:
    return sha256(_NAME.encode() + b"\n" + _ED25519 + public).digest()[:4]


def _spelled(public: bytes) -> str:
    """A public key as signed notes spell it: name, id, algorithm and key."""
    return f"{_NAME}+{_key_id(public).hex()}+{base64.b64encode(_ED25519 + public).decode()}"


def _public(key: str) -> bytes:
    found = _KEY.fullmatch(key.strip())
    raw = _decoded(found[3]) if found else b""
    if found is None or len(raw) != 33 or raw[:1] != _ED25519:
        raise RequestError(
            "this is no public key of a checkpoint",
            where="--key",
            hint="it looks like nenrin+1a2b3c4d+AAAA…, and was printed when the checkpoint was made",
        )
    if _key_id(raw[1:]).hex() != found[2]:
        raise RequestError(
            "the public key does not fit its own id", where="--key", hint="copy it whole"
        )
    return raw[1:]


def _write_private(path: Path, data: bytes) -> None:
    """A file that nobody else may read at any time."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.write(file, data)
        os.fsync(file)
    finally:
        os.close(file)
