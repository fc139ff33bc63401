"""Where the user's project called one of its words."""

from __future__ import annotations

import inspect
from types import FrameType


def called_from(file: str) -> str:
    """``file:line`` of the nearest caller outside this file and ``file``, whose ``__file__`` it is.

    Returns:
        an empty text where there is none.
    """
    frame: FrameType | None = inspect.currentframe()
    while frame is not None and frame.f_code.co_filename in (__file__, file):
        frame = frame.f_back
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame else ""
