"""The code of a step, changed in every way that must count and in every way that must not."""

from __future__ import annotations

import pytest

from nenrin.pipelines.source import Code, code_of, explain
from tests.pipelines.projects import Written

BEGIN = "import nenrin as nr\n"
HELPERS = '''
"""Helpers."""
RATE = 0.2


def scale(x):
    """Scaled."""
    return x * RATE


def unused(x):
    return x + 1
'''
PLAIN = {
    "project.py": """
import nenrin as nr
from helpers import scale

@nr.step
def report(flights, n=3):
    total = scale(flights) + n
    return total

@nr.step
def other(report):
    return report
""",
    "helpers.py": HELPERS,
}
ALL = "project.py|helpers.py"


def edited(file: str, old: str, new: str) -> dict[str, str]:
    assert old in PLAIN[file]
    return {**PLAIN, file: PLAIN[file].replace(old, new)}


@pytest.mark.parametrize(
    ("file", "old", "new", "parts"),
    [
        ("project.py", "+ n", "- n", {"function report (project.py)"}),
        ("project.py", "n=3", "n=4", {"default of report: n (project.py)"}),
        ("project.py", "flights, n=3", "flights, *, n=3", {"function report (project.py)"}),
        ("helpers.py", "x * RATE", "x / RATE", {"function scale (helpers.py)"}),
        ("helpers.py", '"""Scaled."""', '"""Scaled!"""', {"function scale (helpers.py)"}),
        ("helpers.py", "RATE = 0.2", "RATE = 0.3", {"constant RATE (helpers.py)"}),
        ("helpers.py", "RATE = 0.2", "RATE = float('0.3')", {"constant RATE (helpers.py)"}),
    ],
)
def test_what_decides_must_count(
    written: Written, file: str, old: str, new: str, parts: set[str]
) -> None:
    assert written.differ(PLAIN, edited(file, old, new)) == parts


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("project.py", "    return total", "    # the total\n    return total  # of all"),
        ("project.py", "@nr.step\ndef report", "\n\n\n@nr.step\n\ndef report"),
        ("project.py", "scale(flights) + n", "(scale( flights )  +  n)"),
        ("project.py", "return report", "return [report]"),
        (
            "project.py",
            "@nr.step\ndef report",
            '@nr.step(timeout="10m", resources=nr.resources(cpus=2))\ndef report',
        ),
        ("project.py", "@nr.step\ndef other", '@nr.step(cache=False, env=["A"])\ndef other'),
        (
            "project.py",
            "import nenrin as nr",
            'import nenrin as nr\nif __name__ == "__main__":\n    exit()',
        ),
        ("helpers.py", "x + 1", "x + 2"),
        ("helpers.py", "def unused", "NEW = [1]\ndef more(): NEW.append(1)\ndef unused"),
        ("helpers.py", '"""Helpers."""', '"""Other words."""'),
        ("helpers.py", "RATE = 0.2", "RATE = 1 / 5"),
        ("helpers.py", "RATE = 0.2", "RATE: float = 0.2  # a fifth"),
    ],
)
def test_what_does_not_decide_must_not(written: Written, file: str, old: str, new: str) -> None:
    assert written.differ(PLAIN, edited(file, old, new)) == set()


def test_neither_line_ends_nor_the_folder_count(written: Written) -> None:
    ends = {name: text.replace("\n", "\r\n").encode() for name, text in PLAIN.items()}
    assert written.differ(PLAIN, ends) == set()
    assert written.code(PLAIN) == written.code(PLAIN)


def test_plain_code_is_narrowed(written: Written) -> None:
    code = written.code(PLAIN)
    assert code.coarse == code.doubts == ()
    assert {name for name in code.parts if not name.startswith(("package", "python"))} == {
        "function report (project.py)",
        "default of report: n (project.py)",
        "function scale (helpers.py)",
        "constant RATE (helpers.py)",
    }


