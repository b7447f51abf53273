"""Which processes write to a store, and whether they are still alive."""

from __future__ import annotations

import functools
import os
import socket
import time
from dataclasses import dataclass
from pathlib import Path

_STALE_NS = 60 * 10**9  # a writer on another host beats every few seconds


@dataclass(frozen=True, slots=True)
class Writer:
    """One process that writes to the store; times are unix nanoseconds."""

    id: str
    host: str
    boot_id: str
    pid: int
    process_start: int
    heartbeat: int
    closed: int | None

    @classmethod
    def this_process(cls) -> Writer:
        """Describe the calling process, under a new id."""
        pid = os.getpid()
        now = time.time_ns()
        start = process_start(pid) or 0
        return cls(
            os.urandom(8).hex(), socket.gethostname(), boot_id(), pid, start, now, None
        )

    @property
    def alive(self) -> bool:
        """Whether the process still runs, as far as can be told from here.

        On this host by pid and start time; on others by the last heartbeat.
        """
        if self.closed is not None:
            return False
        if self.host == socket.gethostname() and self.boot_id == boot_id():
            return process_start(self.pid) == self.process_start
        if self.host == socket.gethostname():
            return False  # the machine was started again since
        return time.time_ns() - self.heartbeat < _STALE_NS


@functools.cache
def boot_id() -> str:
    """Return what tells one boot of this machine from another; empty if unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_start(pid: int) -> int | None:
    """Return when process *pid* started, in clock ticks; None if it is gone.

    Where the system does not say, 0 stands for any process that exists.
    """
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None if Path("/proc/self/stat").exists() else _exists(pid)
    fields = stat.rpartition(")")[2].split()
    return None if fields[0] in ("Z", "X") else int(fields[19])


def _exists(pid: int) -> int | None:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return None
    except OSError:
        return 0
    return 0
