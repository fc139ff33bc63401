"""Images without an engine: from a base by name or by file, whole or not at all, and nothing left behind."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from nenrin.core.errors import MissingExtraError, RequestError, UnavailableError
from nenrin.integrations import image
from nenrin.pipelines.packages import from_folders
from nenrin.testing.waiting import wait_until
from tests.journeys.images import storage

needs_buildah = pytest.mark.skipif(
    shutil.which("buildah") is None, reason="apt-get install buildah"
)


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A context whose base is an argument."""
    folder = tmp_path / "context"
    folder.mkdir()
    (folder / "Dockerfile").write_text("ARG BASE=scratch\nFROM ${BASE}\nCOPY file /\n")
    (folder / "file").write_text("content")
    return folder


@pytest.fixture
def stored(tmp_path: Path) -> Iterator[None]:
    with storage(tmp_path / "storage"):
        yield


def _images() -> str:
    words = ["buildah", "images", "--all", "--quiet"]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def _layers(archive: Path) -> int:
    with tarfile.open(archive) as opened:
        return sum(name.startswith("blobs/sha256/") for name in opened.getnames()) - 2


@needs_buildah
@pytest.mark.usefixtures("stored")
def test_a_base_by_name_or_by_file(context: Path, tmp_path: Path) -> None:
    """What the archive of a base brings to the storage goes again; what was there by name stays."""
    first, to = tmp_path / "images/first.tar", tmp_path / "images/second.tar"
    digest = image.build(context, first)
    assert (digest[:7], len(digest), _layers(first), _images()) == ("sha256:", 71, 1, "")
    subprocess.run(["buildah", "pull", f"oci-archive:{first}"], check=True, capture_output=True)
    before = _images()
    subprocess.run(["buildah", "tag", before.strip(), "localhost/first"], check=True)
    (context / "file").write_text("other content, or the two layers would be one")
    for base in (f"oci-archive:{first}", "localhost/first"):
        assert image.build(context, to, base) != digest
        assert (_layers(to), _images()) == (2, before)
    assert sorted(to.parent.iterdir()) == [first, to]


@needs_buildah
@pytest.mark.usefixtures("stored")
def test_a_failed_build_leaves_the_archive_that_was_there(context: Path, tmp_path: Path) -> None:
    to = tmp_path / "images/image.tar"
    to.parent.mkdir()
    to.write_text("of yesterday")
    with pytest.raises(UnavailableError, match="buildah ended with code"):
        image.build(context, to, "oci-archive:missing.tar")
    (context / "file").unlink()
    with pytest.raises(UnavailableError, match="buildah"):
        image.build(context, to)
    assert to.read_text() == "of yesterday"
    assert list(to.parent.iterdir()) == [to]
    assert _images() == ""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_tool_is_waited_for_when_it_is_stopped(tmp_path: Path, sent: signal.Signals) -> None:
    """It needs a moment to remove what it began."""
    tool = f"""
import signal, sys, time
def end(*_):
    time.sleep(0.3)
    open("{tmp_path}/removed", "w").close()
    sys.exit(1)
signal.signal(signal.SIGTERM, end)
open("{tmp_path}/begun", "w").close()
time.sleep(60)
"""
    calling = f"""
import signal
from nenrin.integrations.image import _run
signal.signal(signal.SIGTERM, signal.default_int_handler)
_run([{sys.executable!r}, "-c", {tool!r}])
"""
    process = subprocess.Popen([sys.executable, "-c", calling], stderr=subprocess.DEVNULL)
    wait_until((tmp_path / "begun").exists)
    process.send_signal(sent)
    assert process.wait(120) != 0
    assert (tmp_path / "removed").exists()


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingExtraError, match="buildah is not installed") as missing:
        image.build(tmp_path, tmp_path / "image.tar")
    assert "docker build" in missing.value.hint
    monkeypatch.setattr(image, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match="pip is not installed"):
        image.fetch_wheels(tmp_path, {})
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(RequestError, match="darwin"):
        image.fetch_wheels(tmp_path, {})


def test_this_clone_is_a_folder_that_a_package_comes_from() -> None:
    folder = Path(from_folders()[f"nenrin=={version('nenrin')}"])
    assert (folder / "src/nenrin/integrations/image.py").samefile(str(image.__file__))
