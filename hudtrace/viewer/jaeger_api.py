"""Jaeger's query API over the store, for Grafana, Jaeger's page and its other clients.

Versions 2 and 3, answered as Jaeger 2.13 answers; the differences are in the tests.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from sqlite3 import Connection
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from starlette.responses import Response
from starlette.routing import Route

from hudtrace.interchange import jaeger, jaeger_v3
from hudtrace.interchange.jaeger_model import trace_id_text
from hudtrace.interchange.stored import request_of
from hudtrace.viewer import jaeger_params as params
from hudtrace.viewer import jaeger_search, jaeger_services
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.jaeger_params import MOST_TRACES, Search, Unreadable
from hudtrace.viewer.problems import Problem

if TYPE_CHECKING:
    from starlette.requests import Request

    from hudtrace.viewer.desk import Viewer
    from hudtrace.viewer.reading import Reading

Json = dict[str, Any]
Answer = Callable[[Connection, "Request"], Json]
_NOT_FOUND = "trace not found"
_DEPTH = "search depth must be greater than 0 and less than max traces"
_AT_ONCE = 50  # traces that are read together


class _Refused(Exception):
    """A request that is answered with an error."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(said)
        self.status = status


def routes(viewer: Viewer) -> list[Route]:
    """Return the routes, at the root and below `/jaeger`."""
    return [
        Route(f"{base}/api{path}", _endpoint(viewer, answer, wrong), methods=["GET"])
        for base in ("", "/jaeger")
        for wrong, answers in ((_error, _ANSWERS), (_error_v3, _ANSWERS_V3))
        for path, answer in answers.items()
    ]


def _endpoint(viewer: Viewer, answer: Answer, wrong: Callable[[int, str], Json]) -> Any:
    async def respond(request: Request) -> Response:
        def ask(reading: Reading) -> Response:
            try:
                return _response(
                    request, answer(Desk(viewer, reading).index.db, request)
                )
            except Unreadable as error:
                return _response(request, wrong(400, str(error)), 400)
            except _Refused as error:
                return _response(request, wrong(error.status, str(error)), error.status)

        try:
            return await viewer.readers.ask(ask)
        except Problem as problem:  # of the store
            refused = wrong(problem.status, problem.detail)
            return _response(request, refused, problem.status)

    return respond


def _response(request: Request, data: Json, status: int = 200) -> Response:
    pretty = request.query_params.get("prettyPrint", "false") not in ("", "false")
    indent, separators = (4, None) if pretty else (None, (",", ":"))
    text = json.dumps(data, ensure_ascii=False, indent=indent, separators=separators)
    return Response(
        text, status, {"cache-control": "no-store"}, media_type="application/json"
    )


# Version 2 ------------------------------------------------------------------------


def _envelope(data: Any, total: int = 0, errors: list[Json] | None = None) -> Json:
    return {"data": data, "total": total, "limit": 0, "offset": 0, "errors": errors}


def _error(status: int, said: str) -> Json:
    return _envelope(None, errors=[{"code": status, "msg": said}])


def _services(db: Connection, request: Request) -> Json:
    found = jaeger_services.services(db)
    return _envelope(found, len(found))


def _operations(db: Connection, request: Request) -> Json:
    service = request.query_params.get("service", "")
    if not service:
        raise Unreadable("parameter 'service' is required")
    kind = request.query_params.get("spanKind", "")
    found = [
        {"name": name, "spanKind": own}
        for name, own in jaeger_services.operations(db, service)
        if kind in ("", own)
    ]
    return _envelope(found, len(found))


def _operation_names(db: Connection, request: Request) -> Json:
    service = unquote_plus(request.path_params["service"])
    names = {name for name, _ in jaeger_services.operations(db, service)}
    return _envelope(sorted(names), len(names))


def _trace(db: Connection, request: Request) -> Json:
    wanted = params.trace_id(request.path_params["trace_id"])
    params.check_times(request.query_params)
    raw = params.flag(request.query_params, "raw")
    found = jaeger.traces(request_of(db, [wanted]), raw=raw)
    if not found:
        raise _Refused(404, _NOT_FOUND)
    return _envelope(found)


def _traces(db: Connection, request: Request) -> Json:
    query = request.query_params
    search = params.search(query)
    raw = params.flag(query, "raw")
    if "traceID" in query:
        return _traces_by_id(db, query.getlist("traceID"), raw)
    ids = _find(db, search)
    return _envelope([trace for one in _read(db, ids, raw) for trace in one])


