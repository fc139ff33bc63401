"""Data larger than the memory of a join: the same rows, whoever works the partitions off."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from nenrin.core.errors import UnavailableError
from nenrin.core.settings import Settings
from nenrin.features.partitioned import PartitionedView
from nenrin.features.service import FeatureSet
from nenrin.platform import Platform
from nenrin.testing.ray_nodes import RayNodes

EXAMPLE = Path(__file__).parents[2] / "examples" / "flights" / "project.py"
SOME = 3_000_000  # bytes: two weeks of arrivals, or a year of weather, do not fit; those of one airport do


@pytest.fixture(scope="module")
def source() -> str:
    """The example over its first two weeks."""
    text = EXAMPLE.read_text()
    for name, column in (("flights", "sched_dep"), ("arrivals", "landed_at")):
        whole = f'nr.samples.nycflights13("{name}")'
        some = f'.filter(pl.col("{column}").dt.date() < pl.date(2013, 1, 15))'
        assert text.count(whole) == 1
        text = text.replace(whole, whole + some)
    return text.replace("import nenrin as nr", "import nenrin as nr\nimport polars as pl", 1)


@contextmanager
def opened(folder: Path, source: str, **given: Any) -> Iterator[Platform]:
    folder.mkdir()
    (folder / "project.py").write_text(source)
    with Platform.open(Settings.read(folder=folder, **given)) as platform:
        yield platform


def prepared(platform: Platform) -> tuple[str, FeatureSet, dict[str, Any]]:
    """The digest of the row table, the features, and the profiles by dataset."""
    found = platform.projects._replay.prepare("dev", None, load=True, progress=None)
    features = FeatureSet.loads(platform.store.get(found.served.features))
    engine = platform.projects._replay.engine("dev")
    profiles = {}
    for name in ("flights", "arrivals", "weather"):
        newest = engine.newest(f"profile:{name}")
        assert newest is not None
        profiles[name] = msgspec.json.decode(platform.store.get(newest.output))
    return found.table_digest, features, profiles


@pytest.fixture(scope="module")
def expected(
    source: str, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, FeatureSet, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("whole") / "here"
    with opened(folder, source, workers=0) as platform:
        return prepared(platform)


def apart(features: FeatureSet) -> list[str]:
    return [name for name, part in features.parts.items() if isinstance(part, PartitionedView)]


@pytest.mark.parametrize("workers", [0, 2])
def test_partitions_give_the_same_rows_and_profiles(
    tmp_path: Path, source: str, expected: tuple[str, FeatureSet, dict[str, Any]], workers: int
) -> None:
    with opened(tmp_path / "here", source, workers=workers, join_memory=SOME) as platform:
        table, features, profiles = prepared(platform)
        assert apart(expected[1]) == []
        assert apart(features) == ["sky", "recent"]
        assert (table, profiles) == (expected[0], expected[2])
        assert not [d for d in platform.store.digests() if _is_spilled(platform, d)]
        with pytest.raises(UnavailableError, match="arrivals is too large") as caught:
            features.parts["recent"].row({"origin": "JFK"}, 0)
        assert "NENRIN_JOIN_MEMORY" in caught.value.hint


def _is_spilled(platform: Platform, digest: str) -> bool:
    data = platform.store.get(digest)
    return data.startswith(b"PAR1") and b"__row__" in data


def test_two_nodes_of_a_cluster_give_the_same(
    ray_cluster: RayNodes,
    tmp_path: Path,
    source: str,
    expected: tuple[str, FeatureSet, dict[str, Any]],
) -> None:
    there = {
        "executor": f"ray://{ray_cluster.address}",
        "store_url": str(tmp_path / "bucket"),
        "join_memory": SOME,
    }
    with opened(tmp_path / "here", source, **there) as platform:
        table, features, profiles = prepared(platform)
        assert apart(features) == ["sky", "recent"]
        assert (table, profiles) == (expected[0], expected[2])
        assert platform._workers.cpu() > 0  # nothing was done here instead
