"""The API's answers about one trace, and how it refuses what cannot be answered."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from viewer_kit import API, Served, python

from hudtrace.store.store import bytes_on_disk

UNKNOWN = "0af7651916cd43dd8448eb211c80319c"
HEAD = {
    *("trace_id", "url", "state", "episode", "name", "started", "ended", "seconds"),
    *("span_count", "error_count", "services", "verdicts", "read", "prompt", "answer"),
    *("error", "calls", "messages", "job", "source", "links", "delivery", "orphans"),
    "seq",
}
EPISODE = {
    *("trace_id", "url", "label", "name", "env", "scenario", "args", "task_id"),
    *("job_id", "group_id", "model", "agent", "variant", "attempt", "state"),
    *("outcome", "failure", "stopped_by", "reward", "first_reward", "input_tokens"),
    *("output_tokens", "cost", "turns", "tool_calls", "tool_errors", "span_count"),
    *("started", "ended", "seconds", "env_digest"),
}
COLUMNS = {
    *("id", "parent", "name", "kind", "start", "duration", "status", "state", "turn"),
    *("label", "tokens"),
}


def spans(viewer: Served, trace_id: str) -> list[dict[str, Any]]:
    """Return the timeline's spans, each by itself."""
    columns = viewer.api(f"/trace/{trace_id}/spans")["spans"]
    assert set(columns) == COLUMNS
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def test_the_head(viewer: Served, ids: dict[str, str]) -> None:
    """What ran, how it stands, what came of it, and why."""
    head = viewer.api(f"/trace/{ids['bread']}")
    assert set(head) == HEAD
    assert set(head["episode"]) == EPISODE
    assert (head["state"], head["name"]) == ("done", "shop:buy(what=bread)")
    assert (head["prompt"], head["answer"]) == ("Buy bread.", "bought")
    assert (head["calls"], head["messages"], head["orphans"]) == (1, 2, 0)
    assert head["url"] == f"/trace/{ids['bread']}"
    assert head["error"] is head["job"] is head["episode"]["cost"] is None
    assert head["started"].isdecimal()
    assert head["services"] == ["hudtrace"]
    (verdict,) = head["verdicts"]
    assert verdict["explanation"] == "got 'bought'"
    assert (verdict["value"], verdict["label"], verdict["kind"]) == (
        1.0,
        "pass",
        "code",
    )
    assert (verdict["late"], verdict["effective"]) == (False, True)


def test_errors_and_late_verdicts(viewer: Served, ids: dict[str, str]) -> None:
    """An error has its place and traceback; a late verdict its own trace and reason."""
    head = viewer.api(f"/trace/{ids['nothing']}")
    assert head["error"]["type"] == "RuntimeError"
    assert "<script>" in head["error"]["message"]
    assert "recording.py" in head["error"]["stacktrace"]
    assert head["error"]["span_id"] in {s["id"] for s in spans(viewer, ids["nothing"])}
    assert (head["episode"]["reward"], head["verdicts"]) == (None, [])
    head = viewer.api(f"/trace/{ids['rubbish']}")
    assert (head["episode"]["first_reward"], head["episode"]["reward"]) == (0.0, 0.5)
    early, late = head["verdicts"]
    assert (late["explanation"], late["evaluator"]) == ("half", "ann")
    assert (late["span_id"], late["supersedes"]) == (ids["late"], early["span_id"])
    own = viewer.api(f"/trace/{late['trace_id']}")
    assert (own["state"], own["episode"], own["name"]) == ("done", None, "reward")
    span = viewer.api(f"/trace/{late['trace_id']}/span/{ids['late']}")
    assert span["kind"] == "reward"
    assert span["links"][0]["url"].startswith(f"/trace/{ids['rubbish']}?span=")


def test_a_trace_that_is_waited_for(viewer: Served) -> None:
    """A valid id that nobody knows is no error: its spans may be on their way."""
    head = viewer.api(f"/trace/{UNKNOWN}")
    assert set(head) == HEAD
    assert (head["state"], head["span_count"], head["episode"]) == ("waiting", 0, None)
    assert head["delivery"]["exists"]
    assert head["delivery"]["stored"] == 0
    assert spans(viewer, UNKNOWN) == []
    assert viewer.api(f"/trace/{UNKNOWN}/messages")["items"] == []
    assert "no span" in viewer.api(f"/trace/{UNKNOWN}/span/{'0' * 16}", 404)["detail"]


