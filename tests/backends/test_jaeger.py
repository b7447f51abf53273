"""Runs seen through a real Jaeger, directly and through the shipped collector."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import hudtrace as hud
from hudtrace import runtime
from hudtrace.messages import to_json
from hudtrace.store import queries
from hudtrace.store.store import read_only

ROOT = Path(__file__).parent.parent.parent
INLINE = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.tool.definitions"}


def hex_id(text: str) -> str:
    """Return an id in hex, however the API has written it."""
    if re.fullmatch(r"[0-9a-f]{16}|[0-9a-f]{32}", text):
        return text
    return base64.b64decode(text).hex()


def value_of(value: dict[str, Any]) -> Any:
    """Return an OTLP JSON value as Python's."""
    ((kind, found),) = value.items() or [("none", None)]
    if kind == "arrayValue":
        return [value_of(item) for item in found.get("values", [])]
    if kind == "kvlistValue":
        return attributes_of(found.get("values", []))
    return {"intValue": int, "doubleValue": float}.get(kind, lambda x: x)(found)


def attributes_of(pairs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return OTLP JSON attributes as a dict."""
    return {pair["key"]: value_of(pair["value"]) for pair in pairs}


def shown_of(value: Any) -> Any:
    """Return a value as Jaeger keeps it: a list as its JSON."""
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"))
    return value


def run_example(tmp_path: Path, **variables: str) -> tuple[str, Path, str]:
    """Run the example; return its trace id, its store, and what it printed."""
    store = tmp_path / "traces.db"
    done = subprocess.run(
        [sys.executable, ROOT / "examples" / "02_jaeger.py"],
        env={**os.environ, "HUDTRACE_STORE": str(store), **variables},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found = re.search(
        r"http://localhost:16686/trace/([0-9a-f]{32})\?uiFind=", done.stdout
    )
    assert found is not None, done.stdout
    return found.group(1), store, done.stdout


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("through", ["jaeger", "collector"])
def test_the_example_shows_the_very_tree(
    tmp_path: Path,
    jaeger: Any,
    through: str,
    protocol: str,
    request: pytest.FixtureRequest,
) -> None:
    """Names, parents, kinds, attributes, links and status are those of the store."""
    target = request.getfixturevalue(through)
    trace_id, store, printed = run_example(
        tmp_path,
        OTEL_EXPORTER_OTLP_ENDPOINT=target.grpc if protocol == "grpc" else target.http,
        OTEL_EXPORTER_OTLP_PROTOCOL=protocol,
    )
    with closing(read_only(store)) as db:
        ours = {span.span_id: span for span in queries.spans(db, trace_id)}
        talks = {
            key: queries.conversation(db, span)
            for key, span in ours.items()
            if span.node is not None
        }
    assert len(ours) == 9
    assert "jaeger: 9 exported" in printed
    theirs = {hex_id(s["spanId"]): s for s in jaeger.wait_for(trace_id, 9)}
    assert theirs.keys() == ours.keys()
    for key, span in ours.items():
        shown = theirs[key]
        name = span.name if span.parent_id else f"{span.name} pass"
        assert shown["name"] == name
        assert hex_id(shown.get("parentSpanId") or "") == (span.parent_id or "")
        assert shown["kind"] in (
            (3, "SPAN_KIND_CLIENT") if talks.get(key) else (1, "SPAN_KIND_INTERNAL")
        )
        attributes = attributes_of(shown.get("attributes", []))
        inline = {k: attributes.pop(k) for k in INLINE & attributes.keys()}
        attributes.pop("@jaeger@warnings", None)
        assert attributes == {k: shown_of(v) for k, v in span.attributes.items()}
        assert bool(inline) == (key in talks)
        links = {hex_id(link["spanId"]) for link in shown.get("links", [])}
        assert links == {link.span_id for link in span.links}
        code = shown.get("status", {}).get("code", 0)
        assert code in (span.status, {2: "STATUS_CODE_ERROR"}.get(span.status))
    for key, talk in talks.items():
        shown = attributes_of(theirs[key]["attributes"])
        assert talk is not None
        assert to_json(talk.input) == shown["gen_ai.input.messages"]


def test_a_job_is_found_by_its_id(
    tmp_path: Path, jaeger: Any, env: hud.Environment
) -> None:
    """A thousand episodes, and among them the failures, by search."""
    from hudtrace_exporters.jaeger import Jaeger

    backend = Jaeger(jaeger.http, ui=jaeger.ui)
    hud.configure(store=tmp_path / "t.db", exporters=[backend], quiet=True)
    (scenario,) = [env("initials", company="HUD")]

    async def run() -> list[hud.EvalResult]:
        async def one(number: int) -> hud.EvalResult:
            async with hud.eval(scenario, job="job-1000") as ctx:
                await ctx.submit("JR" if number % 10 else "XX")
            return ctx.result

        return [await one(number) for number in range(1000)]

    results = asyncio.run(run())
    assert hud.flush(60)
    ids = {result.trace_id for result in results}
    assert runtime.get_runtime().pipeline.report().complete
    jaeger.wait_for(results[-1].trace_id, 4)
    assert jaeger.search(2000, hud__job__id="job-1000") == ids
    failed = {r.trace_id for r in results if r.reward == 0.0}
    assert len(failed) == 100
    found = jaeger.search(2000, test__case__result__status="fail")
    assert found == failed


async def test_a_long_text_comes_cut(
    tmp_path: Path, collector: Any, jaeger: Any
) -> None:
    """Jaeger's storage forgets spans with texts above 65,000 bytes: they come cut."""
    from hudtrace_exporters.jaeger import Jaeger

    backend = Jaeger(collector.http, ui=jaeger.ui)
    hud.configure(store=tmp_path / "t.db", exporters=[backend], quiet=True)
    env = hud.Environment("long")
    env.tool()(long_text)

    @env.scenario("one")
    async def one() -> Any:
        yield "go"
        yield 1.0

    async with hud.eval(one()) as ctx:
        await ctx.call_tool("long_text")
        await ctx.submit("done")
    assert await ctx.result.delivered(30)
    shown = jaeger.wait_for(ctx.trace_id, 5)
    (tool,) = (span for span in shown if span["name"] == "execute_tool long_text")
    result = attributes_of(tool["attributes"])["gen_ai.tool.call.result"]
    assert len(result.encode()) > 59_000
    assert long_text().startswith(result.rstrip("\ufffd"))


def long_text() -> str:
    """Return more than Jaeger's storage takes, in letters of two bytes."""
    return "aé" + "é" * 100_000


def test_jaeger_and_the_collector_crash(
    tmp_path: Path, jaeger: Any, collector: Any, env: hud.Environment
) -> None:
    """Both are killed and started again in mid-run; every span arrives."""
    from hudtrace_exporters.jaeger import Jaeger

    backend = Jaeger(collector.grpc, protocol="grpc", ui=jaeger.ui)
    hud.configure(
        store=tmp_path / "t.db", exporters=[backend], exit_timeout=1, quiet=True
    )
    task = env("initials", company="HUD")

    async def run(count: int) -> list[str]:
        done = []
        for _ in range(count):
            async with hud.eval(task) as ctx:
                await ctx.submit("JR")
            done.append(ctx.result.trace_id)
        return done

    traces = asyncio.run(run(20))
    assert hud.flush(30)
    jaeger.kill()
    traces += asyncio.run(run(20))
    assert hud.flush(30), "the collector takes spans while Jaeger is down"
    collector.kill()
    traces += asyncio.run(run(20))
    assert not hud.flush(1)
    jaeger.start()
    collector.start()
    assert hud.flush(60)
    for trace_id in traces:
        assert len(jaeger.wait_for(trace_id, 4)) == 4
