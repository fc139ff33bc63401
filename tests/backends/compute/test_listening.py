"""What comes through a task's channels, cut into messages and lines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from nenrin.backends.compute.listening import _LONGEST, _Text
from nenrin.backends.compute.messages import Inbox, packed
from nenrin.pipelines.executor import Line, Said


def cut(data: bytes, sizes: list[int]) -> list[bytes]:
    pieces = []
    for size in sizes:
        pieces.append(data[:size])
        data = data[size:]
    return [piece for piece in [*pieces, data] if piece]


SIZES = st.lists(st.integers(1, 7), max_size=30)


@given(st.lists(st.binary(max_size=20), max_size=5), SIZES)
def test_messages_arrive_whole_however_they_are_cut(
    messages: list[bytes], sizes: list[int]
) -> None:
    inbox = Inbox()
    wire = b"".join(map(packed, messages))
    assert [m for piece in cut(wire, sizes) for m in inbox.take(piece)] == messages


def lines(pieces: list[bytes]) -> list[str]:
    said: list[Said] = []
    text = _Text("stdout", said.append)
    for piece in pieces:
        text.take(piece)
    text.end()
    return [each.text for each in said if isinstance(each, Line)]


@given(st.text(alphabet="aé \r\n", max_size=40), SIZES)
def test_lines_are_those_of_the_text_however_it_is_cut(text: str, sizes: list[int]) -> None:
    expected = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not expected[-1]:
        expected.pop()
    assert lines(cut(text.encode(), sizes)) == expected


def test_a_line_without_an_end_is_cut() -> None:
    got = lines([b"x" * _LONGEST] * 3 + [b"y"])
    assert "".join(got) == "x" * 3 * _LONGEST + "y"
    assert max(map(len, got)) == _LONGEST


def test_bytes_that_are_no_text_are_shown() -> None:
    assert lines([b"\xff\n"]) == ["\ufffd"]