FILES = {
    "attribute of a module": (
        "import helpers\ndef report(x): return helpers.scale(x)\n",
        "helpers.py",
    ),
    "constant of a module": (
        "import helpers\ndef report(x): return x * helpers.RATE\n",
        "helpers.py",
    ),
    "star": ("from helpers import *\ndef report(x): return scale(x)\n", "helpers.py"),
    "another name": ("from helpers import scale as s\ndef report(x): return s(x)\n", "helpers.py"),
    "import within": (
        "def report(x):\n    from helpers import scale\n    return scale(x)\n",
        "helpers.py",
    ),
    "import by name": (
        "import importlib\ndef report(x): return importlib.import_module('helpers').scale(x)\n",
        "helpers.py",
    ),
    "module as a value": (
        "import helpers\ndef report(x): return getattr(helpers, 'sca' + 'le')(x)\n",
        "helpers.py",
    ),
    "module in a table": (
        "import helpers\nT = (helpers,)\ndef report(x): return T[0].scale(x)\n",
        "helpers.py",
    ),
    "module of a package": (
        "from pack.inner import part\ndef report(x): return part(x)\n",
        "pack/deep.py",
    ),
    "package": ("import pack.inner\ndef report(x): return pack.inner.part(x)\n", "pack/deep.py"),
    "package's own": ("import pack\ndef report(x): return pack.inner.part(x)\n", "pack/deep.py"),
}
AROUND = {
    "helpers.py": HELPERS,
    "pack/__init__.py": "from . import inner\n",
    "pack/inner.py": "from .deep import scale\ndef part(x): return scale(x)\n",
    "pack/deep.py": HELPERS,
}


@pytest.mark.parametrize("what", FILES)
def test_other_files_count(written: Written, what: str) -> None:
    text, file = FILES[what]
    before = {"project.py": BEGIN + text, **AROUND}
    for old, new in (("x * RATE", "x / RATE"), ("RATE = 0.2", "RATE = 0.3")):
        now = {**before, file: HELPERS.replace(old, new)}
        assert written.differ(before, now) or (old, what) == ("x * RATE", "constant of a module")
    assert not written.differ(before, {**before, file: "# words\n\n" + HELPERS})


DOUBTS = {
    "open stream": "import io\nR = io.BytesIO(b'1')\ndef report(x): return R.read()\n",
    "library's object": "import sqlite3\nR = sqlite3.connect(':memory:')\ndef report(x): return R\n",
    "expression": "import polars as pl\nR = pl.col('a')\ndef report(x): return R\n",
    "in a closure": "def make(k):\n    return lambda x: k\nreport = make(iter([1]))\n",
    "in an attribute": "class C:\n    a = iter([1])\ndef report(x): return C.a\n",
    "in a default": "def report(x, k=iter([1])): return k\n",
    "computed import": "import importlib\ndef report(x): return importlib.import_module(x)\n",
    "inside a value": "R = {'a': [iter([1])]}\ndef report(x): return R['a']\n",
}


@pytest.mark.parametrize("what", DOUBTS)
@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_cannot_be_told_is_said(written: Written, what: str) -> None:
    doubts = written.code(BEGIN + DOUBTS[what]).doubts
    assert len(doubts) == 1
    assert doubts[0].startswith("project.py") or "class C" in doubts[0]


