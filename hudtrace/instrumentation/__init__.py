"""Model clients that trace themselves: patch what is installed, undo it again."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec

from hudtrace.errors import ConfigurationError
from hudtrace.instrumentation.imports import when_imported
from hudtrace.notices import internal_error
from hudtrace.tracing.twins import traced

#: Client package → the module here that knows where to hook into it.
CLIENTS = {
    "anthropic": "hudtrace.instrumentation.anthropic",
    "google.genai": "hudtrace.instrumentation.google_genai",
    "google.generativeai": "hudtrace.instrumentation.google_generativeai",
    "openai": "hudtrace.instrumentation.openai",
}

_undo: dict[str, Callable[[], None]] = {}


def instrument(clients: Iterable[str] | None = None) -> list[str]:
    """Trace the model clients that are installed; return their names.

    One that has not been imported yet is traced from its import on. *clients* chooses some by package name. Instrumenting twice is the same as
    once. Raises `ConfigurationError` for a name that is not supported.
    """
    chosen = list(CLIENTS) if clients is None else list(clients)
    for name in chosen:
        if name not in CLIENTS:
            raise ConfigurationError(
                f"cannot instrument {name!r} (there are: {', '.join(sorted(CLIENTS))})"
            )
        if name in _undo or not _installed(name):
            continue
        call_off = when_imported(name, functools.partial(_patch, name))
        if name not in sys.modules:
            _undo[name] = call_off
    return [name for name in chosen if name in _undo]


def _patch(name: str) -> None:
    try:
        undo = import_module(CLIENTS[name]).patch()
    except Exception as error:
        internal_error(f"instrumenting {name}", error)
        return
    if undo is not None:
        _undo[name] = undo
        traced.add(name)


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # `google` itself is not there
        return False


def uninstrument() -> None:
    """Give the clients back as they were."""
    while _undo:
        name, undo = _undo.popitem()
        traced.discard(name)
        undo()
