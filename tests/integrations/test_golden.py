"""Exports give the bytes that stand in ``golden/``; who means to change them runs ``make golden``."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.integrations.golden_files import GOLDEN, contents, write

KEPT = contents(GOLDEN)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    folder = tmp_path_factory.mktemp("made")
    write(folder)
    return contents(folder)


@pytest.mark.parametrize("name", KEPT)
def test_an_export_gives_the_same_bytes(made: dict[str, bytes], name: str) -> None:
    assert made[name].decode() == KEPT[name].decode()


def test_no_file_is_missing(made: dict[str, bytes]) -> None:
    assert sorted(made) == sorted(KEPT)


def test_there_is_one_of_each_kind() -> None:
    assert {Path(name).parts[0] for name in KEPT} == {"container", "kserve", "kubernetes"}
