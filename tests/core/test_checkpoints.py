"""Signed checkpoints: what they say, who can verify them, and what no change of them survives."""

from __future__ import annotations

import base64
import stat
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from nacl.signing import SigningKey, VerifyKey

from nenrin.backends.sql.database import Database
from nenrin.core.checkpoints import Checkpoints, opened
from nenrin.core.errors import IntegrityError, NotFoundError, RequestError, UnavailableError


@pytest.fixture
def units(tmp_path: Path) -> Iterator[Database]:
    with Database(f"sqlite:///{tmp_path / 'state.db'}", durable=False) as database:
        yield database


@pytest.fixture
def checkpoints(units: Database, tmp_path: Path) -> Checkpoints:
    for environment in ("dev", "prod", "backtest/bt-1"):
        with units.write(environment, 1) as unit:
            unit.record("day.closed", "delay", {"loss": 0.1})
    return Checkpoints(units, tmp_path / "keys", lambda: 1_700_000_000_000_000)


def test_what_it_says_is_what_the_ledger_had(checkpoints: Checkpoints, units: Database) -> None:
    made = checkpoints.make()
    heads = checkpoints.heads_of(made.note)
    assert {name: (head.sequence, head.hash) for name, head in heads.items()} == {
        "dev": units.head("dev"),
        "prod": units.head("prod"),
    }
    assert opened(made.note, made.key) == heads
    assert made.note.splitlines()[:2] == ["nenrin ledger", "2023-11-14T22:13:20Z"]


def test_it_is_a_signed_note_that_others_can_verify(checkpoints: Checkpoints) -> None:
    """By the words of the specification, with nothing of ours."""
    made = checkpoints.make()
    text, _, rest = made.note.partition("\n\n")
    dash, name, blob = rest.rstrip("\n").split(" ")
    raw = base64.b64decode(blob)
    key_name, key_id, key = made.key.split("+", 2)
    public = base64.b64decode(key)
    assert (dash, name, public[:1]) == ("—", key_name, b"\x01")
    assert raw[:4] == sha256(name.encode() + b"\n" + public).digest()[:4]
    assert raw[:4].hex() == key_id
    VerifyKey(public[1:]).verify((text + "\n").encode(), raw[4:])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("dev 1 ", "dev 2 "),
        ("prod", "prod2"),
        ("2023", "2024"),
        ("nenrin ledger\n2", "nenrin ledger\n\n2"),
    ],
)
def test_a_changed_text_is_refused(checkpoints: Checkpoints, old: str, new: str) -> None:
    note = checkpoints.make().note
    assert old in note
    with pytest.raises((IntegrityError, RequestError)):
        checkpoints.heads_of(note.replace(old, new, 1))


def test_every_changed_letter_is_refused(checkpoints: Checkpoints) -> None:
    note = checkpoints.make().note
    for place in range(0, len(note) - 1, 3):
        changed = note[:place] + chr(ord(note[place]) ^ 1) + note[place + 1 :]
        with pytest.raises((IntegrityError, RequestError)):
            checkpoints.heads_of(changed)


def test_line_ends_of_a_mail_do_no_harm(checkpoints: Checkpoints) -> None:
    made = checkpoints.make()
    assert opened(made.note.replace("\n", "\r\n"), f" {made.key}\n") == opened(made.note, made.key)


def test_another_key_is_said(checkpoints: Checkpoints, units: Database, tmp_path: Path) -> None:
    other = Checkpoints(units, tmp_path / "others", lambda: 0)
    note = other.make().note
    checkpoints.make()
    with pytest.raises(IntegrityError, match="by this key"):
        checkpoints.heads_of(note)
    assert checkpoints.heads_of(note, other.public_key())
    for key in ("", "nenrin+00000000+AAAA", "x" * 50, other.public_key()[:-4]):
        with pytest.raises(RequestError, match="public key"):
            checkpoints.heads_of(note, key)


def test_the_key_is_this_users_alone_and_stays(checkpoints: Checkpoints, tmp_path: Path) -> None:
    key = tmp_path / "keys" / "checkpoint.key"
    with pytest.raises(NotFoundError, match="no key"):
        checkpoints.public_key()
    made = checkpoints.make()
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert stat.S_IMODE(key.parent.stat().st_mode) == 0o700
    assert checkpoints.make().key == made.key
    signer = SigningKey(base64.b64decode(key.read_bytes()))
    assert base64.b64encode(b"\x01" + bytes(signer.verify_key)).decode() in made.key
    key.chmod(0o644)
    with pytest.raises(UnavailableError, match="others may read"):
        checkpoints.make()
    key.chmod(0o600)
    key.write_text("torn")
    with pytest.raises(IntegrityError, match="is damaged"):
        checkpoints.make()


def test_there_is_nothing_to_sign_in_an_empty_ledger(units: Database, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no events yet"):
        Checkpoints(units, tmp_path / "keys", lambda: 0).make()


def test_other_texts_are_no_checkpoints(checkpoints: Checkpoints) -> None:
    key = checkpoints.make().key
    for text in ("", "hello", "{}", "nenrin ledger\n\n"):
        with pytest.raises(RequestError, match="no checkpoint"):
            opened(text, key)
