from __future__ import annotations

import subprocess
import sys
import threading

import pytest

from nenrin.core.importing import _Postponed, postpone

NAME = "wave"  # of the standard library, and imported by nothing here


def is_imported(name: str) -> bool:
    """And not only postponed."""
    found = sys.modules.get(name)
    return found is not None and type(found) is not _Postponed


@pytest.fixture
def absent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, NAME, raising=False)


def test_a_postponed_module_is_imported_when_something_of_it_is_asked_for(absent: None) -> None:
    postpone(NAME)
    import wave

    assert not is_imported(NAME)
    assert wave.Wave_read.__module__ == NAME
    assert is_imported(NAME)
    assert vars(wave)["Wave_read"] is sys.modules[NAME].Wave_read


def test_what_is_imported_already_stays(absent: None) -> None:
    import wave

    postpone(NAME)
    assert sys.modules[NAME] is wave
    assert not is_imported("nenrin.nothing")


def test_threads_that_ask_at_once_get_one_module(absent: None) -> None:
    postpone(NAME)
    import wave

    found: list[object] = []
    together = threading.Barrier(8)

    def ask() -> None:
        together.wait()
        found.append(wave.Wave_write)

    threads = [threading.Thread(target=ask) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(found)) == 1


def test_parts_of_a_postponed_module_can_be_imported() -> None:
    code = (
        "from nenrin.core.importing import postpone; postpone('json')\n"
        "import json.decoder, json; from json import dumps; assert dumps(json.loads('[1]')) == '[1]'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
