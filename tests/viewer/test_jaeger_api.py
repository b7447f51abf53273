"""Jaeger's query API, as its clients ask it; `tests/backends` compares it with Jaeger."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from foreign_spans import SHOP, library, odd_spans, span
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
)
from viewer_kit import Served, recording, until

from hudtrace.index import open_index
from hudtrace.viewer import jaeger_search
from hudtrace.viewer.jaeger_params import Search

PROTOBUF = {"content-type": "application/x-protobuf"}
NOW = time.time_ns() - 60 * 10**9


def send(served: Served, request: Any) -> None:
    """Send spans over OTLP, and wait until they can be found."""
    body = request.SerializeToString()
    answer = httpx.post(f"{served.origin}/v1/traces", content=body, headers=PROTOBUF)
    assert answer.status_code == 200, answer.text


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A viewer with spans of several services."""
    with Served(tmp_path_factory.mktemp("shop") / "traces.db") as served:
        send(served, odd_spans(NOW))
        until(lambda: served.get("/api/services").json()["data"])
        yield served


def test_grafana_looks_around(shop: Served) -> None:
    """What its data source asks, in order: health, services, operations, search, a trace."""
    # As grafana-jaeger-datasource sends it; old versions replace the path, new ones add to it.
    for base in ("", "/jaeger"):
        services = shop.get(f"{base}/api/services").json()
        assert services["errors"] is None
        assert services["total"] == len(services["data"])
        assert {"shop", "db"} <= set(services["data"])
        operations = shop.get(f"{base}/api/services/shop/operations").json()
        assert "GET /cart" in operations["data"]
        parameters = {
            "service": "shop",
            "operation": "GET /cart",
            "tags": '{"http.status_code":"200"}',
            "minDuration": "1.2s",
            "maxDuration": "10m",
            "limit": "20",
            "start": str(NOW // 1000 - 3_600_000_000),
            "end": str(NOW // 1000 + 3_600_000_000),
            "lookback": "custom",
        }
        nothing = shop.get(f"{base}/api/traces", params=parameters).json()
        assert nothing == {
            "data": [],
            "total": 0,
            "limit": 0,
            "offset": 0,
            "errors": None,
        }
        parameters["tags"] = '{"int":"7"}'
        (found,) = shop.get(f"{base}/api/traces", params=parameters).json()["data"]
        assert found["traceID"] == SHOP
        known = set(found["processes"])
        assert found["spans"]
        for each in found["spans"]:
            assert each["processID"] in known
            for reference in each["references"]:
                assert reference.keys() == {"refType", "traceID", "spanID"}
        # With "trace ID time params" the times are in ms, and say nothing.
        path = f"{base}/api/traces/{SHOP}?start={NOW // 10**6}&end={NOW // 10**6}"
        assert shop.get(path).json()["data"] == [found]
        calls = shop.get(
            f"{base}/api/dependencies?endTs={time.time_ns() // 10**6}&lookback=86400000"
        ).json()
        assert {"parent": "shop", "child": "db", "callCount": 1} in calls["data"]


def test_grafana_looks_around_by_version_3(shop: Served) -> None:
    """The same with the switch `jaegerEnableGrpcEndpoint` on."""
    assert "shop" in shop.get("/api/v3/services").json()["services"]
    operations = shop.get("/api/v3/operations?service=shop").json()["operations"]
    assert {"name": "GET /cart", "spanKind": "server"} in operations
    times = "start_time=2026-01-01T00:00:00.000000001Z&end_time=2100-01-01T00:00:00Z"
    found = shop.get(f"/api/v3/traces/{SHOP}?{times}").json()["result"]["resourceSpans"]
    spans = [s for r in found for lib in r["scopeSpans"] for s in lib["spans"]]
    (root,) = [each for each in spans if "parentSpanId" not in each]
    assert root["traceId"] == SHOP
    assert root["startTimeUnixNano"] == str(NOW)
    assert root["kind"] == 2


@pytest.mark.parametrize("style", ["snake", "camel"])
def test_the_page_of_jaeger_lists_summaries(shop: Served, style: str) -> None:
    """Newer pages ask for figures of traces only, in names of either style."""
    names = {
        "camel": ("serviceName", "startTimeMin", "startTimeMax", "searchDepth", "attributes"),
        "snake": ("service_name", "start_time_min", "start_time_max", "num_traces", "attributes"),
    }  # fmt: skip
    values = ("db", "2026-01-01T00:00:00.5Z", "2100-01-01T00:00:00+01:00", "20", '{"db.rows":"5"}')  # fmt: skip
    query = {
        f"query.{name}": value for name, value in zip(names[style], values, strict=True)
    }
    (summary,) = shop.get("/api/v3/trace-summaries", params=query).json()["summaries"]
    services = summary.pop("services")
    assert {"name": "db", "spanCount": 2, "errorSpanCount": 1} in services
    assert sum(each["spanCount"] for each in services) == summary["spanCount"]
    assert summary == {
        "traceId": SHOP,
        "rootServiceName": "shop",
        "rootOperationName": "GET /cart",
        "minStartTimeUnixNano": str(NOW - 500_000_000),
        "maxEndTimeUnixNano": str(NOW + 2_400_000_000),
        "spanCount": 15,
        "errorSpanCount": 1,
        "orphanSpanCount": 1,
    }
    query = {
        key: value.replace("5}", "6}").replace('"5"', '"6"')
        for key, value in query.items()
    }
    assert shop.get("/api/v3/trace-summaries", params=query).json() == {"summaries": []}


def test_a_service_may_have_any_name(
    view: Callable[..., Served], tmp_path: Path
) -> None:
    """Slashes, spaces and other scripts in the path of its operations."""
    name = "a/b c?d%e я"
    with Served(tmp_path / "t.db") as served:
        request = ExportTraceServiceRequest()
        span(library(request, {"service.name": name}), 1, 0, "op/1", NOW, 5)
        send(served, request)
        until(lambda: served.get("/api/services").json()["data"] == [name])
        path = f"/api/services/{quote(name, safe='')}/operations"
        assert served.get(path).json()["data"] == ["op/1"]


def test_a_trace_that_runs_has_its_ended_spans(tmp_path: Path) -> None:
    """No trace is without a span: clients read the first one of each."""
    store = tmp_path / "t.db"
    with Served(store) as served, recording(store) as running:
        url = f"/api/traces/{running.trace}"
        assert served.get(url).status_code == 404
        running.step()
        until(lambda: served.api(f"/trace/{running.trace}")["state"] == "running")
        until(lambda: served.get(url).status_code == 200)
        (found,) = served.get(url).json()["data"]
        assert found["spans"]
        assert all(each["references"] for each in found["spans"]), "the root runs"
        running.step()
        running.step()
        running.communicate(timeout=30)
        until(lambda: not all(each["references"] for each in spans_of(served, url)))
        until(lambda: served.get("/api/traces?service=hudtrace").json()["data"])
        for trace in served.get("/api/traces?service=hudtrace").json()["data"]:
            assert trace["spans"]


def spans_of(served: Served, url: str) -> Any:
    return served.get(url).json()["data"][0]["spans"]


def test_before_there_is_a_store_there_is_nothing(
    view: Callable[..., Served], tmp_path: Path
) -> None:
    """An empty list, not an error: the health check of a data source passes."""
    served = view(tmp_path / "none.db", read_only=True)
    assert served.get("/api/services").json()["data"] == []
    assert served.get("/api/traces?service=x").json()["data"] == []
    assert served.get("/api/dependencies").json()["data"] == []
    assert served.get("/api/v3/services").json() == {"services": []}


def test_a_store_that_cannot_be_read_is_an_error_of_jaeger(
    view: Callable[..., Served], tmp_path: Path
) -> None:
    """Clients find the reason where Jaeger would put it."""
    store = tmp_path / "t.db"
    with contextlib.closing(sqlite3.connect(store)) as db:
        db.execute("PRAGMA user_version = 99")
    served = view(store, read_only=True)
    answer = served.get("/api/services")
    assert answer.status_code == 503
    (error,) = answer.json()["errors"]
    assert error["code"] == 503
    assert "has version 99" in error["msg"]
    answer = served.get("/api/v3/services")
    assert answer.status_code == 503
    assert answer.json() == {"error": {"httpCode": 503, "message": error["msg"]}}


def test_traces_are_listed_newest_first(shop: Served) -> None:
    """A search with a limit has the traces that began last."""
    request = ExportTraceServiceRequest()
    many = library(request, {"service.name": "many"})
    ids = [f"{number:032x}" for number in range(1, 40)]
    for number, trace_id in enumerate(ids):
        span(many, 1, 0, "op", NOW + number * 10**6, 1000, trace_id=trace_id)
    send(shop, request)
    until(lambda: "many" in shop.get("/api/services").json()["data"])
    until(lambda: len(shop.get("/api/traces?service=many").json()["data"]) == 39)
    found = shop.get("/api/traces?service=many&limit=5").json()["data"]
    assert [f"{int(trace['traceID'], 16):032x}" for trace in found] == ids[:-6:-1]


def test_a_search_does_not_read_all_spans(tmp_path: Path) -> None:
    """Of a trace outside of the period no span is looked at."""
    store = tmp_path / "t.db"
    with Served(store) as served:
        steps = []
        for size in (100, 2000):
            request = ExportTraceServiceRequest()
            for number in range(size):
                service = library(request, {"service.name": f"s{number % 2}"})
                start = NOW - number * 10**9
                trace_id = f"{size:08x}{number:024x}"
                span(service, 1, 0, "op", start, 1000, trace_id=trace_id)
                span(service, 2, 1, "in", start, 1000, trace_id=trace_id)
            send(served, request)
            steps.append(steps_of_a_search(store, NOW - 20 * 10**9))
    assert (steps[1] - steps[0]) / 2000 < 10, steps


def steps_of_a_search(store: Path, start: int) -> int:
    """Return how many steps SQLite makes for a search."""
    with open_index(store) as index:
        index.catch_up()
        steps = [0]

        def step() -> None:
            steps[0] += 1

        index.db.set_progress_handler(step, 1)
        search = Search(
            "s1", "op", start, NOW + 10**9, 0, 0, 100, {"otel.scope.name": "lib"}
        )
        assert len(jaeger_search.find(index.db, search)) >= 10
        return steps[0]


def test_an_answer_can_be_read_by_people(shop: Served) -> None:
    """`prettyPrint` makes lines of it, with the same in them."""
    path = f"/api/traces/{SHOP}"
    pretty = shop.get(f"{path}?prettyPrint=true")
    assert pretty.text.startswith('{\n    "data": [\n')
    assert pretty.json() == shop.get(path).json()
    assert json.loads(shop.get(f"{path}?prettyPrint=false").text) == pretty.json()


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api/traces", {"service": "shop", "start": -(2**63), "end": 2**63 - 1}),
        ("/api/traces", {"service": "shop", "minDuration": "2562047h"}),
        ("/api/traces", {"service": "shop", "tags": '{"\\ud800":"\\ud800","":"","\\u0000":""}'}),
        ("/api/traces", {"service": "\0", "operation": "\0"}),
        ("/api/dependencies", {"endTs": 2**63 - 1, "lookback": 2**63 - 1}),
        ("/api/dependencies", {"endTs": -1, "lookback": -1}),
        (
            "/api/v3/trace-summaries",
            {
                "query.start_time_min": "0001-01-01T00:00:00Z",
                "query.start_time_max": "9999-12-31T23:59:59.9999999999Z",
                "query.num_traces": "5",
            },
        ),
    ],
    ids=str,
)  # fmt: skip
def test_extremes_are_answered(shop: Served, path: str, parameters: Any) -> None:
    """Times beyond what a column holds, and texts that are no characters."""
    assert shop.get(path, params=parameters).status_code in (200, 404)
