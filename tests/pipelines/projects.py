"""Small projects that are written, imported as the project loader does, and read."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from textwrap import dedent
from types import ModuleType

from nenrin.pipelines.source import Code, code_of
from nenrin.project.loader import load_project

Files = Mapping[str, str | bytes]


class Written:
    """Writes each version of a project to a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._count = 0

    def code(self, files: Files | str, name: str = "report") -> Code:
        """The code of a function of ``project.py``."""
        with self.module(files) as (module, root):
            value = getattr(module, name)
            return code_of(getattr(value, "function", value), root)

    @contextmanager
    def module(self, files: Files | str) -> Iterator[tuple[ModuleType, Path]]:
        """The project's module while its helpers are imported, and its folder."""
        self._count += 1
        root = self._folder / f"version{self._count}"
        for path, text in ({"project.py": files} if isinstance(files, str) else files).items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            content = text if isinstance(text, bytes) else dedent(text).encode()
            (root / path).write_bytes(content)
        try:
            yield load_project(root).module, root
        finally:
            for known, module in list(sys.modules.items()):
                if str(getattr(module, "__file__", None) or "").startswith(str(root)):
                    del sys.modules[known]

    def differ(self, before: Files | str, now: Files | str, name: str = "report") -> set[str]:
        """The parts that differ between two versions, neither of which leaves doubts."""
        old, new = self.code(before, name), self.code(now, name)
        assert old.doubts == new.doubts == ()
        names = {*old.parts, *new.parts}
        return {each for each in names if old.parts.get(each) != new.parts.get(each)}
