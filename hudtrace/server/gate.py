"""Who may come in: the Host and Origin of browsers, the key, the size of the body."""

from __future__ import annotations

import hashlib
import hmac
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from hudtrace.server.errors import Refusal
from hudtrace.server.shapes import encode

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hudtrace.server.options import ServerOptions

OPEN_PATHS = frozenset({"/health"})  # without a key
_DRAINED = 64 * 1024 * 1024  # bytes of a too large body that are read and dropped


class Gate:
    """Middleware that refuses requests before anything else looks at them.

    *passed* is called for each that may come in.
    """

    def __init__(
        self, app: ASGIApp, options: ServerOptions, passed: Callable[[], None]
    ) -> None:
        self.app = app
        self._passed = passed
        self._hosts = options.hosts
        self._key = _digest(options.api_key) if options.api_key else None
        self._limit = options.max_body_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, its body read, or answer with an error."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        try:
            self._check_caller(headers)
            if path_of(scope) not in OPEN_PATHS:
                self._check_key(headers)
                self._passed()
            messages = await self._read(headers, receive)
        except Refusal as refusal:
            await refuse(refusal, send)
            return
        if messages is None:
            return  # gone before its request was complete

        async def replay() -> Message:
            return messages.popleft() if messages else await receive()

        if "content-type" not in headers:  # JSON is all that is ever sent
            kind = (b"content-type", b"application/json")
            scope = {**scope, "headers": [*scope["headers"], kind]}
        await self.app(scope, replay, send)

    def _check_caller(self, headers: Headers) -> None:
        """Refuse pages that have a browser call us under another name, or from afar."""
        host = headers.get("host", "").lower()
        if self._hosts is not None and _name(host) not in self._hosts:
            raise Refusal(
                403,
                "host_not_allowed",
                f"this server is not called {host!r}; allow the name by "
                f"allowed_hosts=[...]",
            )
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != host:
            raise Refusal(
                403,
                "origin_not_allowed",
                f"pages of {origin!r} may not call this server",
            )

    def _check_key(self, headers: Headers) -> None:
        if self._key is None:
            return
        scheme, _, key = headers.get("authorization", "").partition(" ")
        # Digests have one length, whatever was sent.
        right = hmac.compare_digest(_digest(key.strip()), self._key)
        if not right or scheme.lower() != "bearer":
            raise Refusal(
                401,
                "invalid_api_key",
                "missing or wrong key; send 'Authorization: Bearer <api_key>'",
            )

    async def _read(self, headers: Headers, receive: Receive) -> deque[Message] | None:
        """Return the messages of the body; None if the client leaves meanwhile."""
        declared = headers.get("content-length", "0")
        size, total = 0, int(declared) if declared.isdecimal() else 0
        pieces: deque[Message] = deque()
        while True:
            message = await receive()
            if message["type"] != "http.request":
                return None
            size += len(message.get("body", b""))
            if max(size, total) > self._limit:
                pieces.clear()  # read on, or the client does not see the answer
            else:
                pieces.append(message)
            if size > _DRAINED or not message.get("more_body", False):
                break
        if max(size, total) > self._limit:
            raise Refusal(
                413,
                "request_too_large",
                f"the body is larger than {self._limit} bytes",
            )
        return pieces


def path_of(scope: Scope) -> str:
    """Return the path within our application, which may be mounted in another."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path


async def refuse(refusal: Refusal, send: Send) -> None:
    """Answer with an error, outside of the application."""
    body = encode(refusal.body)
    headers = {
        "content-type": "application/json",
        "content-length": str(len(body)),
        **refusal.headers,
    }
    raw: list[Any] = [(k.encode(), v.encode()) for k, v in headers.items()]
    await send(
        {"type": "http.response.start", "status": refusal.status, "headers": raw}
    )
    await send({"type": "http.response.body", "body": body, "more_body": False})


def _digest(key: str) -> bytes:
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).digest()


def _name(host: str) -> str:
    """Return the name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
