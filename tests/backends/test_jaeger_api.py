"""Our query API beside that of a real Jaeger which has the same spans.

The answers are the same but for this, which is taken out before they are compared:

- order: of traces, services and operations, and of spans in a trace, of which Jaeger
  has none; and with it the numbers of processes. Ours are in order.
- The Jaeger in memory forgets the URLs of schemas, which we have in version 3.
- Errors have the type `application/json`, where Jaeger says `text/plain`; so has all
  of version 3.
- Jaeger counts calls of a service to itself in memory, and not on disk; nor do we.
- Jaeger answers null for a list of no services in memory, and [] on disk, as we do.
- Jaeger on disk does not take spans with a tag of 65,000 bytes and more.

And this is not as in Jaeger's memory, but as on disk: tags that it shows but that are
no attributes (`error`, `span.kind`, `otel.status_code`, `event`) can be searched.
"""

from __future__ import annotations

import contextlib
import json
import math
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import httpx
import pytest
from foreign_spans import SHOP, SHORT, odd_spans, random_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from viewer_kit import HERE, Served, python, until

from hudtrace.interchange import jaeger
from hudtrace.interchange.jaeger import from_jaeger
from hudtrace.interchange.stored import request_of
from hudtrace.store.store import read_only

PROTOBUF = {"content-type": "application/x-protobuf"}
NOW = time.time_ns() - 60 * 10**9
SHOP_TAGS = (
    {"db.rows": "5"},
    {"db.rows": "6"},
    {"db.rows": "5", "exception.type": "E"},
    {"exception.type": "E"},
    {"service.version": "2"},
    {"team": "carts"},
    {"team": "carts", "yes": "true", "int": "7"},
    {"team": "carts", "db.rows": "5"},
    {"no": "false"},
    {"no": "true"},
    {"float": "0.5"},
    {"float.whole": "1"},
    {"float.whole": "1.0"},
    {"float.small": "1e-7"},
    {"float.large": "1e+21"},
    {"int.largest": str(2**63 - 1)},
    {"bytes": "AP8Q"},
    {"list": '["a","b"]'},
    {"list": "a"},
    {"list.empty": "[]"},
    {"map.empty": "{}"},
    {"null": ""},
    {"text.0": ""},
    {"text.2": "Grüße 😀"},
    {"ключ 🔑": "unicode key"},
    {"nothing": "nothing"},
)


class Both:
    """A Jaeger and a viewer with the same spans."""

    def __init__(self, jaeger: Any, viewer: Served) -> None:
        self.jaeger = jaeger
        self.viewer = viewer
        self.traces: list[str] = []
        self.client = httpx.Client(timeout=60)

    def ask(self, path: str, **parameters: Any) -> tuple[Any, Any]:
        """Return Jaeger's answer and ours, which have the same status."""
        query = f"?{urlencode(parameters, doseq=True)}" if parameters else ""
        theirs = self.client.get(f"{self.jaeger.ui}{path}{query}")
        ours = self.client.get(f"{self.viewer.origin}{path}{query}")
        assert ours.status_code == theirs.status_code, f"{theirs.text}\n{ours.text}"
        assert ours.headers["content-type"] == "application/json"
        return theirs.json(), ours.json()


def all_of(store: Path) -> Any:
    """Return every span of a store."""
    db = read_only(store)
    rows = db.execute("SELECT DISTINCT trace_id FROM spans").fetchall()
    request = request_of(db, [key.hex() for (key,) in rows])
    db.close()
    return request


def made_at_random(seed: int) -> Any:
    """Return random spans of today."""
    request = random_spans(seed)
    dice = random.Random(seed)
    for process in request.resource_spans:
        without_what_breaks_jaeger(process.resource.attributes)
        for scope_spans in process.scope_spans:
            without_what_breaks_jaeger(scope_spans.scope.attributes)
            for span in scope_spans.spans:
                length = span.end_time_unix_nano - span.start_time_unix_nano
                span.trace_id = seed.to_bytes(4, "big") * 3 + span.trace_id[-4:]
                span.start_time_unix_nano = NOW - dice.randrange(10**9)
                span.end_time_unix_nano = max(span.start_time_unix_nano + length, 0)
                for part in (span, *span.events, *span.links):
                    without_what_breaks_jaeger(part.attributes)
    return request


