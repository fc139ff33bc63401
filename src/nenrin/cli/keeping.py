"""Where a checkpoint may be kept beside files: the notes of a git repository, or somebody's web service."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2

from nenrin.core.errors import RequestError, UnavailableError

_NOTES = "nenrin"
_SECONDS = 10.0


def keep_in_git(text: str) -> str:
    """Attach a checkpoint to the newest commit of this folder's repository; says where it is.

    One that the commit has is replaced; git keeps it in the history of the notes.

    Raises:
        UnavailableError: there is no git, no repository or no commit, or git refuses.
    """
    words = ["git", "notes", f"--ref={_NOTES}", "add", "--force", "--file=-", "HEAD"]
    try:
        done = subprocess.run(words, input=text, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        raise UnavailableError(
            "git is not installed", where="--git-note", hint="keep it elsewhere: --to FILE"
        ) from None
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise UnavailableError(
            f"git does not take the note: {said[-1] if said else 'it does not say why'}",
            where="--git-note",
            hint="is the project in a repository with a commit, and has git a user.name and user.email?",
        )
    return f"refs/notes/{_NOTES}: git push origin refs/notes/{_NOTES}, or it is only here"


def check_webhook(url: str) -> None:
    """Refuse what is no address of a web service.

    Raises:
        RequestError: it is not.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise RequestError(
            f"{url} is no address of a web service", where="--webhook", hint="https://host/path"
        )


def post(url: str, made: Mapping[str, Any]) -> str:
    """Send a checkpoint as JSON: ``type``, ``timestamp``, and as ``data`` its heads, note and key.

    Raises:
        UnavailableError: the service does not answer, or not with a success.
    """
    body = {
        "type": "ledger.checkpoint",
        "timestamp": made["at"],
        "data": {name: made[name] for name in ("heads", "note", "key")},
    }
    try:
        answer = httpx2.post(url, json=body, timeout=_SECONDS)
    except httpx2.HTTPError as error:
        raise UnavailableError(
            f"the checkpoint cannot be sent: {error}", where=url, hint="is the address right?"
        ) from None
    if not answer.is_success:
        raise UnavailableError(
            f"the service answered {answer.status_code} {answer.reason_phrase}",
            where=url,
            hint="ask whoever runs it; the checkpoint was not taken",
        )
    return url
