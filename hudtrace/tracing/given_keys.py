"""API keys that clients of models were given: secrets, whatever they look like."""

from __future__ import annotations

import re
import threading

_SHORTEST = 12
_MOST = 64
# "not-needed", "EMPTY", "your api key here": words, and nothing that is random.
_WORD = "(?:[A-Z]?[a-z]{0,15}|[A-Z]{2,15})"
_placeholder = re.compile(f"{_WORD}(?:[-_ .<>]{_WORD})*")

_seen: set[str] = set()
_keys: dict[str, None] = {}  # the oldest first
_known: frozenset[str] = frozenset()
_lock = threading.Lock()


def note_key(key: object) -> None:
    """Take *key* for a secret from now on; cheap for one that was noted before."""
    if isinstance(key, str) and key not in _seen:
        _learn(key)


def given_keys() -> frozenset[str]:
    """Return the keys that are known; the latest, if there are very many."""
    return _known


def _learn(key: str) -> None:
    global _known
    with _lock:
        if len(_seen) >= 16 * _MOST:
            _seen.clear()
        _seen.add(key)
        if not _is_secret(key):
            return
        _keys.pop(key, None)
        _keys[key] = None
        if len(_keys) > _MOST:
            oldest = next(iter(_keys))
            del _keys[oldest]
            _seen.discard(oldest)
        _known = frozenset(_keys)


def _is_secret(key: str) -> bool:
    return len(key) >= _SHORTEST and _placeholder.fullmatch(key) is None