def test_the_timeline(viewer: Served, ids: dict[str, str]) -> None:
    """Spans by start, in columns; parents by their place; only newer ones if asked."""
    found = spans(viewer, ids["bread"])
    assert [s["kind"] for s in found[:2]] == ["eval", "setup"]
    assert {s["kind"] for s in found} == {
        *("eval", "setup", "agent", "turn", "model", "tool", "reward")
    }
    assert found[0]["parent"] is None
    assert all(isinstance(s["parent"], int) for s in found[1:])
    assert [s["start"] for s in found] == sorted(s["start"] for s in found)
    assert found[0]["start"] == 0
    assert {s["label"] for s in found} == {"", "m", "look"}
    (call,) = (s for s in found if s["kind"] == "model")
    assert (call["tokens"], call["turn"], call["state"]) == (25, 1, "done")
    (turn,) = (s for s in found if s["kind"] == "turn")
    assert found[call["parent"]] == turn
    seq = viewer.api(f"/trace/{ids['bread']}/spans")["seq"]
    assert viewer.api(f"/trace/{ids['bread']}")["seq"] == seq
    newer = viewer.api(f"/trace/{ids['bread']}/spans", after=seq - 1)
    assert len(newer["spans"]["id"]) == 1
    assert viewer.api(f"/trace/{ids['bread']}/spans", after=seq)["spans"]["id"] == []


def test_a_span(viewer: Served, ids: dict[str, str]) -> None:
    """Everything of it; long texts by their beginning, unless all is asked for."""
    (tool,) = (s for s in spans(viewer, ids["bread"]) if s["kind"] == "tool")
    path = f"/trace/{ids['bread']}/span/{tool['id']}"
    span = viewer.api(path)
    assert (span["kind"], span["status"]) == ("tool", {"code": 0, "message": ""})
    assert span["resource"]["service.name"] == "hudtrace"
    assert span["scope"]["name"] == "hudtrace"
    assert int(span["end"]) >= int(span["start"])
    cut = span["attributes"]["gen_ai.tool.call.result"]
    assert (cut["$cut"], cut["length"], len(cut["head"])) == (True, 68_000, 2_000)
    whole = viewer.api(path, full=1)["attributes"]["gen_ai.tool.call.result"]
    assert len(whole) == cut["length"]
    (call,) = (s for s in spans(viewer, ids["bread"]) if s["kind"] == "model")
    span = viewer.api(f"/trace/{ids['bread']}/span/{call['id']}")
    assert span["conversation"] == {"input": 1, "output": 1, "tools": 0}
    read = viewer.api(f"/trace/{ids['bread']}")["read"]
    assert span["read_by_grader"] == (call["id"] in read)


def test_the_conversation(viewer: Served, ids: dict[str, str]) -> None:
    """Items page by page, found by span and by message; one call's whole history."""
    path = f"/trace/{ids['picture']}/messages"
    first = viewer.api(path, limit=1)
    assert (first["from"], len(first["items"])) == (0, 1)
    assert first["total_calls"] == 2
    assert viewer.api(path, **{"from": 1})["items"][0]["index"] == 1
    whole = viewer.api(path)
    assert len(whole["items"]) == whole["total_items"]
    last = [item for item in whole["items"] if item["kind"] == "call"][-1]
    by_span = viewer.api(path, limit=1, span=last["span_id"])
    assert by_span["items"] == [last]
    by_message = viewer.api(path, limit=1, message=last["new"][-1]["n"])
    assert by_message["items"] == [last]
    given = viewer.api(f"/trace/{ids['picture']}/span/{last['span_id']}/messages")
    assert given["total"] == len(given["messages"]) == whole["total_messages"]
    for other in spans(viewer, ids["picture"]):
        if other["kind"] == "setup":
            missing = f"/trace/{ids['picture']}/span/{other['id']}/messages"
            assert "no conversation" in viewer.api(missing, 404)["detail"]


def test_pictures(viewer: Served, ids: dict[str, str]) -> None:
    """Their bytes have an address of their own, and are nothing but a picture there."""
    text = json.dumps(viewer.api(f"/trace/{ids['picture']}/messages"))
    href = text.partition('"href": "')[2].partition('"')[0]
    assert "/blob/" in href
    answer = viewer.get(href)
    assert answer.status_code == 200, answer.text
    assert answer.content.startswith(b"\x89PNG")
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["content-security-policy"] == "default-src 'none'; sandbox"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "immutable" in answer.headers["cache-control"]
    message = href.partition("/blob/")[0]
    whole = viewer.get(message)
    assert "role" in whole.json()
    assert "immutable" in whole.headers["cache-control"]
    assert viewer.get(f"{message}/blob/9").status_code == 404
    assert viewer.get(f"{message}/blob/x").status_code == 400
    problem = viewer.api(f"/message/{'0' * 64}", 404)
    assert "there is no message" in problem["detail"]


