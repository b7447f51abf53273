"""Requests made up from the viewer's OpenAPI document: none of them is a 500."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import httpx
import pytest
from viewer_kit import API, Served

schemathesis = pytest.importorskip("schemathesis")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]
EXAMPLES = 80  # for each operation
#: Texts that no schema makes, for every parameter and every place in a path.
STRANGE = [
    "",
    "\x00",
    "'",
    '" OR 1=1 --',
    "*",
    "%",
    "a" * 5000,
    "-" * 200,
    "\ud7ff\ue000\U0010ffff",
    "../../etc/passwd",
    "9" * 30,
    "1e9",
    "NaN",
    '"unclosed',
    'reward<1 tool:"a b" -tag:x=y dur>1h',
    "reward:" + "1," * 300,
    "(" * 500,
    "trace:zz started:2h model~% error!=x",
    "NEAR(a b) AND OR NOT ^x {a} a:b",
]


def check(path: str, response: httpx.Response) -> None:
    said = f"{path}: {response.status_code} {response.text[:300]}"
    assert response.status_code < 500, said
    if response.status_code >= 400:
        assert response.headers["content-type"] == "application/problem+json", said
        assert set(response.json()) == {"type", "title", "status", "detail"}


def test_made_up_requests(viewer: Served, ids: dict[str, str]) -> None:
    """Whatever fits the schema is answered, of traces that are there and others."""
    document = viewer.api("/openapi.json")
    schema = schemathesis.openapi.from_dict(document)
    seen: set[tuple[str, int]] = set()
    with httpx.Client(base_url=viewer.origin, timeout=30) as client:
        for result in schema.get_all_operations():
            operation = result.ok()
            if not operation.path.endswith("/events"):
                make_up(operation, client, seen, ids)
    assert {path for path, _ in seen} >= set(document["paths"]) - {f"{API}/events"}
    assert {status for _, status in seen} >= {200, 404}


def make_up(
    operation: Any,
    client: httpx.Client,
    seen: set[tuple[str, int]],
    ids: dict[str, str],
) -> None:
    from hypothesis import HealthCheck, given, settings
    from hypothesis import strategies as st

    traces = [ids["bread"], ids["picture"], ids["nothing"], ids["rubbish"]]

    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(), trace=st.sampled_from([*traces, None]))
    def ask(case: Any, trace: str | None) -> None:
        for name in ("trace_id", "a", "b", "trace"):
            for given_ in (case.path_parameters, case.query):
                if trace is not None and given_ and name in given_:
                    given_[name] = trace
        sent = case.as_transport_kwargs(base_url=str(client.base_url))
        response = client.request(case.method, sent["url"], params=sent.get("params"))
        seen.add((operation.path, response.status_code))
        check(operation.path, response)

    ask()


def test_strange_parameters(viewer: Served, ids: dict[str, str]) -> None:
    """Neither SQL, nor FTS syntax, nor length, nor characters that are none."""
    document = viewer.api("/openapi.json")
    with httpx.Client(base_url=viewer.origin, timeout=30) as client:
        for path, operations in document["paths"].items():
            if path.endswith("/events"):
                continue
            for strange in STRANGE:
                ask_strangely(client, path, operations["get"], strange, ids)


def ask_strangely(
    client: httpx.Client, path: str, operation: Any, strange: str, ids: dict[str, str]
) -> None:
    """Put *strange* into each parameter in turn, the others being right."""
    right = {"trace_id": ids["bread"], "a": ids["bread"], "b": ids["rubbish"]}
    right |= {"trace": ids["bread"], "job_id": ids["job"], "span_id": ids["late"]}
    names = [parameter["name"] for parameter in operation["parameters"]]
    for odd in names:
        url, query = path, {}
        for parameter in operation["parameters"]:
            name = parameter["name"]
            value = strange if name == odd else right.get(name, "0")
            if parameter["in"] == "path":
                url = url.replace(f"{{{name}}}", quote(value, safe=""))
            elif name == odd or parameter["required"]:
                query[name] = value
        check(f"{path} {odd}={strange!r}", client.get(url, params=query))
