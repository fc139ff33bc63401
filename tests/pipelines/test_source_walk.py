"""One line of a project is changed: what the walk from a step reaches counts, and nothing else does."""

from __future__ import annotations

import pytest

from tests.pipelines.projects import Written

BEGIN = "import nenrin as nr\n"

COUNTS = {
    "closure": (
        "def make(k):\n    def inner(x):\n        return x * k\n    return inner\nreport = make(1)\n",
        ("make(1)", "make(2)"),
    ),
    "closure that is a function": (
        "def a(x): return 1\ndef b(x): return 2\n"
        "def make(f):\n    def inner(x): return f(x)\n    return inner\nreport = make(a)\n",
        ("make(a)", "make(b)"),
    ),
    "which of two known functions a name is": (
        "def a(x): return 1\ndef b(x): return 2\npick = a\ndef report(x): return pick(x) - a(x) - b(x)\n",
        ("pick = a", "pick = b"),
    ),
    "which of two closures a table names": (
        "def make(k):\n    return lambda x: x * k\n"
        "A, B = make(1), make(2)\nT = (A, B, A)\ndef report(x): return [t(x) for t in T]\n",
        ("(A, B, A)", "(A, B, B)"),
    ),
    "class attribute": (
        "class Clean:\n    rate = 1\n    def fit(self, x): return x * self.rate\n"
        "def report(x): return Clean().fit(x)\n",
        ("rate = 1", "rate = 2"),
    ),
    "class attribute from a constant": (
        "R = 1\nclass Clean:\n    rate = R\ndef report(x): return Clean.rate\n",
        ("R = 1", "R = 2"),
    ),
    "method": (
        "class Clean:\n    def fit(self, x): return x\ndef report(x): return Clean().fit(x)\n",
        ("return x\n", "return -x\n"),
    ),
    "inherited method": (
        "class Base:\n    def fit(self, x): return self.inner(x)\n    def inner(self, x): return x\n"
        "class Clean(Base):\n    pass\ndef report(x): return Clean().fit(x)\n",
        ("return x\n", "return -x\n"),
    ),
    "base class": (
        "class A:\n    def fit(self): return 1\nclass B:\n    def fit(self): return 1\n"
        "class Clean(A):\n    pass\ndef report(x): return Clean().fit()\n",
        ("Clean(A)", "Clean(B)"),
    ),
    "property": (
        "class C:\n    @property\n    def rate(self): return 1\ndef report(x): return C().rate\n",
        ("return 1", "return 2"),
    ),
    "class and static methods": (
        "class C:\n    @classmethod\n    def a(cls): return cls.b()\n"
        "    @staticmethod\n    def b(): return 1\ndef report(x): return C.a()\n",
        ("return 1", "return 2"),
    ),
    "metaclass": (
        "class M(type):\n    def rate(cls): return 1\nclass C(metaclass=M):\n    pass\n"
        "def report(x): return C.rate()\n",
        ("return 1", "return 2"),
    ),
    "decorator": (
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def inner(x): return f(x) * 2\n"
        "    return inner\n@twice\ndef part(x): return x\ndef report(x): return part(x)\n",
        ("* 2", "* 3"),
    ),
    "decorated": (
        "import functools\ndef twice(f):\n    @functools.wraps(f)\n    def inner(x): return f(x) * 2\n"
        "    return inner\n@twice\ndef part(x): return x\ndef report(x): return part(x)\n",
        ("def part(x): return x", "def part(x): return -x"),
    ),
    "decorator's argument": (
        "def times(n):\n    def wrap(f):\n        return lambda x: f(x) * n\n    return wrap\n"
        "@times(2)\ndef part(x): return x\ndef report(x): return part(x)\n",
        ("times(2)", "times(3)"),
    ),
    "lru_cache": (
        "import functools\n@functools.lru_cache(maxsize=3)\ndef part(x): return x\n"
        "def report(x): return part(x)\n",
        ("return x\n", "return -x\n"),
    ),
    "cached_property": (
        "import functools\nclass C:\n    @functools.cached_property\n    def a(self): return 1\n"
        "def report(x): return C().a\n",
        ("return 1", "return 2"),
    ),
    "singledispatch": (
        "import functools\n@functools.singledispatch\ndef part(x): return 0\n"
        "@part.register\ndef _(x: int): return 1\ndef report(x): return part(x)\n",
        ("return 1", "return 2"),
    ),
    "partial's argument": (
        "from functools import partial\ndef part(x, k): return x * k\nhalf = partial(part, k=2)\n"
        "def report(x): return half(x)\n",
        ("k=2)", "k=3)"),
    ),
    "partial's function": (
        "from functools import partial\ndef part(x, k): return x * k\nhalf = partial(part, k=2)\n"
        "def report(x): return half(x)\n",
        ("x * k", "x / k"),
    ),
    "partial itself": (
        "from functools import partial\ndef part(x, k): return x * k\nreport = partial(part, k=2)\n",
        ("k=2)", "k=3)"),
    ),
    "lambda": ("part = lambda x: x + 1\ndef report(x): return part(x)\n", ("x + 1", "x + 2")),
    "lambda among lambdas": (
        "a, b = (lambda x: x + 1), (lambda x: x - 1)\ndef report(x): return b(x)\n",
        ("x - 1", "x - 2"),
    ),
    "nested function": (
        "def report(x):\n    def inner(y):\n        return y + 1\n    return inner(x)\n",
        ("y + 1", "y + 2"),
    ),
    "global of a nested function": (
        "R = 1\ndef report(x):\n    def inner(y):\n        return y + R\n    return inner(x)\n",
        ("R = 1", "R = 2"),
    ),
    "global of a nested class": (
        "R = 1\ndef report(x):\n    class C:\n        rate = R\n    return C.rate\n",
        ("R = 1", "R = 2"),
    ),
    "global of a default": ("R = 1\ndef report(x, r=R):\n    return r\n", ("R = 1", "R = 2")),
    "mutable default": ("def report(x, r=[1]):\n    return r[0]\n", ("[1]", "[2]")),
    "default that is filled": (
        "def report(x, r=[]):\n    r.append(x)\n    return r\n",
        ("r=[]", "r=[0]"),
    ),
    "list constant": ("R = [1, 2]\ndef report(x): return x in R\n", ("[1, 2]", "[2, 1]")),
    "dict constant": ('R = {"a": 1}\ndef report(x): return R["a"]\n', (": 1", ": 2")),
    "order of a dict": (
        'R = {"a": 1, "b": 2}\ndef report(x): return list(R)\n',
        ('"a": 1, "b": 2', '"b": 2, "a": 1'),
    ),
    "set constant": ('R = {"a", "b"}\ndef report(x): return x in R\n', ('"b"', '"c"')),
    "list that the import fills": (
        "R = []\nR.append(1)\ndef report(x): return len(R)\n",
        ("append(1)", "append(2)"),
    ),
    "list that functions fill": (
        "R = []\ndef put(x): R.append(1)\ndef report(x):\n    put(x)\n    return R\n",
        ("append(1)", "append(2)"),
    ),
    "list that a function elsewhere fills": (
        "R = []\ndef put(x): R.append(1)\ndef report(x): return R\n",
        ("append(1)", "append(2)"),
    ),
    "counter in a global": (
        "N = 0\ndef up(x):\n    global N\n    N += 1\ndef report(x): return N\n",
        ("N += 1", "N += 2"),
    ),
    "number and its kind": ("R = 1\ndef report(x): return x / R\n", ("R = 1", "R = 1.0")),
    "truth and number": ("R = 1\ndef report(x): return R\n", ("R = 1", "R = True")),
    "nothing and text": ("R = None\ndef report(x): return R\n", ("None", '"None"')),
    "minus zero": ("R = 0.0\ndef report(x): return x / R\n", ("0.0", "-0.0")),
    "big number": ("R = 2**80\ndef report(x): return R\n", ("2**80", "2**81")),
    "enum": (
        "from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\n"
        "def report(x): return Color.RED.value\n",
        ("RED = 1", "RED = 3"),
    ),
    "enum constant": (
        "from enum import Enum\nclass Color(Enum):\n    RED = 1\n    BLUE = 2\n"
        "PICK = Color.RED\ndef report(x): return PICK\n",
        ("PICK = Color.RED", "PICK = Color.BLUE"),
    ),
    "dataclass default": (
        "from dataclasses import dataclass\n@dataclass\nclass P:\n    rate: int = 1\n"
        "def report(x): return P().rate\n",
        ("= 1", "= 2"),
    ),
    "dataclass default factory": (
        "from dataclasses import dataclass, field\ndef made(): return [1]\n"
        "@dataclass\nclass P:\n    r: list = field(default_factory=made)\ndef report(x): return P().r\n",
        ("[1]", "[2]"),
    ),
    "frozen dataclass constant": (
        "from dataclasses import dataclass\n@dataclass(frozen=True)\nclass P:\n    rate: int\n"
        "R = P(1)\ndef report(x): return R.rate\n",
        ("P(1)", "P(2)"),
    ),
    "named tuple constant": (
        "from typing import NamedTuple\nclass P(NamedTuple):\n    rate: int\n"
        "R = P(1)\ndef report(x): return R.rate\n",
        ("P(1)", "P(2)"),
    ),
    "named tuple made by a call": (
        "from collections import namedtuple\nP = namedtuple('P', 'a b')\n"
        "def report(x): return P(1, 2).a\n",
        ("'a b'", "'b a'"),
    ),
    "msgspec struct": (
        "import msgspec\nclass P(msgspec.Struct):\n    rate: int = 1\ndef report(x): return P().rate\n",
        ("= 1", "= 2"),
    ),
    "instance constant": (
        "class C:\n    def __init__(self, r): self.r = r\nR = C(1)\ndef report(x): return R.r\n",
        ("C(1)", "C(2)"),
    ),
    "instance's method": (
        "class C:\n    def rate(self): return 1\nR = C()\ndef report(x): return R.rate()\n",
        ("return 1", "return 2"),
    ),
    "bound method": (
        "class C:\n    def __init__(self, r): self.r = r\n    def rate(self): return self.r\n"
        "rate = C(1).rate\ndef report(x): return rate()\n",
        ("C(1)", "C(2)"),
    ),
    "callable object as decorator": (
        "class Twice:\n    def __init__(self, f): self.f = f\n    def __call__(self, x): return self.f(x)\n"
        "@Twice\ndef part(x): return x\ndef report(x): return part(x)\n",
        ("def part(x): return x", "def part(x): return -x"),
    ),
    "pattern": (
        "import re\nR = re.compile('a')\ndef report(x): return R.match(x)\n",
        ("'a'", "'b'"),
    ),
    "array": (
        "import numpy as np\nR = np.array([1, 2])\ndef report(x): return R @ R\n",
        ("[1, 2]", "[1, 3]"),
    ),
    "frame": (
        "import polars as pl\nR = pl.DataFrame({'a': [1, 2]})\ndef report(x): return R\n",
        ("[1, 2]", "[1, 3]"),
    ),
    "generator": (
        "import numpy as np\nR = np.random.default_rng(1)\ndef report(x): return R.random()\n",
        ("rng(1)", "rng(2)"),
    ),
    "another step that is called": (
        "@nr.step\ndef part(x): return x\ndef report(x): return part(x)\n",
        ("return x\n", "return -x\n"),
    ),
    "function's attribute": (
        "def part(x): return part.rate\npart.rate = 1\ndef report(x): return part(x)\n",
        ("rate = 1", "rate = 2"),
    ),
    "seed at the top": (
        "import random\nrandom.seed(1)\ndef report(x): return random.random()\n",
        ("seed(1)", "seed(2)"),
    ),
    "environment at the top": (
        "import os\nos.environ['A'] = '1'\ndef report(x): return os.environ['A']\n",
        ("'1'", "'2'"),
    ),
    "what a call at the top does": (
        "import random\ndef prepare(): random.seed(1)\nprepare()\ndef report(x): return random.random()\n",
        ("seed(1)", "seed(2)"),
    ),
    "settings of an object at the top": (
        "import threading\nt = threading.Timer(1, print)\nt.args.append('a')\n"
        "def report(x): return x\n",
        ("'a'", "'b'"),
    ),
    "class method put in at the top": (
        "class C:\n    def a(self): return 1\ndef b(self): return 2\nC.a = b\n"
        "def report(x): return C().a()\n",
        ("return 2", "return 3"),
    ),
    "what a decorator gave to a library": (
        "import atexit\n@atexit.register\ndef hidden(): return 1\ndef report(x): return x\n",
        ("return 1", "return 2"),
    ),
    "method that a decorator gave to a library": (
        "import atexit\nclass C:\n    @atexit.register\n    def hidden(): return 1\n"
        "def report(x): return x\n",
        ("return 1", "return 2"),
    ),
    "two functions of one name that were given away": (
        "import atexit\n@atexit.register\ndef _(): return 1\n@atexit.register\ndef _(): return 0\n"
        "def report(x): return x\n",
        ("return 1", "return 2"),
    ),
    "class of an annotation": (
        "class P:\n    rate = 1\ndef part(x: P): return x\n"
        "def report(x): return part.__annotations__['x'].rate\n",
        ("rate = 1", "rate = 2"),
    ),
    "class of a field": (
        "from dataclasses import dataclass, fields\nclass P:\n    rate = 1\n"
        "@dataclass\nclass Q:\n    p: P\ndef report(x): return fields(Q)[0].type.rate\n",
        ("rate = 1", "rate = 2"),
    ),
    "eval": (
        "def report(x): return eval('part(x)')\ndef part(x): return x\n",
        ("return x\n", "return -x\n"),
    ),
    "globals": (
        "def report(x): return globals()['part'](x)\ndef part(x): return x\n",
        ("return x\n", "return -x\n"),
    ),
    "made by exec": (
        "exec('def part(x): return x + 1')\ndef report(x): return part(x)\n",
        ("+ 1", "+ 2"),
    ),
    "global by the way of a function": (
        "def a(): return 1\ndef report(x): return report.__globals__['a']()\n",
        ("return 1", "return 2"),
    ),
    "subclasses": (
        "class A:\n    pass\nclass B(A):\n    rate = 1\n"
        "def report(x): return A.__subclasses__()[0].rate\n",
        ("rate = 1", "rate = 2"),
    ),
    "async function": (
        "async def part(x): return x\ndef report(x): return part(x)\n",
        ("return x\n", "return -x\n"),
    ),
    "library behind a name": (
        "import math as m\nimport cmath\ndef report(x): return m.sqrt(x)\n",
        ("import math as m", "import cmath as m"),
    ),
    "library's function behind a name": (
        "from math import sin as f\ndef report(x): return f(x)\n",
        ("sin as f", "cos as f"),
    ),
    "library's class behind a name": (
        "from collections import OrderedDict as D\ndef report(x): return D()\n",
        ("OrderedDict", "Counter"),
    ),
    "recursion": (
        "def a(x): return b(x)\ndef b(x): return a(x - 1) if x else 0\ndef report(x): return a(x)\n",
        ("else 0", "else 1"),
    ),
    "values that hold each other": (
        "class C:\n    def __init__(self, r): self.me, self.r = self, r\n"
        "R = C(1)\ndef report(x): return R.me.r\n",
        ("C(1)", "C(2)"),
    ),
    "method kept by its own object": (
        "class C:\n    def __init__(self, r): self.r, self.call = r, self.rate\n"
        "    def rate(self): return self.r\nR = C(1)\ndef report(x): return R.call()\n",
        ("C(1)", "C(2)"),
    ),
}


