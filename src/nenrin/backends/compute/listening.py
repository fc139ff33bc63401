"""The parent's ear for one task: turns what comes through its channels into what was said."""

from __future__ import annotations

import contextlib
import os
import re
import selectors
from collections.abc import Callable

from nenrin.backends.compute.channels import Channels
from nenrin.backends.compute.messages import Entering, Inbox, Outcome
from nenrin.core.timer import Timer
from nenrin.pipelines.executor import Line, Said

_CHUNK = 1 << 18
_LONGEST = 1 << 16  # bytes of a line: what goes on and on without an end is cut
_ENDS = re.compile(rb"\r\n|\n|\r")  # progress bars end theirs by a carriage return
_AFTERWARDS = 1.0  # seconds that what is left in the pipes gets, should a stranger hold them open


class Listener:
    """Hears one task.

    Attributes:
        outcome: what came of it, once it has said so.
        entered: whose code it said that it runs.
        heard: when it last said something, by the timer's ``wall``.
        gone: whether its process is seen to have ended.

    Args:
        channels: of the task.
        order: what it is sent first.
        said: hears lines, reports and beats.
        timer: tells when.
    """

    def __init__(
        self, channels: Channels, order: bytes, said: Callable[[Said], None], timer: Timer
    ) -> None:
        self.outcome: Outcome | None = None
        self.entered = Entering("", "")
        self.heard = timer.wall()
        self.gone = False
        self._control = channels.control
        self._control.setblocking(False)
        self._unsent = memoryview(order)
        self._said = said
        self._timer = timer
        self._inbox = Inbox()
        self._texts = {
            channels.stdout: _Text("stdout", self._say),
            channels.stderr: _Text("stderr", self._say),
        }
        self._selector = selectors.DefaultSelector()
        self._selector.register(
            self._control, selectors.EVENT_READ | selectors.EVENT_WRITE, self._talk
        )
        for descriptor in self._texts:
            self._selector.register(descriptor, selectors.EVENT_READ, self._read)
        self._pid = -1

    def send(self) -> None:
        """Send of the order what the socket takes; the rest goes while it listens."""
        self._unsent = self._unsent[self._control.send(self._unsent[:_CHUNK]) :]
        if not self._unsent:
            self._selector.modify(self._control, selectors.EVENT_READ, self._talk)

    def watch(self, pid: int) -> None:
        """Wake up when the process ends, where the system can do that."""
        open_pid = getattr(os, "pidfd_open", None)
        if open_pid is None:
            return
        try:
            self._pid = open_pid(pid)
        except ProcessLookupError:
            self.gone = True
        except OSError:
            return
        else:
            self._selector.register(self._pid, selectors.EVENT_READ, self._ended)

    def listen(self, seconds: float) -> None:
        """Take in what comes within ``seconds``; returns at the first that does."""
        for key, events in self._selector.select(seconds):
            key.data(key.fd, events)

    def finish(self) -> None:
        """Take in all that is left: the processes of the task have ended."""
        until = self._timer.wall() + _AFTERWARDS
        while self._open() and (left := until - self._timer.wall()) > 0:
            self.listen(left)
        for text in self._texts.values():
            text.end()

    def close(self) -> None:
        """Listen no more; the channels stay with their owner."""
        self._selector.close()
        if self._pid >= 0:
            os.close(self._pid)

    def _open(self) -> bool:
        return any(key.fd != self._pid for key in self._selector.get_map().values())

    def _talk(self, _descriptor: int, events: int) -> None:
        try:
            if events & selectors.EVENT_WRITE:
                self.send()
            piece = self._control.recv(_CHUNK) if events & selectors.EVENT_READ else None
        except BlockingIOError:
            return
        except OSError:
            piece = b""
        if piece == b"":
            self._selector.unregister(self._control)
        for message in self._inbox.take(piece or b""):
            self.heard = self._timer.wall()
            self._take(message)

    def _take(self, message: Entering | Outcome | Said) -> None:
        if isinstance(message, Outcome):
            self.outcome = message
        elif isinstance(message, Entering):
            self.entered = message
        else:
            self._say(message)

    def _read(self, descriptor: int, _events: int) -> None:
        piece = os.read(descriptor, _CHUNK)
        if piece:
            self.heard = self._timer.wall()
            self._texts[descriptor].take(piece)
        else:
            self._selector.unregister(descriptor)

    def _ended(self, descriptor: int, _events: int) -> None:
        self.gone = True
        self._selector.unregister(descriptor)

    def _say(self, said: Said) -> None:
        with contextlib.suppress(Exception):  # whoever listens must not end the task
            self._said(said)


class _Text:
    """One stream, cut into lines."""

    def __init__(self, stream: str, say: Callable[[Said], None]) -> None:
        self._stream = stream
        self._say = say
        self._rest = b""
        self._returned = False

    def take(self, piece: bytes) -> None:
        if self._returned:  # the first half of a "\r\n" has ended the line already
            piece = piece.removeprefix(b"\n")
        self._returned = piece.endswith(b"\r")
        *lines, self._rest = _ENDS.split(self._rest + piece)
        for line in lines:
            self._tell(line)
        while len(self._rest) > _LONGEST:
            self._tell(self._rest[:_LONGEST])
            self._rest = self._rest[_LONGEST:]

    def end(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self._tell(rest)

    def _tell(self, line: bytes) -> None:
        self._say(Line(self._stream, line.decode(errors="replace")))
