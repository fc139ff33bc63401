"""What the serving benchmarks share: a load by ``wrk``, and the CPU seconds of a server's processes."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import msgspec

_JSON = {"Content-Type": "application/json"}
_STICKY = """local ready, place = {}, 0
init = function()
  for i = 0, 9999 do
    wrk.headers["NAME"] = tostring(i)
    ready[i] = wrk.format()
  end
end
request = function()
  place = (place + 1) % 10000
  return ready[place]
end
"""
_TICKS = os.sysconf("SC_CLK_TCK")


class Found(msgspec.Struct, frozen=True):
    """One run: requests, those that failed, how many a second, milliseconds, CPU ms of the server each."""

    requests: float
    errors: float
    rate: float
    p50: float
    p99: float
    cpu: float


def load(
    url: str,
    body: bytes,
    folder: Path,
    *,
    seconds: float,
    connections: int,
    processes: list[int],
    sticky: str = "",
    headers: Mapping[str, str] = _JSON,
) -> Found:
    """POST ``body`` over so many connections of one thread of ``wrk``, as fast as answers come.

    With ``sticky``, each request has one of ten thousand values in a header of that name.
    """
    if shutil.which("wrk") is None:
        sys.exit("apt install wrk")
    script, path = folder / "post.lua", folder / "body"
    path.write_bytes(body)
    lines = "".join(f'wrk.headers["{name}"] = "{told}"\n' for name, told in headers.items())
    script.write_text(
        f'local f = io.open("{path}", "rb")\nwrk.method = "POST"\nwrk.body = f:read("*all")\n'
        f"{lines}{_STICKY.replace('NAME', sticky) if sticky else ''}"
        "done = function(summary, latency, requests)\n"
        '  local e = summary.errors\n  print(string.format("FOUND %d %d %f %f %f", summary.requests,'
        " e.connect + e.read + e.write + e.status + e.timeout, summary.duration / 1e6,"
        " latency:percentile(50) / 1e3, latency:percentile(99) / 1e3))\nend\n"
    )
    before = sum(map(cpu, processes))
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    spent = sum(map(cpu, processes)) - before
    match = re.search(r"FOUND (\S+) (\S+) (\S+) (\S+) (\S+)", said)
    if match is None:
        sys.exit(said)
    requests, errors, took, p50, p99 = map(float, match.groups())
    return Found(requests, errors, requests / took, p50, p99, 1e3 * spent / max(requests, 1))


def cpu(process: int) -> float:
    """CPU seconds of a process so far, without those of its children."""
    fields = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory(process: int) -> float:
    """Megabytes of a process: its proportional part of what is shared."""
    rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
    match = re.search(r"^Pss:\s+(\d+) kB", rollup, re.M)
    return int(match[1]) / 1024 if match else float("nan")