@pytest.mark.parametrize(
    "text",
    [
        "RATE = float(os.environ['RATE'])\ndef report(x): return RATE\n",
        "class C:\n    rate = float(os.environ['RATE'])\ndef report(x): return eval('C').rate\n",
        "def a(): return 1\ndef b(): return 2\npick = a if os.environ['RATE'] == '1' else b\n"
        "def report(x): return eval('1') + pick()\n",
        "def a(): return 1\ndef b(): return 2\npick = a if os.environ['RATE'] == '1' else b\n"
        "def report(x): return a() + b() + pick()\n",
    ],
)
def test_what_the_surroundings_gave_at_the_import_counts(
    written: Written, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = f"import os\nimport nenrin as nr\n{text}"
    monkeypatch.setenv("RATE", "1")
    before = written.code(text)
    assert written.code(text) == before
    monkeypatch.setenv("RATE", "2")
    assert written.code(text).parts != before.parts


def test_what_the_project_file_does_counts_for_steps_of_other_files(written: Written) -> None:
    def parts(seed: int) -> dict[str, str]:
        files = {
            "project.py": f"import random\nfrom steps import report\nrandom.seed({seed})\n",
            "steps.py": "import nenrin as nr\n@nr.step\ndef report(x): return x\n",
        }
        with written.module(files) as (module, root):
            return code_of(module.report.function, root, "project.py").parts

    assert parts(1) == parts(1) != parts(2)


def test_files_that_only_other_functions_import_do_not_count(written: Written) -> None:
    text = "def report(x): return x\ndef main():\n    from tool import run\n    run()\n"
    before = {"project.py": BEGIN + text, "tool.py": "import random\nrandom.seed(1)\n"}
    now = {**before, "tool.py": "import random\nrandom.seed(2)\n"}
    assert written.differ(before, now) == set()
    assert written.code(before).coarse == ()


def test_a_doubt_names_line_value_and_kind(written: Written) -> None:
    (doubt,) = written.code(BEGIN + DOUBTS["inside a value"]).doubts
    assert doubt == (
        "project.py:2: constant R ['a'][0] in it is a list_iterator, whose value cannot be told"
    )


def test_a_file_that_has_changed_since_it_was_imported_is_a_doubt(written: Written) -> None:
    with written.module(PLAIN) as (module, root):
        text = (root / "project.py").read_text()
        (root / "project.py").write_text(text.replace("+ n", "- n"))
        (doubt,) = code_of(module.report.function, root).doubts
        assert "the file has changed since" in doubt


def test_a_helper_of_another_folder_is_not_taken_for_ones_own(written: Written) -> None:
    with written.module(PLAIN) as (module, root):
        before = code_of(module.report.function, root)
    with written.module(PLAIN) as (module, root):
        again = code_of(module.report.function, root)
    assert again.doubts == ()
    assert again.parts == before.parts


def told(written: Written, file: str, old: str, new: str) -> list[str]:
    return explain(written.code(PLAIN), written.code(edited(file, old, new)))


def test_explaining_names_the_line(written: Written) -> None:
    assert told(written, "helpers.py", "x * RATE", "x / RATE") == [
        "function scale, helpers.py:8: return x * RATE -> return x / RATE"
    ]
    assert told(written, "helpers.py", "RATE = 0.2", "\nRATE = 0.3  # more") == [
        "constant RATE, helpers.py:4: RATE = 0.2 -> RATE = 0.3"
    ]
    assert told(written, "project.py", "n=3", "n=4") == [
        "default of report: n, project.py:6: def report(flights, n=3): -> def report(flights, n=4):"
    ]
    assert told(written, "project.py", "    return total", "    total += 1\n    return total") == [
        "function report, project.py:8: (nothing) -> total += 1"
    ]


def test_explaining_whole_files_names_the_line(written: Written) -> None:
    text = BEGIN + "def report(x): return eval('part')(x)\ndef part(x): return x\n"
    before, now = written.code(text), written.code(text.replace("return x\n", "return -x\n"))
    assert before.coarse == ("project.py uses eval",)
    assert explain(before, now) == [
        "module project.py, project.py:3: def part(x): return x -> def part(x): return -x"
    ]


def test_explaining_what_is_new_and_gone(written: Written) -> None:
    now = edited("project.py", "scale(flights)", "flights")
    assert explain(written.code(PLAIN), written.code(now)) == [
        "function report, project.py:7: total = scale(flights) + n -> total = flights + n",
        "function scale (helpers.py) is gone",
        "constant RATE (helpers.py) is gone",
    ]


def test_explaining_values_packages_and_names() -> None:
    before = Code(
        parts={
            "package a": "1.0",
            "closure of f: k (project.py)": "1",
            "function f (project.py)": "1",
        }
    )
    now = Code(
        parts={
            "package b": "2",
            "closure of f: k (project.py)": "2",
            "function f (project.py)": "2",
        }
    )
    assert explain(before, now) == [
        "function f (project.py): what its names stand for",
        "closure of f: k (project.py) has another value",
        "package a: 1.0 -> not used",
        "package b: not used -> 2",
    ]
