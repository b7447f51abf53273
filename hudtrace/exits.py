"""What becomes of `sys.exit()` in a tool or a scenario.

It ends a script, as anywhere; on a server, which runs the episodes of others too, it is
an error like any other.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Iterator

_contained = contextvars.ContextVar("hudtrace_exits_contained", default=False)


def contain() -> None:
    """Have exits be errors in the current context, and in what is started from it."""
    _contained.set(True)


@contextlib.contextmanager
def contained() -> Iterator[None]:
    """Run code of the user's; raises RuntimeError in place of SystemExit if so chosen."""
    try:
        yield
    except SystemExit as error:
        if not _contained.get():
            raise
        raise RuntimeError(f"sys.exit({error.code!r}) was called") from error
