"""Who may come in: the Host and Origin of browsers, the methods, the token."""

from __future__ import annotations

import hashlib
import hmac
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders

from hudtrace.viewer.options import address_of
from hudtrace.viewer.problems import Problem, answer

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from hudtrace.viewer.desk import Viewer

OPEN_PATHS = frozenset({"/healthz"})  # without a token
#: The only paths that take something, all of them of OTLP.
WRITTEN_TO = frozenset({"/v1/traces", "/v1/logs", "/v1/metrics"})
_READING = frozenset({"GET", "HEAD"})


class Gate:
    """Middleware that refuses requests before anything else looks at them.

    A page of another site can have a browser call us. It cannot read the answer, but
    for a name that it has made to mean this machine (DNS rebinding): so only known
    names are answered. Nothing may be written from such a page, nor be shown in it.
    """

    def __init__(self, app: ASGIApp, viewer: Viewer) -> None:
        self.app = app
        self._viewer = viewer
        options = viewer.options
        self._hosts = options.hosts
        self._numbers = not options.is_local  # an IP address is nobody's to redirect
        self._frames = options.allow_frame
        self._token = options.token

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer with an error or a redirection."""
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        headers = Headers(scope=scope)
        try:
            self._check_host(headers)
            self._check_method(scope)
            self._check_origin(headers, scope["method"])
            moved = self._check_token(scope, headers)
        except Problem as problem:
            await answer(problem, send, bodyless=scope["method"] == "HEAD")
            return
        if moved is not None:
            await _redirect(moved, _cookie_name(headers), self._cookie, send)
            return
        await self.app(scope, receive, self._guarded(send))

    def _check_host(self, headers: Headers) -> None:
        host = headers.get("host", "").lower()
        name = _name(host)
        if self._hosts is None or name in self._hosts:
            return
        if self._numbers and address_of(name) is not None:
            return
        raise Problem(
            403,
            f"the viewer is not called {host[:200]!r}; if that is its name, say "
            f"--trusted-host {name[:200]}",
            title="Unknown host name",
        )

    def _check_method(self, scope: Scope) -> None:
        method, path = scope["method"], scope["path"]
        beside = (scope.get("server") or ("", None))[1] == self._viewer.otlp_port
        if beside and path not in WRITTEN_TO | OPEN_PATHS:
            raise Problem(404, f"only OTLP here; the viewer is {self._viewer.url}")
        if path in WRITTEN_TO and self._viewer.options.read_only:
            raise Problem(403, "the viewer has been started with --read-only")
        if method == "POST" and path in WRITTEN_TO:
            return
        if method in _READING and path not in WRITTEN_TO:
            return
        allowed = "POST" if path in WRITTEN_TO else "GET, HEAD"
        raise Problem(
            405, f"this address takes {allowed} only", headers={"allow": allowed}
        )

    def _check_origin(self, headers: Headers, method: str) -> None:
        """Refuse what another page asks for, but for a link that is followed."""
        host, origin = headers.get("host", "").lower(), headers.get("origin")
        if origin is not None and _netloc(origin) != host:
            raise Problem(403, f"pages of {origin[:200]!r} may not call the viewer")
        if headers.get("sec-fetch-site") != "cross-site":
            return
        followed = headers.get("sec-fetch-mode") == "navigate" and method == "GET"
        framed = headers.get("sec-fetch-dest") in ("iframe", "frame", "object", "embed")
        if not followed or (framed and not self._frames):
            raise Problem(
                403, "other sites' pages may link to the viewer, nothing else"
            )

    def _check_token(self, scope: Scope, headers: Headers) -> str | None:
        """Check the caller's token; return where to go on, if it was in the address."""
        if self._token is None or scope["path"] in OPEN_PATHS:
            return None
        query = scope["query_string"].decode("latin-1")
        pairs = parse_qsl(query, keep_blank_values=True)
        given = [value for name, value in pairs if name == "token"]
        if given and scope["method"] in _READING:
            if not _same(given[-1], self._token):
                raise _unknown_token()
            rest = urlencode([pair for pair in pairs if pair[0] != "token"])
            # One slash: two would be another site.
            path = "/" + quote(scope["path"].lstrip("/\\"), safe="/.~")
            return f"{path}?{rest}" if rest else path
        scheme, _, token = headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer" and _same(token.strip(), self._token):
            return None
        # A cookie comes with whatever a browser is made to send.
        if scope["method"] in _READING and self._has_cookie(headers):
            return None
        raise _unknown_token()

    def _has_cookie(self, headers: Headers) -> bool:
        try:
            jar: Any = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return False
        found = jar.get(_cookie_name(headers))
        return found is not None and _same(found.value, self._cookie)

    @property
    def _cookie(self) -> str:
        """What the browser keeps: it is told by the token, not the other way round."""
        return hashlib.sha256(f"hudtrace viewer {self._token}".encode()).hexdigest()

    def _guarded(self, send: Send) -> Send:
        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("x-content-type-options", "nosniff")
                headers.setdefault("referrer-policy", "same-origin")
                headers.setdefault("cross-origin-resource-policy", "same-origin")
                headers.setdefault("cache-control", "no-store")
            await send(message)

        return guarded


async def _redirect(where: str, cookie: str, value: str, send: Send) -> None:
    """Send the browser on, with the token in a cookie in place of the address."""
    jar = f"{cookie}={value}; Path=/; HttpOnly; SameSite=Lax"
    headers = {
        "location": where,
        "set-cookie": jar,
        "cache-control": "no-store",
        "referrer-policy": "no-referrer",
        "content-length": "0",
    }
    raw = [(name.encode(), text.encode("latin-1")) for name, text in headers.items()]
    await send({"type": "http.response.start", "status": 303, "headers": raw})
    await send({"type": "http.response.body", "body": b""})


def _unknown_token() -> Problem:
    return Problem(
        401,
        "missing or wrong token; open the address that 'hudtrace view' has printed, or "
        "send 'Authorization: Bearer <token>'",
        headers={"www-authenticate": "Bearer"},
    )


def _cookie_name(headers: Headers) -> str:
    """Name the cookie by the port: browsers keep those of all ports together."""
    port = headers.get("host", "").rpartition(":")[2]
    return f"hudtrace_{port if port.isdecimal() else 80}"


def _same(given: str, wanted: str) -> bool:
    # Digests have one length, whatever was sent.
    return hmac.compare_digest(_digest(given), _digest(wanted))


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()


def _netloc(origin: str) -> str:
    """Return the host and port of an Origin header, empty if it has none."""
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""


def _name(host: str) -> str:
    """Return the name in a Host header, without the port."""
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