@pytest.mark.parametrize(
    ("format", "kind", "begins"),
    [
        ("json", "application/json", b"{"),
        ("otlp", "application/json", b'{"resourceSpans":'),
        ("jaeger", "application/json", b'{"data":'),
        ("perfetto", "application/json", b"{"),
        ("md", "text/markdown; charset=utf-8", b"# "),
        ("html", "text/html; charset=utf-8", b"<!doctype html>"),
    ],
)
def test_downloads(
    viewer: Served, ids: dict[str, str], format: str, kind: str, begins: bytes
) -> None:
    """Each is a file, not a page of the viewer, whatever is in it."""
    for trace in (ids["bread"], ids["picture"], ids["nothing"], ids["job_trace"]):
        answer = viewer.get(f"/trace/{trace}/{format}")
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind
        assert answer.content.startswith(begins)
        assert "sandbox" in answer.headers["content-security-policy"]
        named = answer.headers["content-disposition"]
        assert named.startswith(f'attachment; filename="hudtrace-{trace[:12]}.')
        if "json" in kind:
            assert json.loads(answer.content)
    assert viewer.get(f"/trace/{UNKNOWN}/{format}").status_code == 404


def test_a_trace_that_is_no_episode(viewer: Served, ids: dict[str, str]) -> None:
    """A job's trace is no episode, and is shown all the same."""
    head = viewer.api(f"/trace/{ids['job_trace']}")
    assert (head["state"], head["episode"]) == ("done", None)
    assert head["name"] == "hud.job.start"
    assert len(spans(viewer, ids["job_trace"])) == 5


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/trace/xyz", "32 hex digits"),
        ("/trace/" + "A" * 32, "32 hex digits"),
        ("/trace/" + "0" * 31, "32 hex digits"),
        ("/trace/" + "٠" * 32, "32 hex digits"),
        (f"/trace/{UNKNOWN}/span/zz", "16 hex digits"),
        (f"/trace/{UNKNOWN}/spans?after=-1", "0 or more"),
        (f"/trace/{UNKNOWN}/spans?after=1e9", "whole number"),
        (f"/trace/{UNKNOWN}/spans?after=99999999999999999999", "whole number"),
        (f"/trace/{UNKNOWN}/spans?after=1&after=2", "given twice"),
        (f"/trace/{UNKNOWN}/spans?before=1", "no parameter 'before'"),
        (f"/trace/{UNKNOWN}/span/{'0' * 16}?full=yes", "1 or 0"),
        (f"/trace/{UNKNOWN}/messages?limit=0", "from 1 to 200"),
        (f"/trace/{UNKNOWN}/messages?limit=201", "from 1 to 200"),
        (f"/trace/{UNKNOWN}/messages?limit=", "from 1 to 200"),
        (f"/trace/{UNKNOWN}?x=1", "(there is: none)"),
        ("/message/zz", "hash"),
        ("/episodes?limit=1001", "from 1 to 1000"),
        ("/episodes?offset=x", "whole number"),
        ("/changes?since=now", "whole number"),
        ("/events?since=now", "whole number"),
        ("/events?trace=1", "no parameter 'trace'"),
        ("/setup?a=%00", "no parameter 'a'"),
    ],
)
def test_what_cannot_be_asked(viewer: Served, path: str, said: str) -> None:
    """A wrong or unknown parameter is refused with what it can be."""
    answer = viewer.get(API + path)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert said in answer.json()["detail"]


def test_the_set_up(viewer: Served) -> None:
    """What to set to send spans here, and what is here."""
    setup = viewer.api("/setup")
    assert setup["urls"]["ui"] == viewer.origin
    assert any("OTEL_EXPORTER_OTLP_ENDPOINT=" in line for line in setup["env"])
    assert setup["store"]["episodes"] == 10
    assert setup["store"]["bytes"] == bytes_on_disk(Path(setup["store"]["path"]))
    assert setup["store"]["writers"] == []


def test_answers_are_not_kept(viewer: Served, ids: dict[str, str]) -> None:
    """Browsers ask again for all that may change, and get it small."""
    for path in ("/setup", f"/trace/{ids['bread']}", "/episodes"):
        answer = viewer.get(API + path, headers={"accept-encoding": "gzip"})
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["content-encoding"] == "gzip"
    assert viewer.raw("HEAD", f"{API}/events")[2] == b""
    status, headers, body = viewer.raw("HEAD", f"{API}/setup")
    assert (status, body) == (200, b"")
    assert int(headers["content-length"]) > 0


