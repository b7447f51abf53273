"""Notices to the person at the terminal: stderr, each once, never an exception.

The logger is private: structlog's global configuration is never touched.
"""

from __future__ import annotations

import sys
import threading
from collections import Counter
from typing import Any

from hudtrace.terminal import one_line, visible

_counts: Counter[str] = Counter()
_lock = threading.Lock()


def notify_once(key: str, text: str, **fields: Any) -> int:
    """Write *text* the first time *key* is seen; return how often it was seen."""
    with _lock:
        _counts[key] += 1
        count = _counts[key]
    if count == 1:
        _write("warning", text, fields)
    return count


def internal_error(where: str, error: BaseException) -> None:
    """Report a fault of our own once for each place; user code goes on."""
    notify_once(
        f"internal:{where}:{type(error).__name__}",
        f"hudtrace failed in {where} and goes on without it",
        error=f"{type(error).__name__}: {error}",
    )


def seen(key: str) -> int:
    """Return how often *key* was notified in this process."""
    return _counts[key]


def _write(level: str, text: str, fields: dict[str, Any]) -> None:
    try:
        import structlog

        renderer = structlog.dev.ConsoleRenderer(0, colors=False)  # no padding
        logger = structlog.wrap_logger(
            structlog.PrintLogger(sys.stderr),
            processors=[structlog.processors.add_log_level, renderer],
        )
        safe = {
            key: one_line(value) if isinstance(value, str) else value
            for key, value in fields.items()
        }
        getattr(logger, level)(visible(text), **safe)
    except Exception:
        # A closed or broken stderr must not reach the eval.
        return