def without_what_breaks_jaeger(attributes: Any) -> None:
    """Take out numbers that JSON has not, and warnings of its own that are no list."""
    kept = [
        type(pair).FromString(pair.SerializeToString())
        for pair in attributes
        if not math.isinf(pair.value.double_value)
        and (pair.key != "@jaeger@warnings" or pair.value.HasField("array_value"))
    ]
    del attributes[:]
    attributes.extend(kept)


def send(url: str, request: Any, client: httpx.Client) -> None:
    """Send spans over OTLP."""
    body = request.SerializeToString()
    answer = client.post(f"{url}/v1/traces", content=body, headers=PROTOBUF)
    assert answer.status_code == 200, answer.text
    said = ExportTraceServiceResponse.FromString(answer.content)
    assert said.partial_success.rejected_spans == 0, said


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Evals of ours, with conversations, errors, pictures and a late verdict."""
    path = tmp_path_factory.mktemp("evals") / "traces.db"
    with python(path, str(HERE / "recording.py"), "store") as running:
        _, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    return path


@pytest.fixture(scope="module")
def viewer(store: Path) -> Iterator[Served]:
    """A viewer with evals of ours and spans of others."""
    with Served(store) as served:
        with httpx.Client(timeout=60) as client:
            send(served.origin, odd_spans(NOW), client)
            for seed in range(40):
                send(served.origin, made_at_random(seed), client)
        yield served


@pytest.fixture(scope="module")
def both(viewer: Served) -> Iterator[Callable[[Any], Both]]:
    """Send to a Jaeger what the viewer has."""
    request = all_of(viewer.viewer.options.store)
    ids = {
        span.trace_id.hex()
        for process in request.resource_spans
        for scope_spans in process.scope_spans
        for span in scope_spans.spans
    }
    until(lambda: len(viewer.get("/api/services").json()["data"]) > 5)

    def make(jaeger: Any) -> Both:
        made = Both(jaeger, viewer)
        stack.callback(made.client.close)
        for process in request.resource_spans:
            one = ExportTraceServiceRequest(resource_spans=[process])
            send(jaeger.http, one, made.client)
        made.traces = sorted(ids)
        # Not by version 3, which changes in Jaeger's memory what it answers with.
        addresses = [f"{jaeger.ui}/api/traces/{trace_id}" for trace_id in made.traces]
        get = made.client.get
        until(lambda: all(get(url).status_code == 200 for url in addresses))
        time.sleep(0.5)  # for the last batch
        return made

    with contextlib.ExitStack() as stack:
        yield make


@pytest.fixture(scope="module")
def jaeger_and_us(jaeger_in_memory: Any, both: Callable[[Any], Both]) -> Both:
    """A Jaeger that keeps spans as they came, and a viewer with the same."""
    return both(jaeger_in_memory)


@pytest.fixture(scope="module")
def jaeger_shipped_and_us(jaeger_on_disk: Any, both: Callable[[Any], Both]) -> Both:
    """A Jaeger with the shipped configuration, and a viewer with the same spans."""
    return both(jaeger_on_disk)


def differences(ours: Any, theirs: Any, place: str = "") -> Iterator[str]:
    """Yield where two answers differ."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in ours.keys() | theirs.keys():
            if key not in ours or key not in theirs:
                yield f"{place}.{key} is {'not ours' if key in theirs else 'ours only'}"
            else:
                yield from differences(ours[key], theirs[key], f"{place}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            yield f"{place}: {ours} is not {theirs}"
            return
        for number, (one, other) in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(one, other, f"{place}[{number}]")
    elif ours != theirs:
        yield f"{place}: {ours!r} is not {theirs!r}"


def same(ours: Any, theirs: Any) -> bool:
    """Say whether two answers are the same, and print where they differ."""
    found = list(differences(ours, theirs))
    print("\n".join(found[:20]))
    return not found


def trace_of(trace: Any) -> Any:
    """Return a trace of version 2 without order: each span with its process."""
    spans = {}
    for span in trace["spans"]:
        process = trace["processes"][span.pop("processID")]
        assert span["spanID"] not in spans
        spans[span["spanID"]] = {**span, "process": process}
    used = {json.dumps(span["process"]) for span in spans.values()}
    assert len(used) == len(trace["processes"])
    rest = {k: v for k, v in trace.items() if k not in ("spans", "processes")}
    return {**rest, "spans": spans}


def traces_of(answer: Any) -> Any:
    """Return an answer of version 2 with its traces by their ids."""
    found = {trace["traceID"]: trace_of(trace) for trace in answer["data"]}
    assert len(found) == len(answer["data"])
    return {**answer, "data": found}


def spans_of(answer: Any) -> Any:
    """Return an answer of version 3 as its spans, each with its process and library."""
    found = {}
    for process in answer["result"]["resourceSpans"]:
        assert process.keys() <= {"resource", "scopeSpans", "schemaUrl"}
        sort(process["resource"])
        for scope_spans in process["scopeSpans"]:
            assert scope_spans.keys() <= {"scope", "spans", "schemaUrl"}
            sort(scope_spans["scope"])
            for span in scope_spans["spans"]:
                sort(span)
                key = span["traceId"], span["spanId"]
                assert key not in found
                found[key] = [process["resource"], scope_spans["scope"], span]
    return found


def sort(part: Any) -> None:
    """Put attributes in order: Jaeger adds some after it has done so."""
    part.get("attributes", []).sort(key=lambda pair: pair.get("key", ""))


# Version 2 ----------------------------------------------------------------------


@pytest.mark.parametrize("raw", ["false", "true"])
def test_every_trace_is_as_jaeger_has_it(jaeger_and_us: Both, raw: str) -> None:
    """Tags, references, logs, processes, warnings: to the last field of every span."""
    assert len(jaeger_and_us.traces) > 40
    for trace_id in jaeger_and_us.traces:
        theirs, ours = jaeger_and_us.ask(f"/api/traces/{trace_id}", raw=raw)
        if raw == "true":  # not put in order, by either
            for trace in (*theirs["data"], *ours["data"]):
                for span in trace["spans"]:
                    span["tags"].sort(key=json.dumps)
        assert same(traces_of(ours), traces_of(theirs))


def test_a_model_call_has_its_conversation(jaeger_and_us: Both) -> None:
    """Messages that are stored once are in the tags of each span that had them."""
    found = 0
    for trace_id in jaeger_and_us.traces:
        _, ours = jaeger_and_us.ask(f"/api/traces/{trace_id}")
        for span in ours["data"][0]["spans"]:
            tags = {tag["key"]: tag["value"] for tag in span["tags"]}
            if "gen_ai.input.messages" in tags:
                assert json.loads(tags["gen_ai.input.messages"])[0]["role"]
                found += 1
    assert found > 5


def test_services_and_operations_are_the_same(jaeger_and_us: Both) -> None:
    """The names of services, and of their spans with their kinds."""
    theirs, ours = jaeger_and_us.ask("/api/services")
    assert ours["data"] == sorted(theirs.pop("data"))
    assert ours.pop("data")
    assert ours == theirs
    services = jaeger_and_us.ask("/api/services")[1]["data"]
    for service in services:
        for parameters in ({}, {"spanKind": "client"}, {"spanKind": "nonsense"}):
            theirs, ours = jaeger_and_us.ask(
                "/api/operations", service=service, **parameters
            )
            theirs["data"].sort(key=lambda each: (each["name"], each["spanKind"]))
            ours["data"].sort(key=lambda each: (each["name"], each["spanKind"]))
            assert ours == theirs
        theirs, ours = jaeger_and_us.ask(
            f"/api/services/{quote(service, '')}/operations"
        )
        assert ours["data"] == sorted(theirs["data"])
        assert ours["total"] == theirs["total"]


def test_a_search_by_service_finds_the_same(jaeger_and_us: Both) -> None:
    """Each service has the same traces, whole, and so has each of its operations."""
    for service in jaeger_and_us.ask("/api/services")[1]["data"]:
        theirs, ours = jaeger_and_us.ask("/api/traces", service=service, limit=1000)
        assert ours["data"]
        assert same(traces_of(ours), traces_of(theirs))
        names = jaeger_and_us.ask(f"/api/services/{quote(service, '')}/operations")[1]
        for name in names["data"]:
            theirs, ours = jaeger_and_us.ask(
                "/api/traces", service=service, operation=name, limit=1000
            )
            assert ours["data"] or not name
            assert same(traces_of(ours), traces_of(theirs))


@pytest.mark.parametrize("tags", SHOP_TAGS, ids=json.dumps)
def test_a_search_by_tags_finds_the_same(jaeger_and_us: Both, tags: Any) -> None:
    """All tags on one span: of it, its process, its library, or one of its events."""
    for service in ("shop", "db"):
        for given in (
            {"tags": json.dumps(tags)},
            {"tag": [f"{k}:{v}" for k, v in tags.items()]},
        ):
            theirs, ours = jaeger_and_us.ask("/api/traces", service=service, **given)
            assert same(traces_of(ours), traces_of(theirs))


@pytest.mark.parametrize(
    "parameters",
    [
        {"minDuration": "1s"},
        {"minDuration": "1.5s"},
        {"minDuration": "1.500000124s"},
        {"minDuration": "1h"},
        {"maxDuration": "1ns"},
        {"maxDuration": "1µs"},
        {"maxDuration": "0s"},
        {"minDuration": "6ms", "maxDuration": "8ms"},
        {"minDuration": "6ms", "maxDuration": "8ms", "operation": "in"},
        {"minDuration": "-1s"},
        {"minDuration": "1m0.5s"},
        {"start": "now", "end": "now+1"},
        {"start": "now+1400000", "end": "now+1400001"},
        {"start": "now-2000000", "end": "now-1000000"},
        {"start": "now+10000000"},
        {"end": "now-10000000"},
        {"start": 0},
        {"limit": 1},
        {"operation": "GET /cart", "tags": '{"int":"7"}', "minDuration": "1s"},
        {"operation": "GET /cart", "tags": '{"int":"7"}', "maxDuration": "1s"},
        {"operation": "query"},
        {"operation": "query", "prettyPrint": "true"},
        {"operation": "query", "raw": "1"},
        {"service": ["shop", "db"]},
        {"service": "missing-service-name"},
        {"service": "empty-service-name"},
        {"service": "service-name-wrong-type"},
        {"service": "Shop"},
    ],
    ids=json.dumps,
)  # fmt: skip
def test_a_search_narrows_the_same(jaeger_and_us: Both, parameters: Any) -> None:
    """Durations, periods and operations are of one span, their bounds included."""
    times = {name: at(parameters[name]) for name in {"start", "end"} & set(parameters)}
    asked = {"service": "shop", **parameters, **times}
    theirs, ours = jaeger_and_us.ask("/api/traces", **asked)
    if "raw" in parameters:
        assert {trace["traceID"] for trace in ours["data"]} == {
            trace["traceID"] for trace in theirs["data"]
        }
    elif "limit" in parameters:
        assert len(ours["data"]) == len(theirs["data"])
    else:
        assert same(traces_of(ours), traces_of(theirs))


def at(time_: Any) -> int:
    """Return a time in µs, which may be so many after `now` or before."""
    _, _, offset = str(time_).partition("now")
    return int(offset or 0) + (NOW // 1000 if "now" in str(time_) else 0)


def test_traces_are_asked_for_by_their_ids(jaeger_and_us: Both) -> None:
    """Ids may be short, and those of no trace are told beside the traces."""
    for ids in (
        [SHOP],
        [SHORT],
        [SHORT.lstrip("0"), SHOP],
        [SHOP.upper(), "1", "f" * 32],
    ):
        theirs, ours = jaeger_and_us.ask("/api/traces", traceID=ids)
        assert same(traces_of(ours), traces_of(theirs))


def test_calls_between_services_are_counted(jaeger_and_us: Both) -> None:
    """Each service with a span below one of another, by their names."""
    for parameters in (
        {},
        {"service": "db"},
        {"lookback": 1000},
        {"endTs": NOW // 10**6},
    ):
        theirs, ours = jaeger_and_us.ask("/api/dependencies", **parameters)
        theirs["data"] = [e for e in theirs["data"] if e["parent"] != e["child"]]
        for answer in (theirs, ours):
            answer["data"].sort(key=lambda each: (each["parent"], each["child"]))
        assert ours == theirs


@pytest.mark.parametrize(
    ("service", "tags"),
    [
        ("db", {"error": "true"}),
        ("shop", {"error": "true"}),
        ("db", {"otel.status_code": "ERROR"}),
        ("db", {"otel.status_description": "boom"}),
        ("db", {"span.kind": "client"}),
        ("db", {"span.kind": "server"}),
        ("db", {"event": "exception"}),
        ("shop", {"otel.scope.name": "lib2"}),
        ("shop", {"w3c.tracestate": "a=1,b=2"}),
        ("hudtrace", {"error": "true"}),
        ("hudtrace", {"span.kind": "client", "gen_ai.request.model": "m"}),
        ("missing-service-name", {"error": "maybe"}),
    ],
    ids=str,
)
def test_tags_that_are_only_shown_are_found(
    jaeger_shipped_and_us: Both, service: str, tags: Any
) -> None:
    """Errors, kinds, libraries and events are found as the shipped Jaeger finds them."""
    theirs, ours = jaeger_shipped_and_us.ask(
        "/api/traces", service=service, tags=json.dumps(tags), limit=1000
    )
    assert {trace["traceID"] for trace in ours["data"]} == {
        trace["traceID"] for trace in theirs["data"]
    }


def test_the_shipped_jaeger_has_the_same_traces(jaeger_shipped_and_us: Both) -> None:
    """What the Jaeger of `compose.yaml` answers is what we do."""
    for trace_id in jaeger_shipped_and_us.traces:
        theirs, ours = jaeger_shipped_and_us.ask(f"/api/traces/{trace_id}")
        theirs, ours = traces_of(theirs), traces_of(ours)
        for trace in ours["data"].values():
            small = {k: s for k, s in trace["spans"].items() if has_small_tags(s)}
            trace["spans"] = small
        assert same(ours, theirs)


def has_small_tags(span: Any) -> bool:
    """Say whether Jaeger keeps a span on disk."""
    return all(len(str(tag["value"]).encode()) < 64_000 for tag in span["tags"])


# Version 3 ----------------------------------------------------------------------


def test_version_3_has_the_same_spans(
    jaegers: Callable[[Any], Any], both: Callable[[Any], Both], jaeger_in_memory: Any
) -> None:
    """OTLP with everything in it, put in order and warned of as Jaeger does."""
    # One of its own: it changes in its memory what it answers with.
    fresh = both(jaegers(type(jaeger_in_memory)))
    for trace_id in fresh.traces:
        theirs, ours = fresh.ask(f"/api/v3/traces/{trace_id}")
        assert same(spans_of(ours), spans_of(theirs))


def test_version_3_has_raw_spans(jaeger_and_us: Both) -> None:
    """Spans as they came, but for services without a name and times that run back."""
    for trace_id in jaeger_and_us.traces:
        theirs, ours = jaeger_and_us.ask(
            f"/api/v3/traces/{trace_id}", raw_traces="true"
        )
        assert same(spans_of(ours), spans_of(theirs))


def test_version_3_lists_the_same(jaeger_and_us: Both) -> None:
    """Services, operations, and which traces a search finds."""
    theirs, ours = jaeger_and_us.ask("/api/v3/services")
    assert ours == {"services": sorted(theirs["services"])}
    for service in [*ours["services"], "none"]:
        for parameters in ({}, {"span_kind": "server"}):
            theirs, ours = jaeger_and_us.ask(
                "/api/v3/operations", service=service, **parameters
            )
            for answer in (theirs, ours):
                answer["operations"].sort(key=json.dumps)
            assert ours == theirs
    for parameters in (
        {"service_name": "shop"},
        {"service_name": "shop", "operation_name": "in"},
        {"service_name": "db", "duration_min": "100ms", "duration_max": "1s"},
        {},
    ):
        theirs, ours = jaeger_and_us.ask(
            "/api/v3/traces", **of_v3(num_traces=1000, raw_traces="true", **parameters)
        )
        assert spans_of(ours).keys() == spans_of(theirs).keys()


def of_v3(**parameters: Any) -> dict[str, Any]:
    """Return parameters of a search of version 3, of all times."""
    period = {
        "start_time_min": "2020-01-01T00:00:00Z",
        "start_time_max": "2100-01-01T00:00:00.5Z",
    }
    return {f"query.{name}": value for name, value in {**period, **parameters}.items()}


# Errors -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "parameters"),
    [
        ("/api/traces/zz", {}),
        (f"/api/traces/{'f' * 32}", {}),
        (f"/api/traces/{'f' * 34}", {}),
        (f"/api/traces/{'f' * 10}_{'f' * 10}", {}),
        ("/api/traces/1", {}),
        ("/api/traces/0", {}),
        (f"/api/traces/{SHOP}", {"start": "abc"}),
        (f"/api/traces/{SHOP}", {"start": "1", "end": "1.5"}),
        (f"/api/traces/{SHOP}", {"raw": "maybe"}),
        ("/api/traces", {}),
        ("/api/traces", {"service": ""}),
        ("/api/traces", {"service": "none"}),
        ("/api/traces", {"service": "shop", "limit": "0"}),
        ("/api/traces", {"service": "shop", "limit": "-1"}),
        ("/api/traces", {"service": "shop", "limit": "x"}),
        ("/api/traces", {"service": "shop", "limit": "10001"}),
        ("/api/traces", {"service": "shop", "limit": "9999999999"}),
        ("/api/traces", {"service": "shop", "start": "x"}),
        ("/api/traces", {"service": "shop", "end": "99999999999999999999"}),
        ("/api/traces", {"service": "shop", "minDuration": "1"}),
        ("/api/traces", {"service": "shop", "minDuration": "abc"}),
        ("/api/traces", {"service": "shop", "maxDuration": "1x"}),
        ("/api/traces", {"service": "shop", "maxDuration": "."}),
        ("/api/traces", {"service": "shop", "minDuration": "2s", "maxDuration": "1s"}),
        ("/api/traces", {"service": "shop", "tags": "x"}),
        ("/api/traces", {"service": "shop", "tags": '{"a":1}'}),
        ("/api/traces", {"service": "shop", "tags": '{"a":{}}'}),
        ("/api/traces", {"service": "shop", "tags": '{"a":true}'}),
        ("/api/traces", {"service": "shop", "tags": "[]"}),
        ("/api/traces", {"service": "shop", "tags": '"a"'}),
        ("/api/traces", {"service": "shop", "tag": "x"}),
        ("/api/traces", {"service": "shop", "raw": "2"}),
        ("/api/traces", {"traceID": "zz"}),
        ("/api/traces", {"traceID": ""}),
        ("/api/operations", {}),
        ("/api/operations", {"service": "none"}),
        ("/api/dependencies", {"endTs": "x"}),
        ("/api/dependencies", {"lookback": "1h"}),
        ("/api/metrics/minstep", {}),
        ("/api/v3/traces/zz", {}),
        (f"/api/v3/traces/{'f' * 32}", {}),
        (f"/api/v3/traces/{SHOP}", {"start_time": "x"}),
        (f"/api/v3/traces/{SHOP}", {"end_time": ""}),
        (f"/api/v3/traces/{SHOP}", {"end_time": "yesterday"}),
        (f"/api/v3/traces/{SHOP}", {"raw_traces": "x"}),
        ("/api/v3/traces", {}),
        ("/api/v3/traces", {"query.start_time_min": "2026-01-01T00:00:00Z"}),
        ("/api/v3/traces", {"query.start_time_min": "x", "query.start_time_max": "y"}),
        ("/api/v3/traces", of_v3()),
        ("/api/v3/traces", of_v3(num_traces="x")),
        ("/api/v3/traces", of_v3(num_traces="-5")),
        ("/api/v3/traces", of_v3(num_traces=5, service_name="none")),
        ("/api/v3/traces", of_v3(num_traces=5, duration_min="x")),
        ("/api/v3/traces", of_v3(num_traces=5, duration_max="1")),
        ("/api/v3/traces", of_v3(num_traces=5, raw_traces="x")),
        ("/api/v3/operations", {}),
        ("/api/v3/operations", {"service": "none"}),
    ],
    ids=str,
)
def test_errors_are_the_same(jaeger_and_us: Both, path: str, parameters: Any) -> None:
    """What cannot be answered has the same status, shape and words."""
    theirs, ours = jaeger_and_us.ask(path, **parameters)
    if path.startswith("/api/v3") and "result" in theirs:
        theirs, ours = spans_of(theirs), spans_of(ours)
    assert ours == theirs


# Files --------------------------------------------------------------------------


def test_what_jaeger_shows_can_be_imported(jaeger_and_us: Both) -> None:
    """An eval that was downloaded from Jaeger is shown the same from then on."""
    evals = [
        each
        for each in jaeger_and_us.traces
        if each != SHOP and not each.startswith("000000")
    ]
    assert len(evals) > 10
    for trace_id in evals:
        theirs, _ = jaeger_and_us.ask(f"/api/traces/{trace_id}")
        again = jaeger.traces(from_jaeger(theirs))
        for trace in (*again, *theirs["data"]):
            for span in trace["spans"]:
                span["warnings"] = None  # of clocks, to the ns, which are not in it
        assert same(traces_of({"data": again}), traces_of({"data": theirs["data"]}))
