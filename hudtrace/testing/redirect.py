"""Sends HTTP requests for one origin to another, below every client."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from importlib import import_module
from importlib.util import find_spec
from typing import Any

_LIBRARIES = ("httpx2", "httpx")


@contextlib.contextmanager
def redirect(origins: Mapping[str, str]) -> Iterator[None]:
    """Send requests for each origin in *origins* to the URL it maps to.

    Acts on the transports of httpx2 and httpx, whichever are installed, so
    that the clients above them are the real ones. Other origins are untouched.
    """
    undo: list[Callable[[], None]] = []
    try:
        for name in _LIBRARIES:
            if find_spec(name) is not None:
                undo += _patch(import_module(name), origins)
        yield
    finally:
        for step in reversed(undo):
            step()


def _patch(library: Any, origins: Mapping[str, str]) -> list[Callable[[], None]]:
    sync = library.HTTPTransport.handle_request
    async_ = library.AsyncHTTPTransport.handle_async_request

    def handle_request(self: Any, request: Any) -> Any:
        _move(library, request, origins)
        return sync(self, request)

    async def handle_async_request(self: Any, request: Any) -> Any:
        _move(library, request, origins)
        return await async_(self, request)

    library.HTTPTransport.handle_request = handle_request
    library.AsyncHTTPTransport.handle_async_request = handle_async_request

    def undo() -> None:
        library.HTTPTransport.handle_request = sync
        library.AsyncHTTPTransport.handle_async_request = async_

    return [undo]


def _move(library: Any, request: Any, origins: Mapping[str, str]) -> None:
    for origin, target in origins.items():
        old, new = library.URL(origin), library.URL(target)
        if (request.url.scheme, request.url.netloc) == (old.scheme, old.netloc):
            moved = request.url.copy_with(
                scheme=new.scheme, host=new.host, port=new.port
            )
            request.url = moved
            request.headers["host"] = moved.netloc.decode("ascii")
            return
