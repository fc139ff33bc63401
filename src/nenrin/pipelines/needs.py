"""``nr.resources``: what a step, a fit or a trial takes of a machine."""

from __future__ import annotations

import re

from nenrin.core.errors import ProjectError
from nenrin.core.jobs import Needs

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*(kB|MB|GB|TB)")
_BYTES = {"kB": 10**3, "MB": 10**6, "GB": 10**9, "TB": 10**12}


def resources(*, cpus: float = 1, gpus: float = 0, memory: str | None = None) -> Needs:
    """What work takes of the machine that it runs on.

    What runs side by side takes together no more than the machine has, or the nodes of a cluster. Work that
    needs more than the machine has runs there alone; a cluster without a node of that size refuses it.

    Args:
        cpus: cores that it keeps busy.
        gpus: graphics processors; below 1 it shares one.
        memory: memory that it may use, such as ``"2GB"``; what uses more is ended. None: any.

    Raises:
        ProjectError: a number is negative, or the memory is no size.
    """
    if not (cpus >= 0 and gpus >= 0):
        raise ProjectError(
            f"resources cannot be negative: cpus={cpus}, gpus={gpus}",
            hint='for example nr.resources(cpus=2, gpus=1, memory="8GB")',
        )
    return Needs(float(cpus), None if memory is None else size(memory), float(gpus))


def size(text: str) -> int:
    """Bytes of a size such as ``"512MB"`` or ``"2GB"``.

    Raises:
        ProjectError: the text is not a size.
    """
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ProjectError(
            f"{text!r} is not a size", hint='write a number and one of kB, MB, GB, TB: "2GB"'
        )
    return int(float(found[1]) * _BYTES[found[2]])


def checked(given: object, where: str) -> Needs:
    """What a declaration was given as its resources.

    Raises:
        ProjectError: it is nothing that :func:`resources` gives.
    """
    if isinstance(given, Needs):
        return given
    raise ProjectError(
        f"resources={given!r} is not what nr.resources gives",
        hint='write resources=nr.resources(cpus=2, memory="8GB")',
        where=where,
    )
