"""Exports: written into a folder, said file by file, refused where they cannot be."""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

import pytest
import yaml

from nenrin.backends.blobs.local import LocalStore
from nenrin.core.errors import ConflictError, NotFoundError, RequestError
from nenrin.integrations.exports import Exports
from nenrin.project.revision import snapshot


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    folder = tmp_path / "project"
    (folder / "inner").mkdir(parents=True)
    (folder / "project.py").write_text("import inner.more\n")
    (folder / "inner" / "more.py").write_text("X = 1\n")
    (folder / "model.onnx").write_bytes(b"\x00\x01")
    store = LocalStore(tmp_path / "store")
    revision = snapshot(folder, store, ["model.onnx"])
    return Exports(
        store,
        lambda environment: None if environment == "empty" else revision,
        lambda: {"nenrin==0.1.0": "/somewhere/nenrin"},
    )


def test_a_container_holds_the_revision(exports: Exports, tmp_path: Path) -> None:
    made = exports.write("prod", "container", tmp_path / "out")
    assert set(made.files.values()) == {"new"}
    (note,) = made.notes
    assert note.endswith(
        f"pip wheel --no-deps --wheel-dir {tmp_path / 'out/wheels'} /somewhere/nenrin"
    )
    with tarfile.open(fileobj=io.BytesIO((tmp_path / "out/project.tar").read_bytes())) as archive:
        assert archive.getnames() == ["inner/more.py", "model.onnx", "project.py"]
    locked = (tmp_path / "out/requirements.txt").read_text().splitlines()
    assert all("==" in line for line in locked)
    assert any(line.startswith("nenrin==") for line in locked)
    steps = (tmp_path / "out/Dockerfile").read_text()
    assert "ENV NENRIN_ENVIRONMENT=prod\n" in steps
    assert "LABEL com.amazonaws.sagemaker.capabilities.accept-bind-to-port=true\n" in steps
    assert steps.index("USER 10001:10001") < steps.index("ENTRYPOINT")
    copied = [line.split()[1] for line in steps.splitlines() if line.startswith(("COPY", "ADD"))]
    assert all((tmp_path / "out" / name).exists() for name in copied)


def test_the_same_revision_gives_the_same_bytes(exports: Exports, tmp_path: Path) -> None:
    exports.write("prod", "container", tmp_path / "out")
    (tmp_path / "out/Dockerfile").write_text("FROM scratch\n")
    (tmp_path / "out/mine.txt").write_text("mine")
    again = exports.write("prod", "container", tmp_path / "out").files
    assert again.pop("Dockerfile") == "changed"
    assert set(again.values()) == {"same"}
    assert (tmp_path / "out/mine.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", ["kubernetes", "kserve"])
def test_manifests_are_yaml(exports: Exports, tmp_path: Path, kind: str) -> None:
    made = exports.write("prod", kind, tmp_path / "out", "registry/delay@sha256:00")  # type: ignore[arg-type]
    for name in made.files:
        for each in yaml.safe_load_all((tmp_path / "out" / name).read_text()):
            assert {"apiVersion", "kind", "metadata", "spec"} == set(each)


@pytest.mark.parametrize(
    ("environment", "image", "error", "said"),
    [
        ("prod", "", RequestError, "pods need an image"),
        ("prod", "no image", RequestError, "no image"),
        ("Prod_1", "image", RequestError, "cannot name objects"),
        ("empty", "image", NotFoundError, "nothing was applied to empty yet"),
    ],
)
def test_what_cannot_be_is_refused(
    exports: Exports, tmp_path: Path, environment: str, image: str, error: type, said: str
) -> None:
    with pytest.raises(error, match=said):
        exports.write(environment, "kubernetes", tmp_path / "out", image)
    assert not (tmp_path / "out").exists()


def test_a_file_is_not_written_over(exports: Exports, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine")
    with pytest.raises(ConflictError, match="is a file"):
        exports.write("prod", "container", tmp_path / "out")