def test_two_traces(viewer: Served, ids: dict[str, str]) -> None:
    """What is the same and what is not, with the head of each."""
    pair = f"{ids['bread']}...{ids['rubbish']}"
    found = viewer.api(f"/diff/{pair}")
    assert found["url"] == f"/diff/{pair}"
    assert set(found["a"]) >= HEAD
    assert found["a"]["trace_id"] == ids["bread"]
    assert found["b"]["episode"]["reward"] == 0.5
    assert {row["kind"] for row in found["rows"]} <= {
        *("same", "changed", "added", "removed")
    }
    assert found["rows"][found["first"]]["kind"] != "same"
    assert {figure["name"] for figure in found["figures"]} >= {"reward", "turns"}
    same = viewer.api(f"/diff/{ids['bread']}...{ids['bread']}")
    assert same["first"] is None
    assert viewer.api(f"/diff/{UNKNOWN}...{ids['bread']}")["a"]["state"] == "waiting"
    for wrong in ("x...y", f"{UNKNOWN}..{UNKNOWN}", "..."):
        assert viewer.get(f"{API}/diff/{wrong}").status_code in (400, 404)


def test_spans_of_others(tmp_path: Path, view: Callable[..., Served]) -> None:
    """Each instrumentor's calls of models and tools are seen as such, orphans counted."""
    served = view(tmp_path / "t.db")
    sent: dict[str, dict[str, Any]] = {
        "llm": {
            "openinference.span.kind": "LLM",
            "llm.model_name": "gpt-x",
            "llm.token_count.prompt": 3,
            "llm.token_count.completion": 4,
        },
        "tool": {"openinference.span.kind": "TOOL", "tool.name": "hammer"},
        "chain": {"openinference.span.kind": "CHAIN"},
        "agent": {"traceloop.span.kind": "agent"},
        "old": {"llm.request.type": "chat", "gen_ai.request.model": "gpt-y"},
        "new": {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-z"},
        "GET /": {"http.request.method": "GET", "large": 2**60, "nan": float("nan")},
    }
    spans_of = [
        {
            "traceId": UNKNOWN,
            "spanId": f"{number:016x}",
            "parentSpanId": f"{number - 1 if number > 1 else 99:016x}",
            "name": name,
            "startTimeUnixNano": str(10**18 + number),
            "endTimeUnixNano": str(10**18 + 5000 + number),
            "attributes": [
                {"key": key, "value": any_value(value)} for key, value in said.items()
            ],
        }
        for number, (name, said) in enumerate(sent.items(), 1)
    ]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans_of}]}]}
    posted = httpx.post(f"{served.origin}/v1/traces", json=body)
    assert posted.status_code == 200, posted.text
    found = {span["name"]: span for span in spans(served, UNKNOWN)}
    assert {name: span["kind"] for name, span in found.items()} == {
        "llm": "model",
        "tool": "tool",
        "chain": "other",
        "agent": "agent",
        "old": "model",
        "new": "model",
        "GET /": "http",
    }
    labels = [found[name]["label"] for name in ("llm", "tool", "old", "new")]
    assert labels == ["gpt-x", "hammer", "gpt-y", "gpt-z"]
    assert found["llm"]["tokens"] == 7
    assert found["new"]["tokens"] is None
    assert found["llm"]["parent"] == f"{99:016x}"
    assert served.api(f"/trace/{UNKNOWN}")["orphans"] == 1
    shown = served.api(f"/trace/{UNKNOWN}/span/{7:016x}")["attributes"]
    assert (shown["large"], shown["nan"]) == (str(2**60), "nan")


def any_value(value: Any) -> dict[str, Any]:
    """Return *value* as OTLP's JSON has it."""
    if isinstance(value, int):
        return {"intValue": str(value)}
    if isinstance(value, float):
        return {"doubleValue": "NaN"}
    return {"stringValue": value}


def test_a_failed_tool_says_what_was_raised(
    tmp_path: Path, view: Callable[..., Served]
) -> None:
    """The block of the call has the error itself, not only what the model was told."""
    store = tmp_path / "t.db"
    script = """
import asyncio, hudtrace as hud
from hudtrace.testing import ScriptedModel, call, say
from openai import AsyncOpenAI
env = hud.Environment("e")
@env.tool()
def broken() -> str:
    raise KeyError("the third drawer")
@env.scenario("s")
async def s():
    yield "Go."
    yield 1.0
async def main():
    with ScriptedModel([call(("broken", {})), say("no")]) as model:
        async with AsyncOpenAI(base_url=model.url, api_key="k") as client:
            result = await hud.run_scenario_chat(client=client, model="m", task=s())
    print(result.trace_id)
asyncio.run(main())
"""
    with python(store, "-c", script) as ran:
        trace = ran.communicate(timeout=60)[0].strip()
    items = view(store).api(f"/trace/{trace}/messages")["items"]
    (part,) = [
        part
        for item in items
        for message in item.get("new", ())
        for part in message["parts"]
        if "raised" in part
    ]
    assert part["raised"]["type"] == "KeyError"
    assert "the third drawer" in str(part["raised"]["message"])
    assert "the third drawer" not in str(part["result"])
