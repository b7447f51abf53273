"""The web app: one page for every address of it, and the files that it is made of."""

from __future__ import annotations

import functools
import hashlib
import mimetypes
import time
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from hudtrace.store import queries
from hudtrace.viewer.endpoints import TRACE_ID
from hudtrace.viewer.preloading import hints
from hudtrace.viewer.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from hudtrace.viewer.desk import Viewer

FOLDER = Path(__file__).parent / "static"
#: In index.html, what stands for the version in addresses of files.
PLACEHOLDER = "/static/-/"
_BEFORE_LINKS = '<meta charset="utf-8">'
PAGES = (
    "/",
    "/jobs",
    "/job/{job_id:path}",
    "/traces",
    "/trace/{trace_id}",
    "/diff/{pair}",
    "/search",
    "/setup",
)
_NO_PAGES = ("/api/", "/jaeger/api/", "/static/", "/v1/")
_TYPES = {
    ".mjs": "text/javascript",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".json": "application/json",
    ".woff2": "font/woff2",
}
_FOREVER = "public, max-age=31536000, immutable"


class Pages:
    """The routes of the web app."""

    def __init__(self, viewer: Viewer) -> None:
        self._viewer = viewer
        anyone = viewer.options.allow_frame
        self._policy = "; ".join(
            (
                "default-src 'none'",
                "script-src 'self'",
                "style-src 'self'",
                "connect-src 'self'",
                "img-src 'self' data:",
                "font-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                f"frame-ancestors {'*' if anyone else chr(39) + 'none' + chr(39)}",
            )
        )

    @property
    def routes(self) -> list[Route]:
        """What the application serves of the web app."""
        return [
            Route("/static/{version}/{name:path}", self.file),
            Route("/favicon.ico", self.icon),
            Route("/t/{prefix}", self.short),
            *(Route(path, self.page) for path in PAGES),
        ]

    @property
    def rest(self) -> Route:
        """What is served of every other address."""
        return Route("/{path:path}", self.unknown)

    async def page(self, request: Request) -> Response:
        """Serve the one page, which finds out by its address what to show."""
        return self._index(request)

    async def unknown(self, request: Request) -> Response:
        """Answer what is no address: for a browser by the page, which says so."""
        path = request.url.path
        browsed = "text/html" in request.headers.get("accept", "")
        if browsed and not path.startswith(_NO_PAGES):
            return self._index(request, 404)
        raise Problem(404, "there is nothing at this address")

    async def short(self, request: Request) -> Response:
        """Lead on from the first digits of a trace id, if only one has them."""
        prefix = request.path_params["prefix"].lower()
        if not 0 < len(prefix) <= 32 or set(prefix) - set("0123456789abcdef"):
            raise Problem(404, f"{prefix[:80]!r} are no digits of a trace id")
        found = await self._viewer.readers.ask(
            lambda reading: queries.find_traces(reading.db, prefix, 2)
        )
        if len(found) == 1 or len(prefix) == 32:
            where = found[0] if found else TRACE_ID.read(prefix)
            query = f"?{request.url.query}" if request.url.query else ""
            return RedirectResponse(f"/trace/{where}{query}", 302)
        return self._index(request)

    async def icon(self, _request: Request) -> Response:
        """Lead browsers that ask for it by themselves to the icon."""
        return RedirectResponse(f"/static/{version()}/favicon.svg", 302)

    async def file(self, request: Request) -> Response:
        """Serve a file of the app, for good if its version is the current one."""
        name, asked = request.path_params["name"], request.path_params["version"]
        path = _file(name)
        if path is None:
            raise Problem(404, f"the viewer has no file {name[:200]!r}")
        current = asked == version()
        found = path.stat()
        tag = f'"{found.st_mtime_ns:x}-{found.st_size:x}"'
        headers = {
            "cache-control": _FOREVER if current else "no-cache",
            "etag": tag,
            "last-modified": formatdate(found.st_mtime, usegmt=True),
        }
        if tag in request.headers.get("if-none-match", ""):
            return Response(status_code=304, headers=headers)
        kind = _TYPES.get(path.suffix) or mimetypes.guess_type(name)[0] or "text/plain"
        return Response(path.read_bytes(), headers=headers, media_type=kind)

    def _index(self, request: Request, status: int = 200) -> Response:
        index = FOLDER / "index.html"
        if not index.is_file():
            raise Problem(503, f"the web app is missing: there is no {index}")
        text = index.read_text("utf-8").replace(PLACEHOLDER, f"/static/{version()}/")
        view = request.query_params.get("view", "")
        links = hints(FOLDER, version(), request.url.path, view)
        text = text.replace(_BEFORE_LINKS, f"{_BEFORE_LINKS}{links}", 1)
        headers = {
            "content-security-policy": self._policy,
            "cache-control": "no-cache",
        }
        return Response(text, status, headers, "text/html")


def version() -> str:
    """Return what the files of the app have in their addresses; new when they change."""
    return _version(int(time.monotonic()))


@functools.lru_cache(maxsize=1)
def _version(_second: int) -> str:
    digest = hashlib.sha256()
    for path in sorted(FOLDER.rglob("*")):
        if path.is_file():
            found = path.stat()
            name = path.relative_to(FOLDER).as_posix()
            digest.update(f"{name} {found.st_size} {found.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:12]


def _file(name: str) -> Path | None:
    """Return the file of that name within the folder of the app, None for others."""
    if "\0" in name or "\\" in name:
        return None
    path = (FOLDER / name).resolve()
    inside = path.is_relative_to(FOLDER.resolve())
    hidden = any(part.startswith(".") for part in Path(name).parts)
    return path if inside and not hidden and path.is_file() else None
