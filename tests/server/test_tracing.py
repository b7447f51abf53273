"""Traces of served sessions: the request in its caller's, the turn in the episode's."""

from __future__ import annotations

from typing import Any

import httpx
from server_kit import HUD, Serve, until

import hudtrace as hud
from hudtrace import runtime
from hudtrace.store import queries
from hudtrace.testing import call, say, span_tree

LOOKUP = call(("lookup_ceo", {"company": "HUD"}))
CALLER = "0af7651916cd43dd8448eb211c80319c"
PARENT = {"traceparent": f"00-{CALLER}-b7ad6b7169203331-00"}


def begin(serve: Serve, **options: Any) -> tuple[Any, Any]:
    server = serve([LOOKUP, say("Jay Ram"), say("JR")], **options)
    body = {**HUD, "messages": [{"role": "user", "content": "Go."}]}
    headers = {**PARENT, "baggage": "secret=1", "x-token": "hush-hush"}
    answer = server.post("/v1/chat/completions", body, headers=headers).json()
    return server, answer["hud"]


def test_the_trace_is_whole_when_finish_answers(serve: Serve, stored: Any) -> None:
    """Set-up, every turn of every message, and the reward: one trace, all in store."""
    server, meta = begin(serve)
    server.say("Shorter.", thread_id=meta["session_id"])
    report = server.finish(meta["session_id"]).json()
    with runtime.get_runtime().pipeline.reading() as db:
        spans = queries.spans(db, report["trace_id"])
    assert span_tree(spans) == (
        "eval trivia:initials reward=1.0 outcome=scored\n"
        "├─ setup\n"
        "├─ invoke_agent agent\n"
        "│  ├─ turn 1\n"
        "│  │  ├─ chat gpt-4o\n"
        "│  │  └─ execute_tool lookup_ceo\n"
        "│  ├─ turn 2\n"
        "│  │  └─ chat gpt-4o\n"
        "│  └─ turn 3\n"
        "│     └─ chat gpt-4o\n"
        "└─ reward score=1.0"
    )
    root = next(s for s in spans if s.name.startswith("eval "))
    assert root.attributes["hud.session.end_reason"] == "finished"
    assert root.attributes["hud.session.id"] == meta["session_id"][:8]


def test_requests_and_turns_are_linked_both_ways(serve: Serve, stored: Any) -> None:
    """An unsampled caller's trace has the request's span; each has the other's id."""
    server, meta = begin(serve)
    server.finish(meta["session_id"])
    (request,) = stored(CALLER)
    assert request.name == "POST /v1/chat/completions"
    assert request.parent_id == "b7ad6b7169203331"
    assert request.attributes["http.response.status_code"] == 200
    assert request.attributes["http.route"] == "/v1/chat/completions"
    turns = [s for s in stored(meta["trace_id"]) if s.name == "turn"]
    assert links(request) == {
        (meta["trace_id"], t.span_id, "episode_turn") for t in turns
    }
    for turn in turns:
        assert links(turn) == {(CALLER, request.span_id, "http_request")}
    root = next(s for s in stored(meta["trace_id"]) if s.name.startswith("eval "))
    assert links(root) == {(CALLER, request.span_id, "caller")}


def test_nothing_of_requests_is_a_secret(serve: Serve, stored: Any) -> None:
    """No header, key or whole session id is in any span; baggage goes nowhere."""
    server, meta = begin(serve)
    server.finish(meta["session_id"])
    spans = [*stored(CALLER), *stored(meta["trace_id"])]
    written = str([(s.name, s.attributes, s.events) for s in spans])
    for secret in ("hush-hush", "secret=1", meta["session_id"], "upstream"):
        assert secret not in written


def test_a_live_session_is_in_the_store(serve: Serve, stored: Any) -> None:
    """While it is open its episode is there, running, with the turns so far."""
    _, meta = begin(serve)
    until(lambda: any(s.name.startswith("eval ") for s in stored(meta["trace_id"])))
    spans = stored(meta["trace_id"])
    root = next(s for s in spans if s.name.startswith("eval "))
    assert root.end is None
    assert sum(s.name == "turn" for s in spans) == 2
    with runtime.get_runtime().pipeline.reading() as db:
        (episode,) = queries.episodes(db)
    assert episode.trace_id == meta["trace_id"]
    assert episode.outcome is None


def test_errors_are_on_the_span_of_the_request(serve: Serve, stored: Any) -> None:
    """A 5xx is an error, a 4xx is not; paths without a route add no names."""
    server = serve([hud.testing.error(500, "down")])
    for body, status in (({"messages": []}, 400), ({**HUD, "messages": []}, 502)):
        assert (
            server.post("/v1/chat/completions", body, headers=PARENT).status_code
            == status
        )
    httpx.get(f"{server.origin}/what/ever", headers=PARENT)
    by_status = {s.attributes["http.response.status_code"]: s for s in stored(CALLER)}
    assert "error.type" not in by_status[400].attributes
    assert by_status[502].attributes["error.type"] == "502"
    assert by_status[404].name == "GET"


def test_health_checks_leave_no_span(serve: Serve, stored: Any) -> None:
    """They come every few seconds, from monitors."""
    server = serve([])
    server.get("/health", headers=PARENT)
    assert stored(CALLER) == []


def test_metadata_is_recorded(serve: Serve, stored: Any) -> None:
    """The client's `metadata`, the agent's name and the job are on the episode."""
    server = serve([say("JR")], agent="helper@2", job="nightly")
    id = server.begin(metadata={"run": "7"})
    root = next(
        s
        for s in stored(server.finish(id).json()["trace_id"])
        if s.name.startswith("eval ")
    )
    assert root.attributes["hud.metadata.run"] == "7"
    assert root.attributes["hud.agent.name"] == "helper"
    assert root.attributes["hud.job.id"] == "nightly"


def test_a_client_in_the_same_process(serve: Serve, connect: Any, stored: Any) -> None:
    """Its own call of the server is none of the session's model calls."""
    server = serve([say("a"), say("JR")])
    id = server.begin()
    connect(server).chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "More."}],
        extra_body={"thread_id": id},
    )
    report = server.finish(id).json()
    assert report["turns"] == 2
    chats = [s for s in stored(report["trace_id"]) if s.name == "chat gpt-4o"]
    assert len(chats) == 2


def links(span: Any) -> set[tuple[str, str, str]]:
    return {
        (
            link.trace_id,
            link.span_id,
            link.attributes["hud.link"],
        )
        for link in span.links
    }
