"""An S3 server of a hundred lines that can be told to lie. It looks at no signature."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


class Kept(NamedTuple):
    data: bytes
    written: float
    tag: str


class SmallS3:
    """Objects by path; ``lies`` names what it does wrong."""

    def __init__(self, lies: set[str]) -> None:
        self.lies = lies
        self.objects: dict[str, Kept] = {}
        self.lock = threading.Lock()

    def put(self, path: str, data: bytes, absent: bool, tag: str | None) -> Kept | None:
        """What was written; None where it was refused."""
        with self.lock:
            there = self.objects.get(path)
            stale = tag is not None and (there is None or there.tag != tag)
            refused = (
                (absent and there is not None and "creates twice" not in self.lies)
                or (stale and "updates what is stale" not in self.lies)
                or (tag is not None and "refuses updates" in self.lies)
            )
            skew = 3600 if "has another clock" in self.lies else 0
            new = Kept(data, time.time() + skew, f'"{hashlib.md5(data).hexdigest()}"')
            if "forgets" not in self.lies and (not refused or "refuses and writes" in self.lies):
                self.objects[path] = new
            return None if refused else new

    def listed(self, bucket: str, prefix: str) -> str:
        if "does not list" in self.lies:
            return ""
        return "".join(
            f"<Contents><Key>{escape(path[len(bucket) + 1 :])}</Key><Size>{len(each.data)}</Size>"
            f"<ETag>{escape(each.tag)}</ETag><LastModified>"
            f"{time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(each.written))}</LastModified>"
            "</Contents>"
            for path, each in sorted(self.objects.items())
            if path.startswith(f"{bucket}/{prefix}")
        )

    def drop(self, path: str) -> None:
        if "keeps what is deleted" not in self.lies:
            self.objects.pop(path, None)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    kept: SmallS3  # of the class that a server makes for itself

    def log_message(self, *_: object) -> None:
        pass

    def do_PUT(self) -> None:
        data = self.rfile.read(int(self.headers["Content-Length"]))
        absent = self.headers.get("If-None-Match") == "*"
        if absent and "knows no conditions" in self.kept.lies:
            self._answer(501, b"<Error><Code>NotImplemented</Code></Error>")
            return
        path = unquote(urlsplit(self.path).path)
        new = self.kept.put(path, data, absent, self.headers.get("If-Match"))
        self._answer(200, found=new._replace(data=b"")) if new else self._answer(412)

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        asked = parse_qs(parts.query)
        if "list-type" in asked:
            listed = self.kept.listed(parts.path, asked.get("prefix", [""])[0])
            self._answer(200, f"<ListBucketResult>{listed}</ListBucketResult>".encode())
            return
        found = self.kept.objects.get(unquote(parts.path))
        self._answer(200 if found else 404, found=found)

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_POST(self) -> None:  # a delete of many
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        keys = [part.partition("</Key>")[0] for part in body.split("<Key>")[1:]]
        for key in keys:
            self.kept.drop(f"{urlsplit(self.path).path}/{key}")
        gone = "".join(f"<Deleted><Key>{escape(key)}</Key></Deleted>" for key in keys)
        self._answer(200, f"<DeleteResult>{gone}</DeleteResult>".encode())

    def _answer(self, status: int, body: bytes = b"", found: Kept | None = None) -> None:
        if "is in another region" in self.kept.lies:
            status, found = 301, None
        data = found.data if found else body
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        if found:
            self.send_header("ETag", found.tag)
            self.send_header("Last-Modified", formatdate(found.written, usegmt=True))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


@contextmanager
def small_s3(*lies: str) -> Iterator[str]:
    """The address of a server with these lies."""
    handler = type("Handler", (_Handler,), {"kept": SmallS3(set(lies))})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
