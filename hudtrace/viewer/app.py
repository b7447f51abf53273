"""The application: the gate, the web app, the API, and what others speak to it."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from hudtrace.errors import ConfigurationError
from hudtrace.viewer import jaeger_api, openapi, receiver
from hudtrace.viewer.api import ENDPOINTS
from hudtrace.viewer.desk import Desk, Viewer
from hudtrace.viewer.encoding import encode
from hudtrace.viewer.endpoints import ROOT, Endpoint
from hudtrace.viewer.events import CHANGES, EVENTS, event_routes
from hudtrace.viewer.gate import Gate
from hudtrace.viewer.links import Links
from hudtrace.viewer.live import Live
from hudtrace.viewer.nothing import EmptyStore
from hudtrace.viewer.options import ViewOptions
from hudtrace.viewer.pages import Pages
from hudtrace.viewer.problems import Problem
from hudtrace.viewer.reading import Readers, Reading
from hudtrace.viewer.receiver import Receiver

if TYPE_CHECKING:
    from starlette.requests import Request

_LEVEL = 4  # of gzip: most of the effect for little time
_SMALLEST = 1_000  # bytes that are worth it
_FOREVER = "private, max-age=31536000, immutable"


def create_app(options: ViewOptions) -> Starlette:
    """Return the ASGI application; in `app.state.viewer` is what is behind it."""
    empty = EmptyStore()
    viewer = Viewer(
        options,
        Readers(options.store, empty),
        Live(options.store, empty),
        Links(),
        None if options.read_only else Receiver(options.store),
        empty,
    )
    pages = Pages(viewer)
    app = Starlette(
        routes=[
            Route("/healthz", _health),
            Route(f"{ROOT}/openapi.json", _document),
            *event_routes(viewer),
            *(_route(viewer, endpoint) for endpoint in ENDPOINTS),
            *pages.routes,
            *_spoken(viewer),
            pages.rest,
        ],
        exception_handlers={
            Problem: _refused,
            HTTPException: _http,
            Exception: _broken,
        },
        lifespan=_lifespan,
    )
    app.router.redirect_slashes = False
    app.state.viewer = viewer
    app.add_middleware(GZipMiddleware, minimum_size=_SMALLEST, compresslevel=_LEVEL)
    app.add_middleware(Gate, viewer=viewer)
    return app


def _spoken(viewer: Viewer) -> list[Route]:
    """Return the routes of what others speak: OTLP, and the query API of Jaeger."""
    received = [] if viewer.receiver is None else receiver.routes(viewer.receiver)
    return [*received, *jaeger_api.routes(viewer)]


@contextlib.asynccontextmanager
async def _lifespan(app: Any) -> AsyncIterator[None]:
    """Watch the store while requests are answered."""
    viewer: Viewer = app.state.viewer
    await viewer.live.start()
    if viewer.receiver is not None:
        await asyncio.to_thread(_receive, viewer, viewer.receiver)
    try:
        yield
    finally:
        for each in (*viewer.closing, viewer.live, viewer.readers, viewer.empty):
            await asyncio.to_thread(each.close)


def _receive(viewer: Viewer, receiver: Receiver) -> None:
    """Begin to receive spans, if the store takes any: it can be read anyway."""
    options = viewer.options
    try:
        receiver.start()
    except (sqlite3.Error, OSError, ConfigurationError) as error:
        viewer.note_receivers(f"cannot write to the store: {error}")
        return
    viewer.closing.append(receiver)
    if options.otlp_grpc is not None:
        viewer.receivers.append(_receive_grpc(viewer, receiver))


def _receive_grpc(viewer: Viewer, receiver: Receiver) -> dict[str, Any]:
    """Also listen for OTLP over gRPC; return what to tell of it."""
    from hudtrace.viewer import otlp_grpc

    options = viewer.options
    port = options.otlp_grpc or 0
    try:
        server = otlp_grpc.serve(receiver, options.host, port, options.token)
    except (OSError, ConfigurationError) as error:
        return {"protocol": "grpc", "url": None, "state": str(error)}
    viewer.closing.insert(0, server)
    url = f"{viewer.url.rpartition(':')[0]}:{server.port}"
    return {"protocol": "grpc", "url": url, "state": "listening"}


def _route(viewer: Viewer, endpoint: Endpoint) -> Route:
    """Have *endpoint* answered in a thread, its answer made into JSON there, too."""

    async def respond(request: Request) -> Response:
        arguments = endpoint.read(request.path_params, request.query_params)

        def answer(reading: Reading) -> Response:
            found = endpoint.ask(Desk(viewer, reading), arguments)
            if isinstance(found, Response):
                return found
            return Response(encode(found), media_type="application/json")

        response = await viewer.readers.ask(answer)
        if endpoint.immutable:
            response.headers["cache-control"] = _FOREVER
        return response

    path = endpoint.path
    for place in endpoint.places:
        if place.pattern is None:  # may have slashes
            path = path.replace(f"{{{place.name}}}", f"{{{place.name}:path}}")
    return Route(f"{endpoint.root}{path}", respond, methods=["GET"])


async def _health(_request: Request) -> Response:
    return JSONResponse({"status": "ok"})


async def _document(_request: Request) -> Response:
    return JSONResponse(openapi.document([*ENDPOINTS, CHANGES, EVENTS]))


async def _refused(_request: Request, error: Any) -> Response:
    return Response(error.body, error.status, headers=error.headers)


async def _http(request: Request, error: Any) -> Response:
    said = {404: "there is nothing at this address"}.get(error.status_code)
    problem = Problem(
        error.status_code, said or str(error.detail), headers=error.headers
    )
    return await _refused(request, problem)


async def _broken(request: Request, error: Any) -> Response:
    kind = type(error).__name__
    problem = Problem(500, f"a fault of the viewer ({kind}); its log has the details")
    return await _refused(request, problem)
