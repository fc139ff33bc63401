"""Write constraints.txt: the exact versions that are installed in this environment and tested."""

from __future__ import annotations

from importlib.metadata import distributions
from pathlib import Path

INSTALLERS = {"nenrin", "pip", "setuptools", "uv", "wheel"}
BESIDE = {
    "keras": "3.15.1",
    "mlflow-skinny": "3.17.2",
    "onnxscript": "0.7.2",
    "tensorflow": "2.21.0",
    "tf2onnx": "1.17.0",
    "torch": "2.13.0",
}
"""Large, and tested by hand in an environment of their own."""


def pins() -> str:
    """One ``name==version`` line for each installed distribution, sorted, without addresses."""
    found = BESIDE | {
        str(each.name).lower().replace("_", "-"): each.version for each in distributions()
    }
    lines = [f"{name}=={found[name]}" for name in sorted(found) if name not in INSTALLERS]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    (Path(__file__).parents[1] / "constraints.txt").write_text(pins())
