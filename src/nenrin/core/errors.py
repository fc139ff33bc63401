"""The one error tree.

    NenrinError
    ├── ProjectError        the project file is wrong: says which line, and the fix     422, exit 2
    ├── DataError           rows or a load are wrong: says which dataset and column     422, exit 3
    ├── RequestError        a call has a wrong shape, name or value                     400, exit 2
    │   ├── UnknownKeyError its key is that of no row                               422
    │   └── UnseenTextError no training saw its text, and that is refused           422
    ├── NotFoundError       nothing has that name, id or digest                         404, exit 4
    ├── ConflictError       another change came first, or the thing exists              409, exit 5
    ├── RefusedError        a gate or a rule says no                                    409, exit 6
    ├── UnauthorizedError   no token, or the wrong one                                  401, exit 7
    ├── MissingExtraError   an optional dependency is not installed                     501, exit 8
    ├── UnavailableError    a part is not ready: try again                              503, exit 9
    │   ├── NoRoomError     it is larger than a setting allows: to wait does not help
    │   └── RemoteError     another server cannot be reached, or answers with an error  502
    │       ├── RemoteRefusedError it refuses what it is sent
    │       └── RemoteTimeoutError it did not answer in time                            504
    ├── StepError           a user's function raised, or its process died               500, exit 10
    │   ├── RowError        a model or a view refuses a row, by a ValueError            422
    │   └── WorkerLostError its process was killed from outside: another attempt may do
    └── IntegrityError      stored bytes or the ledger are not what they should be      500, exit 11

Every error says what is wrong (the message), where (``where``, as ``file:line`` or a name) and what to
do (``hint``). The API gives all of them one JSON shape, the command line one layout.
"""

from __future__ import annotations

from typing import ClassVar, Self


class NenrinError(Exception):
    """Something that nenrin can explain.

    Args:
        message: what is wrong, one sentence without a full stop at its end.
        hint: what to do next.
        where: ``path:line``, or the name of the thing that is wrong.
    """

    code: ClassVar[str] = "error"
    status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, hint: str = "", where: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.where = where

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders; keyword-only arguments need help to be pickled."""
        return (_rebuild, (type(self), self.message, self.hint, self.where), dict(vars(self)))

    def as_dict(self) -> dict[str, str]:
        """The JSON shape of every error: ``code``, ``message``, ``where``, ``hint``."""
        return {
            "code": self.code,
            "message": self.message,
            "where": self.where,
            "hint": self.hint,
        }


# What a user's code may raise and is told as its error: sys.exit() in it ends the code, never nenrin.
USERS_ERRORS: tuple[type[BaseException], ...] = (Exception, SystemExit)


def _rebuild(kind: type[NenrinError], message: str, hint: str, where: str) -> NenrinError:
    return kind(message, hint=hint, where=where)


class ProjectError(NenrinError):
    """The project file, or a declaration in it, is wrong."""

    code = "project"
    status = 422
    exit_code = 2


class DataError(NenrinError):
    """Rows or a load are wrong."""

    code = "data"
    status = 422
    exit_code = 3


class RequestError(NenrinError):
    """A call has a wrong shape, name or value."""

    code = "request"
    status = 400
    exit_code = 2


class UnknownKeyError(RequestError):
    """A request for a prediction sends a key alone, and no row has it."""

    code = "unknown_key"
    status = 422


class UnseenTextError(RequestError):
    """A row has a text that the version's training had not seen, and its deployment refuses those."""

    code = "unseen_text"
    status = 422


class NotFoundError(NenrinError):
    """Nothing has that name, id or digest."""

    code = "not_found"
    status = 404
    exit_code = 4


class ConflictError(NenrinError):
    """Another change came first, or the thing exists already."""

    code = "conflict"
    status = 409
    exit_code = 5


class OvertakenError(ConflictError):
    """Another change came first, of what this one was made from: nothing of it was written."""

    code = "overtaken"


class RefusedError(NenrinError):
    """A gate or a rule says no."""

    code = "refused"
    status = 409
    exit_code = 6


class UnauthorizedError(NenrinError):
    """No token was sent, or the wrong one."""

    code = "unauthorized"
    status = 401
    exit_code = 7


class MissingExtraError(NenrinError):
    """An optional dependency is not installed; the hint has the exact install line."""

    code = "missing_extra"
    status = 501
    exit_code = 8

    @classmethod
    def of(cls, module: str, extra: str) -> MissingExtraError:
        """The error for ``module``, which the extra ``extra`` brings."""
        return cls(f"{module} is not installed", hint=f'pip install "nenrin[{extra}]"')


class UnavailableError(NenrinError):
    """A part is not ready, or cannot be reached: trying again may help."""

    code = "unavailable"
    status = 503
    exit_code = 9


class NoRoomError(UnavailableError):
    """It is larger than a setting allows: only another setting helps, not to try again."""

    code = "no_room"


class RemoteError(UnavailableError):
    """Another server, which answers for a model, cannot be reached or answers with an error."""

    code = "remote"
    status = 502


class RemoteRefusedError(RemoteError):
    """Another server refuses what it is sent, by the status 400, 413 or 422: fewer rows may do."""

    code = "remote_refused"


class RemoteTimeoutError(RemoteError):
    """Another server did not answer in time."""

    code = "remote_timeout"
    status = 504


class StepError(NenrinError):
    """A function of the user's raised, or the process that ran it died.

    Attributes:
        raised: names of the classes of what the function raised, its own first.
        trace: the traceback as text, the user's own frames first.
    """

    code = "step"
    status = 500
    exit_code = 10
    raised: tuple[str, ...] = ()
    trace: str = ""

    @classmethod
    def of(
        cls, error: BaseException, message: str, *, hint: str, where: str, trace: str = ""
    ) -> Self:
        """The error that stands for what a function of the user's raised."""
        found = cls(message, hint=hint, where=where)
        kinds = [kind for kind in type(error).__mro__ if kind not in (BaseException, object)]
        found.raised = tuple(kind.__name__ for kind in kinds) or (type(error).__name__,)
        found.trace = trace
        return found


class RowError(StepError):
    """A user's function refuses a row, by a ValueError, or answers it with no finite number."""

    code = "row"
    status = 422


class WorkerLostError(StepError):
    """The process that ran a step was killed from outside: another attempt may well succeed."""

    code = "worker_lost"


class IntegrityError(NenrinError):
    """Stored bytes, or the ledger, are not what they should be."""

    code = "integrity"
    status = 500
    exit_code = 11
