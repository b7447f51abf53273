"""The file of an index: found or made, of this version, beside its store."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from importlib import resources
from pathlib import Path

from hudtrace.store.store import file_identity, open_uri, reading_uri

VERSION = 7
_OURS = 0x68756469  # application_id: whose file it is
_ENDINGS = ("", "-wal", "-shm")
_SET_ASIDE = ".set-aside"


def beside(store: Path) -> Path:
    """Return where the index of *store* is."""
    return store.with_name(f"{store.stem}.index.db")


def prepare(path: Path) -> None:
    """See to it that *path* is an index of this version, which may be empty.

    One of an older version is made anew; a file that is no index is set aside, in case
    somebody misses it. Raises OSError or `sqlite3.OperationalError` if there cannot be
    one, as where a newer hudtrace keeps its own.
    """
    if not os.access(path.parent, os.W_OK):
        raise PermissionError(f"no files can be made in {path.parent}")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(f"{path} cannot be written")
    if _is_ours(path):
        return
    with _creation_lock(path):
        if _is_ours(path):
            return
        state = _state_of(path)
        if state == "older":
            _move(path, None)
        elif state == "foreign":
            _move(path, _SET_ASIDE)
        _make(path)


def _is_ours(path: Path) -> bool:
    state = _state_of(path)
    if state == "newer":
        raise FileExistsError(f"{path} is of a newer hudtrace")
    return state == "ours"


def set_aside(path: Path, known: tuple[int, int] | None) -> None:
    """Take a broken index out of the way, if it is still the file that is *known*."""
    with _creation_lock(path):
        if file_identity(path) == known:
            _move(path, _SET_ASIDE)


def writer(path: Path) -> sqlite3.Connection:
    """Open an index to write to it."""
    db = connect(path)
    db.execute("PRAGMA synchronous = NORMAL")
    db.execute("PRAGMA cache_size = -32000")
    db.execute("PRAGMA temp_store = MEMORY")
    return db


def reader(path: Path, store: Path) -> sqlite3.Connection:
    """Open an index to read from it, with the store attached as `store`."""
    db = open_uri(f"{path.as_uri()}?mode=ro")
    try:
        db.execute("ATTACH ? AS store", (reading_uri(store),))
        db.execute("PRAGMA temp_store = MEMORY")
        db.execute("PRAGMA cache_size = -32000")
    except BaseException:
        db.close()
        raise
    return db


def store_reader(store: Path) -> sqlite3.Connection:
    """Open the store alone, to read from it."""
    db = open_uri(reading_uri(store))
    db.execute("PRAGMA query_only = 1")
    return db


def connect(path: Path) -> sqlite3.Connection:
    """Open an index that is there."""
    return open_uri(f"{path.as_uri()}?mode=rw")


def _state_of(path: Path) -> str:
    """Return what the file is: `none`, `ours`, `older`, `newer`, or `foreign`."""
    if not path.exists():
        return "none"
    with contextlib.closing(connect(path)) as db:
        try:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (version,) = db.execute("PRAGMA user_version").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError:
            return "foreign"  # no database, or a broken one
    if application == _OURS:
        if version == VERSION:
            return "ours"
        return "older" if version < VERSION else "newer"
    return "foreign" if tables else "older"


def _move(path: Path, ending: str | None) -> None:
    """Delete a database, or give it another ending."""
    for part in _ENDINGS:
        file = path.with_name(path.name + part)
        with contextlib.suppress(FileNotFoundError):
            if ending is None:
                file.unlink()
            else:
                file.replace(file.with_name(path.name + ending + part))


@contextlib.contextmanager
def _creation_lock(path: Path) -> Iterator[None]:
    import fcntl

    file = path.with_name(f"{path.name}.lock")
    with file.open("w") as lock:
        file.chmod(0o600)
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _make(path: Path) -> None:
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
    script = resources.files("hudtrace.index").joinpath("schema.sql")
    with contextlib.closing(connect(path)) as db:
        db.execute("PRAGMA page_size = 8192")
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(
            f"BEGIN; {script.read_text('utf-8')}; PRAGMA application_id = {_OURS}; "
            f"PRAGMA user_version = {VERSION}; COMMIT;"
        )