@pytest.mark.parametrize("what", COUNTS)
def test_it_counts(written: Written, what: str) -> None:
    text, (old, new) = COUNTS[what]
    assert old in text
    assert written.differ(BEGIN + text, BEGIN + text.replace(old, new, 1)), what
    assert not written.differ(BEGIN + text, BEGIN + text + "\n# the end\n"), what


STILL = {
    "unused function beside a closure": (
        "def make(k):\n    def inner(x): return x * k\n    return inner\nreport = make(1)\n"
        "def unused(): return 1\n",
        ("return 1", "return 2"),
    ),
    "unused constant": ("A = 1\nB = 2\ndef report(x): return A\n", ("B = 2", "B = 3")),
    "unused class": (
        "class A:\n    a = 1\nclass B:\n    a = 1\ndef report(x): return A.a\n",
        ("class B:\n    a = 1", "class B:\n    a = 2"),
    ),
    "unused lambda of another line": (
        "a = lambda x: x\nb = lambda x: x + 1\ndef report(x): return a(x)\n",
        ("x + 1", "x + 2"),
    ),
    "columns that are given to a frame": (
        "C = ['a', 'b']\ndef report(x): return x.select(C)\ndef unused(): return 1\n",
        ("return 1", "return 2"),
    ),
    "declaration of a model": (
        "@nr.dataset(key='a', time='t')\ndef flights(): return None\n"
        "@nr.model(rows=flights, label=flights['late'], features=[], metric='log_loss')\n"
        "def delay(rows): return 1\ndef report(x): return x\n",
        ("return 1", "return 2"),
    ),
    "logger": (
        "import logging\nlog = logging.getLogger(__name__)\ndef report(x): log.info('a')\n"
        "def unused(): return 1\n",
        ("return 1", "return 2"),
    ),
    "where the project lies": (
        "from pathlib import Path\nHERE = Path(__file__).parent\nTEXT = str(HERE / 'a')\n"
        "def report(x): return HERE, TEXT, __file__\n",
        ("HERE = ", "\n\nHERE = "),
    ),
    "order in the file": (
        "def a(x): return 1\ndef b(x): return 2\ndef report(x): return a(x) + b(x)\n",
        ("def a(x): return 1\ndef b(x): return 2\n", "def b(x): return 2\ndef a(x): return 1\n"),
    ),
    "local name that is a global elsewhere": (
        "R = 1\ndef report(x):\n    y = x\n    return y\ndef other(): return R\n",
        ("R = 1", "R = 2"),
    ),
    "type checking": (
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import a\ndef report(x): return x\n",
        ("import a", "import b"),
    ),
}


@pytest.mark.parametrize("what", STILL)
def test_it_does_not_count(written: Written, what: str) -> None:
    text, (old, new) = STILL[what]
    assert old in text
    assert written.differ(BEGIN + text, BEGIN + text.replace(old, new, 1)) == set()
    assert written.code(BEGIN + text).coarse == ()
