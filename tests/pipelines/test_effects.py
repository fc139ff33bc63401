"""Which statements of a file do something beside binding names."""

from __future__ import annotations

import pytest

from nenrin.pipelines.effects import effects
from nenrin.pipelines.syntax import Source

QUIET = {
    "a closure": "def made(by):\n    def call(x):\n        return x * by\n    return call\ncount = made(3)",
    "a decorator of one's own": "def loud(f):\n    return f\n@loud\ndef step():\n    pass",
    "a table of one's own": "T = {}\ndef put(f):\n    T[f.__name__] = f\n    return f\n@put\ndef s(): pass",
}
LOUD = {
    "a function that seeds": "import random\ndef made():\n    random.seed(3)\nmade()",
    "a function that sets what is global": "def made():\n    global x\n    x = 1\nmade()",
    "a function that changes another's attribute": "def made(f):\n    f.x = 1\nmade(print)",
    "a function that calls what it was given": "def made(f):\n    return f()\nmade(print)",
    "a function that calls itself": "def made(n):\n    return n and made(n - 1)\nmade(3)",
    "a function whose argument hides a module": "import math\ndef made(math):\n    math.close()\nmade(print)",
    "a function that imports": "def made():\n    import antigravity\nmade()",
    "a decorated function": "import other\n@other.cached\ndef made():\n    return 1\nmade()",
    "a class of one's own": "class Made:\n    def __init__(self):\n        self.x = 1\nMade()",
    "a function of another file": "from other import made\nmade()",
}


@pytest.mark.parametrize("what", QUIET)
def test_it_only_binds_names(what: str) -> None:
    assert effects(Source("project.py", QUIET[what].encode())) == []


@pytest.mark.parametrize("what", LOUD)
def test_it_may_do_something(what: str) -> None:
    assert effects(Source("project.py", LOUD[what].encode()))
