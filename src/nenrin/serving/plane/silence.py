"""Ends connections that are silent: one timer serves for many requests, where uvicorn sets one for each."""

from __future__ import annotations

from nenrin.serving.plane.badhttp import JsonErrorsProtocol

_BUSY = -1.0


class SilenceProtocol(JsonErrorsProtocol):
    """A connection that is closed when nothing has come for as long as it is to be kept alive."""

    _answered_at = _BUSY

    def on_response_complete(self) -> None:
        """An answer is written: what was pipelined behind it comes next, or the time begins for the next."""
        if self.pipeline or self.transport.is_closing():
            super().on_response_complete()
            return
        self.server_state.total_requests += 1
        self.flow.resume_reading()
        self._answered_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait(self.timeout_keep_alive)

    def timeout_keep_alive_handler(self) -> None:
        """End a connection on which nothing came for long; one timer serves for many requests."""
        self.timeout_keep_alive_task = None
        if self._answered_at == _BUSY:
            return  # a request is under way: its answer begins anew
        left = self._answered_at + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self._wait(left)
        else:
            super().timeout_keep_alive_handler()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        super().connection_lost(exc)

    def _unset_keepalive_if_required(self) -> None:
        self._answered_at = _BUSY  # the timer finds that, if nothing else comes before it

    def _wait(self, seconds: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            seconds, self.timeout_keep_alive_handler
        )