def _traces_by_id(db: Connection, given: list[str], raw: bool) -> Json:
    try:
        wanted = [params.trace_id(text) for text in given]
    except Unreadable as error:
        raise Unreadable(f"cannot parse traceID param: {error}") from None
    known = {trace["traceID"]: trace for one in _read(db, wanted, raw) for trace in one}
    shown = [trace_id_text(bytes.fromhex(each)) for each in wanted]
    errors = [{"msg": _NOT_FOUND, "traceID": id} for id in shown if id not in known]
    return _envelope([known[id] for id in shown if id in known], errors=errors or None)


def _read(db: Connection, ids: list[str], raw: bool) -> Iterator[list[Json]]:
    """Yield traces in the order of *ids*, some at a time."""
    for start in range(0, len(ids), _AT_ONCE):
        some = ids[start : start + _AT_ONCE]
        order = {trace_id_text(bytes.fromhex(id)): at for at, id in enumerate(some)}
        found = jaeger.traces(request_of(db, some), raw=raw)
        yield sorted(found, key=lambda trace: order[trace["traceID"]])


def _find(db: Connection, search: Search) -> list[str]:
    if not 0 < search.limit <= MOST_TRACES:
        raise _Refused(500, _DEPTH)
    return jaeger_search.find(db, search)


def _dependencies(db: Connection, request: Request) -> Json:
    start, end = params.period(request.query_params)
    service = request.query_params.get("service", "")
    return _envelope(
        [
            {"parent": parent, "child": child, "callCount": count}
            for parent, child, count in jaeger_services.dependencies(db, start, end)
            if service in ("", parent, child)
        ]
    )


def _metrics(db: Connection, request: Request) -> Json:
    raise _Refused(501, "metrics querying is currently disabled")


# Version 3 ------------------------------------------------------------------------


def _error_v3(status: int, said: str) -> Json:
    return {"error": {"httpCode": status, "message": said}}


def _services_v3(db: Connection, request: Request) -> Json:
    return {"services": jaeger_services.services(db)}


def _operations_v3(db: Connection, request: Request) -> Json:
    query = request.query_params
    kind, service = query.get("span_kind", ""), query.get("service", "")
    return {
        "operations": [
            {key: value for key, value in (("name", name), ("spanKind", own)) if value}
            for name, own in jaeger_services.operations(db, service)
            if kind in ("", own)
        ]
    }


def _trace_v3(db: Connection, request: Request) -> Json:
    try:
        wanted = params.trace_id(request.path_params["trace_id"])
    except Unreadable as error:
        raise Unreadable(f"malformed parameter trace_id: {error}") from None
    for name in ("start_time", "end_time"):
        params.v3_moment(request.query_params, name)
    return _result(db, [wanted], params.v3_flag(request.query_params, "raw_traces"))


def _traces_v3(db: Connection, request: Request) -> Json:
    search = params.search_v3(request.query_params)
    raw = params.v3_flag(request.query_params, "query.raw_traces")
    return _result(db, _find(db, search), raw)


def _result(db: Connection, ids: list[str], raw: bool) -> Json:
    found: list[Json] = []
    for start in range(0, len(ids), _AT_ONCE):
        request = request_of(db, ids[start : start + _AT_ONCE])
        found += jaeger_v3.resource_spans(request, raw=raw)
    if not found:
        raise _Refused(404, "No traces found")
    return {"result": {"resourceSpans": found}}


def _summaries(db: Connection, request: Request) -> Json:
    ids = _find(db, params.search_v3(request.query_params))
    return {"summaries": jaeger_services.summaries(db, ids)}


_ANSWERS: dict[str, Answer] = {
    "/services": _services,
    "/services/{service:path}/operations": _operation_names,
    "/operations": _operations,
    "/traces": _traces,
    "/traces/{trace_id}": _trace,
    "/dependencies": _dependencies,
    "/metrics/{name}": _metrics,
}
_ANSWERS_V3: dict[str, Answer] = {
    "/v3/services": _services_v3,
    "/v3/operations": _operations_v3,
    "/v3/traces": _traces_v3,
    "/v3/traces/{trace_id}": _trace_v3,
    "/v3/trace-summaries": _summaries,
}
