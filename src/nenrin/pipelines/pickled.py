"""Which classes and functions a pickle names: whoever reads it depends on their code too."""

from __future__ import annotations

import pickletools

_TEXTS = frozenset({"SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "UNICODE"})
_PUTS = frozenset({"PUT", "BINPUT", "LONG_BINPUT"})
_GETS = frozenset({"GET", "BINGET", "LONG_BINGET"})


def named_in(pickled: bytes) -> frozenset[tuple[str, str]]:
    """Module and qualified name of everything that a pickle refers to by name. Nothing is imported.

    Raises:
        ValueError: it is no pickle.
    """
    found: set[tuple[str, str]] = set()
    memo: dict[int, str | None] = {}
    pushed: list[str | None] = []  # what an operation left on the stack, where it is a text
    for operation, argument, _ in pickletools.genops(pickled):
        name = operation.name
        if name in _TEXTS:
            pushed.append(str(argument))
        elif name == "MEMOIZE":
            memo[len(memo)] = pushed[-1]
        elif name in _PUTS:
            memo[int(str(argument))] = pushed[-1]
        elif name in _GETS:
            pushed.append(memo.get(int(str(argument))))
        else:
            if name in ("GLOBAL", "INST"):
                module, _, qualname = str(argument).partition(" ")
                found.add((module, qualname))
            elif name == "STACK_GLOBAL" and pushed[-2:-1] and pushed[-2] and pushed[-1]:
                found.add((pushed[-2], pushed[-1]))
            pushed.append(None)
    return frozenset(found)
