"""What is named: by the state, by content that is named itself, over the borders of chunks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nenrin.backends.blobs.local import LocalStore
from nenrin.core import named
from nenrin.core.errors import IntegrityError
from nenrin.core.named import digests_in, reached

A, B = "a" * 64, "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (f'{{"content":"{A}"}}', {A}),
        (f"{A}:{B}", {A, B}),
        (f"version-{A[:12]}", set()),
        (A + "0", set()),
        (A.upper(), set()),
        (f"x{A}y", {A}),
        ("", set()),
    ],
)
def test_digests_stand_on_their_own(text: str, found: set[str]) -> None:
    assert digests_in(text.encode()) == found


def test_what_is_named_names_more(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    leaf, stray = store.put(b"rows"), store.put(b"nobody names this")
    middle = store.put(json.dumps({"files": [leaf]}).encode())
    top = store.put(json.dumps({"manifest": middle, "of": "b" * 64}).encode())
    assert reached([top, "c" * 64], store) == {top, middle, leaf}
    assert stray not in reached([top], store)
    assert reached([], store) == set()


def test_tables_and_archives_name_nothing(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    leaf = store.put(b"rows")
    table = store.put(b"PAR1" + leaf.encode())
    assert reached([table], store) == {table}


@given(
    before=st.integers(0, 200),
    between=st.sampled_from([b"", b"\n", b'","', b"x" * 70]),
    after=st.integers(0, 200),
    chunk=st.integers(70, 150),
)
def test_chunks_cut_no_digest(before: int, between: bytes, after: int, chunk: int) -> None:
    data = b"-" * before + A.encode() + b"/" + between + B.encode() + b"-" * after
    chunks = (data[start : start + chunk] for start in range(0, len(data), chunk))
    assert digests_in(data) <= named._named_by(chunks)


def test_a_table_is_not_read_to_its_end(tmp_path: Path) -> None:
    chunks = iter([b"PAR1", A.encode()])
    assert named._named_by(chunks) == set()
    assert next(chunks) == A.encode()


def test_content_that_has_changed_is_said(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, durable=False)
    name = store.put(b"{}")
    path = store.file(name)
    path.chmod(0o644)
    path.write_bytes(b"[]")
    with pytest.raises(IntegrityError):
        reached([name], LocalStore(tmp_path))
