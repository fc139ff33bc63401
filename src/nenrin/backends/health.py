"""What is wrong with a folder's state and its project, seen without holding the folder."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from pathlib import Path

from nenrin.backends.compute.fork import can_fork
from nenrin.backends.compute.probing import probe
from nenrin.backends.online.opening import open_online
from nenrin.backends.sql.copying import SqliteStates
from nenrin.backends.sql.database import Database
from nenrin.backends.sql.engines import is_server
from nenrin.backends.sql.migrate import NEWEST
from nenrin.core.audit import Audit
from nenrin.core.environment import is_backtest
from nenrin.core.errors import NenrinError
from nenrin.core.health import Finding, clock
from nenrin.core.instants import iso
from nenrin.project.loader import FILE

_PATIENCE = 1.0  # seconds that the database may be held by others
_RESTORE = "bring a backup back into another folder: nenrin -C FOLDER restore FROM"


def state_of(url: str, store: Path | None, now: Callable[[], int]) -> Iterator[Finding]:
    """Database, schema, ledger, content folder and clock of a folder whose database is at ``url``.

    Args:
        url: of the database.
        store: the folder with the content; None where it is elsewhere.
        now: business time.
    """
    schema = yield from (_server(url) if is_server(url) else _file(url, store))
    if schema is None:
        return
    yield _schema(schema)
    if schema == NEWEST:
        yield from _ledger(url, store, now)


def _server(url: str) -> Generator[Finding, None, str | None]:
    """What keeps a server's database from being used; else its schema."""
    try:
        with Database(url, read_only=True) as units:
            schema = units.schema()
    except NenrinError as error:
        yield _told("database", error)
        return None
    if schema:
        return schema
    yield Finding(name="database", found="there is none yet")
    return None


def _file(url: str, store: Path | None) -> Generator[Finding, None, str | None]:
    """What keeps a file from being used; else its schema."""
    states = SqliteStates(url, _PATIENCE)
    try:
        size = states.path.stat().st_size
    except FileNotFoundError:
        yield Finding(name="database", found="there is none yet")
        return None
    except OSError as error:
        yield Finding(
            name="database",
            health="fail",
            found=f"cannot be looked at: {error}",
            do=f"let this user read and write {states.path.parent}",
        )
        return None
    if size == 0 and store is not None and store.is_dir():
        yield Finding(
            name="database",
            health="fail",
            found=f"{states.path} is empty, and there is content of before",
            do=_RESTORE,
        )
        return None
    try:
        wrong = states.check(states.path)
        schema = states.schema(states.path)
    except NenrinError as error:
        yield _told("database", error)
        return None
    if wrong:
        yield Finding(
            name="database",
            health="fail",
            found=f"SQLite finds it damaged: {wrong[0]}",
            do=_RESTORE,
        )
        return None
    return schema


def online_of(named: str, state_folder: Path) -> Iterator[Finding]:
    """Whether the online store answers, where one is set."""
    try:
        store = open_online(named, state_folder, reads_only=True)
        if store is None:
            return
        store.get_many("doctor", [b"asked"])
        store.close()
    except NenrinError as error:
        yield _told("online store", error)
    else:
        yield Finding(name="online store", found="answers")


def project_of(folder: Path) -> Iterator[Finding]:
    """Whether the project can be imported, and how its steps are started."""
    if not (folder / FILE).is_file():
        yield Finding(
            name="project",
            health="warn",
            found=f"there is no {FILE} here",
            do="go to the project's folder, or begin one: nenrin init --example flights",
        )
        return
    probed = probe(folder)
    if probed.error:
        error = probed.error
        where = f" ({error['where']})" if error.get("where") else ""
        yield Finding(
            name="project",
            health="fail",
            found=f"{error['message']}{where}",
            do=error.get("hint") or "mend it",
        )
        return
    yield Finding(name="project", found=f"imports, and declares {probed.declares} things")
    yield _started(probed.who, probed.left)


def _started(who: str, left: tuple[str, ...]) -> Finding:
    """How steps get their processes."""
    if not can_fork():
        found = "each gets a fresh interpreter: this system has no safe way to fork"
        return Finding(name="steps", found=found)
    if left:
        return Finding(
            name="steps",
            health="warn",
            found=f"each gets a fresh interpreter, which takes seconds: {who or 'importing'} leaves "
            f"{' and '.join(left)} behind",
            do="do that inside the functions that need it, not at the top of a file",
        )
    return Finding(
        name="steps", found="forked from a server that only imports: nothing is left behind"
    )


def _schema(found: str) -> Finding:
    if found == NEWEST:
        return Finding(name="database", found=f"intact, schema {found}")
    if found > NEWEST:
        return Finding(
            name="database",
            health="fail",
            found=f"intact, of schema {found}; this nenrin knows schemas up to {NEWEST}",
            do="install the nenrin that wrote it, or a newer one",
        )
    return Finding(
        name="database",
        health="warn",
        found=f"intact, of schema {found or '0'}; the next command brings it to {NEWEST}",
        do="make a backup first: nenrin backup --to FOLDER",
    )


def _ledger(url: str, store: Path | None, now: Callable[[], int]) -> Iterator[Finding]:
    with Database(url, read_only=True) as units:
        report = Audit(units).verify()
        newest = {
            name: at
            for name in units.environments()
            if not is_backtest(name) and (at := _newest(units, name)) is not None
        }
    broken = [chain for chain in report.chains if not chain.holds]
    events = sum(chain.events for chain in report.chains)
    if broken:
        yield Finding(
            name="ledger",
            health="fail",
            found=f"the chain of {broken[0].environment} does not hold",
            do="nenrin audit verify says where; a backup from before has it whole",
        )
    else:
        yield Finding(
            name="ledger", found=f"{events} events in {len(report.chains)} chains, which hold"
        )
    if events and store is not None and not store.is_dir():
        yield Finding(
            name="content",
            health="fail",
            found=f"{store} is gone: models, data and results were in there",
            do=_RESTORE,
        )
    yield clock(now(), newest, iso)


def _newest(units: Database, environment: str) -> int | None:
    """The instant of an environment's newest event."""
    sequence, _ = units.head(environment)
    return next((event.at for event in units.events(environment, after=sequence - 1)), None)


def _told(name: str, error: NenrinError) -> Finding:
    return Finding(name=name, health="fail", found=str(error.message), do=error.hint or "")
