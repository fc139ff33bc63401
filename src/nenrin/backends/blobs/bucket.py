"""One bucket of an object store that speaks S3, below a prefix.

Where it is and who we are, obstore reads from the usual variables: ``AWS_ENDPOINT_URL``, ``AWS_REGION``,
``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, or what a cloud gives its machines. It also tries again:
after lost connections, stalls and answers of 5xx, in growing pauses. What it raises is told in our words.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from nenrin.core.errors import NenrinError, RequestError, UnavailableError

PART = 8 * 2**20  # bytes; larger objects are sent in parts of this size

PATIENCE = 60.0  # seconds in which a request is tried again
_CHUNK = 2**20
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")  # as obstore looks
_DENIED = {
    *("AccessDenied", "AuthorizationHeaderMalformed", "ExpiredToken", "InvalidAccessKeyId"),
    *("InvalidToken", "PermanentRedirect", "RequestTimeTooSkewed", "SignatureDoesNotMatch"),
}
_CUT = "response body error"
_CODE = re.compile(r"<Code>(\w+)</Code>")
_CAUSE = re.compile(r'message: "([^"]+)"')


class Object(NamedTuple):
    """What is known of an object: its key, bytes, when it was written (seconds since 1970), its tag."""

    key: str
    size: int
    written: float
    tag: str


class Bucket:
    """Objects by key.

    Every method raises ``UnavailableError`` while the store is away, and ``RequestError`` where the bucket
    or the credentials are wrong.

    Args:
        url: ``s3://BUCKET/PREFIX``.
        patience: seconds in which a request is tried again before it is given up.

    Raises:
        RequestError: the URL names no bucket.
    """

    def __init__(self, url: str, *, patience: float = PATIENCE) -> None:
        import obstore
        from obstore.store import S3Store

        parts = urlsplit(url)
        if parts.scheme != "s3" or not parts.netloc or parts.query or parts.fragment:
            raise RequestError(
                f"{url} is no place for content",
                hint="name a bucket and a prefix, such as s3://our-models/nenrin, or a folder",
                where="NENRIN_STORE_URL",
            )
        self.where = url
        self._calls: Any = obstore
        with self._told():
            self._client = S3Store(
                parts.netloc,
                prefix=parts.path.strip("/") or None,
                client_options={
                    "allow_http": True,  # an endpoint is what its URL says
                    "connect_timeout": "5s",
                    "read_timeout": "30s",
                    "timeout": "1h",
                },
                retry_config={
                    "max_retries": 100,
                    "retry_timeout": timedelta(seconds=patience),
                    "backoff": {
                        "init_backoff": timedelta(seconds=min(0.1, patience / 20)),
                        "max_backoff": timedelta(seconds=min(5.0, patience / 4)),
                        "base": 2,
                    },
                },
            )

    @property
    def address(self) -> str:
        """Where the bucket is, and which server has it."""
        server = next(filter(None, map(os.environ.get, _ENDPOINTS)), "Amazon's endpoint")
        return f"{self.where} at {server}"

    def look(self, key: str) -> Object | None:
        """What is known of ``key``; None where it is not there."""
        try:
            with self._told():
                return _object(self._calls.head(self._client, key))
        except FileNotFoundError:
            return None

    def objects(self, prefix: str = "") -> Iterator[Object]:
        """Every object whose key begins with the folders ``prefix``, in no certain order."""
        with self._told():
            for page in self._calls.list(self._client, prefix or None):
                yield from map(_object, page)

    def read(self, key: str) -> tuple[bytes, str]:
        """The bytes of a small object, and its tag.

        Raises:
            FileNotFoundError: it is not there.
        """
        try:
            return self._read(key)
        except UnavailableError as error:
            if _CUT not in error.message:
                raise
        return self._read(key)  # obstore does not ask again where an answer of 404 was cut short

    def chunks(self, key: str) -> Iterator[bytes]:
        """The bytes of an object, piece by piece.

        Raises:
            FileNotFoundError: it is not there.
        """
        with self._told():
            for chunk in self._calls.get(self._client, key).stream(min_chunk_size=_CHUNK):
                yield bytes(chunk)

    def create(self, key: str, data: bytes) -> bool:
        """Write an object that is not there; False where it is."""
        return self._put_if(key, data, "create")

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        """Write an object over the one with ``tag``; False where another came first."""
        return self._put_if(key, data, {"e_tag": tag})

    def write(self, key: str, data: bytes) -> None:
        """Write an object, whatever is there; a large one in parts."""
        large = len(data) > PART
        with self._told():
            self._calls.put(
                self._client,
                key,
                data,
                mode="overwrite",
                use_multipart=large,
                chunk_size=PART,
                max_concurrency=4,
            )

    def remove(self, keys: list[str]) -> None:
        """Let go of objects, whether they are there or not."""
        if keys:
            with self._told():
                self._calls.delete(self._client, keys)

    def _read(self, key: str) -> tuple[bytes, str]:
        with self._told():
            found = self._calls.get(self._client, key)
            return bytes(found.bytes()), found.meta["e_tag"] or ""

    def _put_if(self, key: str, data: bytes, mode: str | dict[str, str]) -> bool:
        from obstore.exceptions import AlreadyExistsError, PreconditionError

        try:
            with self._told():
                self._calls.put(self._client, key, data, mode=mode, use_multipart=False)
        except (AlreadyExistsError, PreconditionError):
            return False
        return True

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What obstore raises, in our words; refused conditions and what is not there pass."""
        from obstore import exceptions

        try:
            yield
        except (exceptions.AlreadyExistsError, exceptions.PreconditionError):
            raise
        except FileNotFoundError as error:
            if "NoSuchBucket" in str(error):
                raise self._explained(error) from error
            raise
        except (exceptions.BaseError, ValueError) as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> NenrinError:
        from obstore.exceptions import (
            NotSupportedError,
            PermissionDeniedError,
            UnauthenticatedError,
            UnknownConfigurationKeyError,
        )

        text = str(error).partition("\n\nDebug source")[0]
        code = found[1] if (found := _CODE.search(str(error))) else ""
        if "configured region" in text:  # a redirect that names no place
            code = "PermanentRedirect"
        if code == "NoSuchBucket":
            bucket = urlsplit(self.where).netloc
            return RequestError(
                f"the object store has no bucket {bucket}",
                hint="make the bucket, or name another one in NENRIN_STORE_URL",
                where=self.where,
            )
        denied = isinstance(error, (PermissionDeniedError, UnauthenticatedError))
        if denied or code in _DENIED or "latest/api/token" in text:
            return RequestError(
                f"the object store refuses us: {code or 'no credentials that it takes'}",
                hint="look at AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION, and at what that "
                "identity may do: read, write, list and delete objects",
                where=self.where,
            )
        unusable = isinstance(error, (NotSupportedError, UnknownConfigurationKeyError, ValueError))
        if unusable or code == "NotImplemented":
            return RequestError(
                f"the object store cannot be used: {code or _short(text)}",
                hint="look at the AWS_* variables, or use another store",
                where=self.where,
            )
        cause = code or (found[1] if (found := _CAUSE.search(str(error))) else _short(text))
        return UnavailableError(
            f"the object store does not answer as it should: {cause}",
            hint="look whether it runs, and at AWS_ENDPOINT_URL; then do it again: nothing is lost",
            where=self.where,
        )


def _object(meta: Any) -> Object:
    return Object(
        meta["path"], meta["size"], meta["last_modified"].timestamp(), meta["e_tag"] or ""
    )


def _short(text: str) -> str:
    """The end of what obstore says, which has the cause."""
    return " ".join(text.rpartition(" - ")[2].split())[:200]
