"""A small server that speaks version 2 for one model: ``python v2_server.py PORT [FOLDER [HOST]]``.

It writes its process id to ``FOLDER/pid``. A file there tells it what to do: ``mute`` not to be ready,
``slow`` to take a second for each answer, ``deaf`` not to heed SIGTERM, which drains it else.
"""

import json
import math
import os
import signal
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

PORT = int(sys.argv[1])
FOLDER = Path(sys.argv[2]) if len(sys.argv) > 2 else Path("/nowhere")
HOST = sys.argv[3] if len(sys.argv) > 3 else "127.0.0.1"
METADATA = {
    "name": "churn",
    "inputs": [
        {"name": "plan", "datatype": "BYTES", "shape": [-1]},
        {"name": "a", "datatype": "FP64", "shape": [-1]},
    ],
    "outputs": [{"name": "probability", "datatype": "FP64", "shape": [-1]}],
}


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path == "/v2/health/ready":
            self._answer(503 if (FOLDER / "mute").exists() else 200, {"ready": True})
        elif self.path == "/v2/models/churn":
            self._answer(200, METADATA)
        else:
            self._answer(404, {"error": "no such model"})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if (FOLDER / "slow").exists():
            (FOLDER / "asked").touch()
            time.sleep(1)
        inputs = {each["name"]: each["data"] for each in body["inputs"]}
        data = [
            1 / (1 + math.exp(-(1.5 * a - 1.0 * (plan == "pro"))))
            for plan, a in zip(inputs["plan"], inputs["a"], strict=True)
        ]
        output = {"name": "probability", "datatype": "FP64", "shape": [len(data)], "data": data}
        self._answer(200, {"model_name": "churn", "outputs": [output]})

    def _answer(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


def main():
    server = ThreadingHTTPServer((HOST, PORT), Handler)
    server.daemon_threads = False

    def end(*_):
        if not (FOLDER / "deaf").exists():
            threading.Thread(target=server.shutdown).start()

    signal.signal(signal.SIGTERM, end)
    print("it listens", flush=True)
    if FOLDER.exists():
        (FOLDER / "pid.new").write_text(str(os.getpid()))
        (FOLDER / "pid.new").replace(FOLDER / "pid")
    server.serve_forever(poll_interval=0.05)
    server.server_close()  # waits for the answers under way


main()
