"""Where the viewer of a store listens, as it says in a file beside the store."""

from __future__ import annotations

import contextlib
import json
import os
from pathlib import Path

from hudtrace.store.writers import boot_id, process_start


def announce(store: Path, url: str) -> None:
    """Say that this process shows *store* at *url*; where no file can be, do nothing."""
    said = {
        "url": url,
        "pid": os.getpid(),
        "process_start": process_start(os.getpid()),
        "boot_id": boot_id(),
    }
    made = _file(store).with_name(f"{_file(store).name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        made.touch(0o600)
        made.write_text(json.dumps(said))
        made.replace(_file(store))


def withdraw(store: Path) -> None:
    """Take back what this process has said; what another has said since stays."""
    with contextlib.suppress(OSError, ValueError, TypeError, KeyError):
        if json.loads(_file(store).read_text())["pid"] == os.getpid():
            _file(store).unlink()


def viewer_of(store: Path | None) -> str | None:
    """Return the address of the viewer of *store*; None if none that lives says one."""
    if store is None:
        return None
    try:
        said = json.loads(_file(store).read_text())
        url, pid, start = said["url"], said["pid"], said["process_start"]
        lives = said["boot_id"] == boot_id() and process_start(pid) == start
    except (OSError, ValueError, TypeError, KeyError):
        return None
    return url if lives and isinstance(url, str) else None


def _file(store: Path) -> Path:
    return store.with_name(f"{store.stem}.viewer.json")
