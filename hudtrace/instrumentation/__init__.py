"""Model clients that trace themselves: patch what is installed, undo it again."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from importlib import import_module
from importlib.util import find_spec

from hudtrace.errors import ConfigurationError
from hudtrace.notices import internal_error

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

    *clients* chooses some by package name. Instrumenting twice is the same as
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
        try:
            undo = import_module(CLIENTS[name]).patch()
        except Exception as error:
            internal_error(f"instrumenting {name}", error)
            continue
        if undo is not None:
            _undo[name] = undo
    return [name for name in chosen if name in _undo]


def _installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # `google` itself is not there
        return False


def uninstrument() -> None:
    """Give the clients back as they were."""
    while _undo:
        _, undo = _undo.popitem()
        undo()
