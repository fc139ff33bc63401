"""Serve a deployment, and have other people's clients ask it: ``python -m tests.serving.clients``.

python -m venv /tmp/kserve && /tmp/kserve/bin/pip install kserve
python -m venv /tmp/mlserver && /tmp/mlserver/bin/pip install mlserver
python -m tests.serving.clients ask_kserve=/tmp/kserve/bin/python ask_mlserver=/tmp/mlserver/bin/python
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.serving.kinds import KindsPlane
from tests.serving.plane_here import listening


def main(*named: str) -> int:
    """Run each script with its interpreter; how many failed."""
    failed = 0
    with tempfile.TemporaryDirectory() as folder, listening(KindsPlane(Path(folder))) as here:
        for each in named:
            name, _, interpreter = each.partition("=")
            script = Path(__file__).with_name(f"{name}.py")
            ran = subprocess.run(
                [interpreter, str(script), here.http, here.grpc],
                cwd=folder,
                env={},
                check=False,
            )
            print(name, "passed" if ran.returncode == 0 else "FAILED")
            failed += ran.returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
