"""Sessions: in order, one by one, ended in time, and never somebody else's."""

from __future__ import annotations

import contextlib
import json
import socket
import sqlite3
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
from server_kit import HUD, Serve, Server, until

import hudtrace as hud
from hudtrace.messages import text_of
from hudtrace.testing import ScriptedRequest, call, say
from hudtrace.testing.scripts import ScriptedReply, last_text

LOOKUP = call(("lookup_ceo", {"company": "HUD"}))


def test_parallel_messages_are_answered_in_order(serve: Serve) -> None:
    """Messages of one session never interleave, and each gets its own answer."""

    def echo(request: ScriptedRequest) -> ScriptedReply:
        return say(f"re: {last_text(request)}", delay=0.05)

    server = serve(echo)
    id = server.begin()
    with ThreadPoolExecutor(4) as threads:
        asked = [f"m{n}" for n in range(4)]
        answers = list(threads.map(lambda t: server.say(t, thread_id=id), asked))
    texts = [a.json()["choices"][0]["message"]["content"] for a in answers]
    assert texts == [f"re: {text}" for text in asked]
    roles = [m["role"] for m in server.model.requests[-1].conversation]
    assert roles == ["user", "assistant"] * 4 + ["user"]


def test_parallel_finishes_agree(serve: Serve) -> None:
    """All who finish a session get the same report, and it is graded once."""
    graded = []
    env = hud.Environment("once")

    @env.scenario("count")
    def count() -> Any:
        yield "Say."
        graded.append(1)
        time.sleep(0.2)
        yield 0.5

    server = serve([say("x")], env=env)
    id = server.begin(scenario="count", scenario_args={})
    with ThreadPoolExecutor(6) as threads:
        reports = list(threads.map(lambda _: server.finish(id), range(6)))
    assert {report.status_code for report in reports} == {200}
    assert len({report.text for report in reports}) == 1
    assert graded == [1]


def test_a_message_before_finish_counts(serve: Serve) -> None:
    """Finishing waits for the answer that is under way."""
    server = serve([say("Hm."), say("JR", delay=0.4)])
    id = server.begin()
    with ThreadPoolExecutor(1) as threads:
        sent = threads.submit(server.say, "Now.", thread_id=id)
        until(lambda: len(server.model.requests) == 2)
        report = server.finish(id).json()
        assert sent.result().status_code == 200
    assert (report["reward"], report["answer"]) == (1.0, "JR")


def test_parallel_sessions_are_apart(serve: Serve) -> None:
    """Each has a history, a trace and a reward of its own."""

    def right_for_hud(request: ScriptedRequest) -> ScriptedReply:
        wanted = text_of(request.conversation[0])
        return say("JR" if "HUD" in wanted else "I do not know")

    server = serve(right_for_hud)

    def run(number: int) -> tuple[str, float]:
        company = "HUD" if number % 2 else "OpenAI"
        id = server.begin(scenario_args={"company": company})
        server.say("Sure?", thread_id=id)
        report = server.finish(id).json()
        return report["trace_id"], report["reward"]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(run, range(16)))
    assert len({trace for trace, _ in found}) == 16
    assert [reward for _, reward in found] == [0.0, 1.0] * 8
    assert all(len(r.conversation) in (1, 3) for r in server.model.requests)


def test_an_idle_session_expires(serve: Serve, stored: Any) -> None:
    """It is refused at once, closed as abandoned, and graded if it has an answer."""
    server = serve([say("JR"), say("x")], session_ttl=1)
    answer = server.say("Go.", **HUD).json()["hud"]
    time.sleep(1.1)
    assert server.get("/v1/sessions").json()["sessions"] == []
    late = server.say("Still there?", thread_id=answer["session_id"])
    assert (late.status_code, late.json()["error"]["code"]) == (404, "session_expired")
    assert server.finish(answer["session_id"]).status_code == 404
    until(lambda: root_of(stored, answer["trace_id"]).end)
    root = root_of(stored, answer["trace_id"])
    assert root.attributes["hud.outcome"] == "abandoned"
    assert root.attributes["hud.reward"] == 1.0
    assert root.attributes["hud.session.end_reason"] == "expired"
    assert len(server.model.requests) == 1


def test_nobody_needs_to_come_back(serve: Serve) -> None:
    """The sweeper closes what is idle, and nothing of it stays."""
    server = serve([say("a")], session_ttl=0.3)
    server.begin()
    until(lambda: not server.service.sessions._open)


def test_leaving_a_stream_stops_the_turn(serve: Serve, stored: Any) -> None:
    """The model is stopped at once; the session goes on as if nothing was sent."""
    endless = say("word " * 400).but(chunk_delay=0.02)
    server = serve([say("Hello."), endless, say("JR")])
    id = server.begin()
    leave_stream(server, {"thread_id": id})
    until(lambda: not server.service.sessions.listed()[0].busy)
    assert server.say("In short?", thread_id=id).status_code == 200
    assert [m["role"] for m in server.model.requests[-1].conversation] == [
        *("user", "assistant", "user")
    ]
    report = server.finish(id).json()
    assert report["reward"] == 1.0
    chats = [s for s in stored(report["trace_id"]) if s.name.startswith("chat ")]
    broken = [s for s in chats if "hud.response.incomplete" in s.attributes]
    assert len(chats) == 3
    assert len(broken) == 1


def test_leaving_a_silent_stream(serve: Serve) -> None:
    """A client that leaves while the model has said nothing yet is noticed too."""
    server = serve([say("x", delay=30), say("JR")])
    leave_stream(server, HUD)
    until(lambda: not server.service.sessions.listed()[0].busy)
    (session,) = server.service.sessions.listed()
    answer = server.say("Again.", thread_id=session.id)
    assert answer.status_code == 200
    assert len(server.model.requests[-1].conversation) == 1
    assert server.finish(session.id).json()["reward"] == 1.0


def test_leaving_before_the_first_answer(serve: Serve) -> None:
    """Without a stream the client never learnt the session's id: it is ended."""
    server = serve([say("x", delay=30)])
    leave(server, {**HUD, "messages": []})
    until(lambda: not server.service.sessions._open)
    (ended,) = server.service.sessions._ended.values()
    assert ended.reason == "disconnected"


def test_leaving_a_later_message(serve: Serve) -> None:
    """The message counts as not sent, and the session goes on."""
    server = serve([say("a"), say("x", delay=30), say("JR")])
    id = server.begin()
    messages = [{"role": "user", "content": "lost"}]
    leave(server, {"thread_id": id, "messages": messages})
    assert server.say("Again.", thread_id=id).status_code == 200
    assert "lost" not in str(server.model.requests[-1])


def test_a_limit_ends_the_session_graded(serve: Serve) -> None:
    """The client gets what there is, and its reward at finish."""
    thinking = call(("lookup_ceo", {"company": "HUD"}), text="JR?")
    server = serve([thinking] * 9, limits=hud.Limits(tool_calls=2))
    answer = server.say("Go.", **HUD)
    assert answer.status_code == 200, answer.text
    meta = answer.json()["hud"]
    assert meta["stopped_by"] == "tool_calls"
    assert [made["name"] for made in meta["tool_calls"]] == ["lookup_ceo"] * 2
    more = server.say("Go on.", thread_id=meta["session_id"])
    assert (more.status_code, more.json()["error"]["code"]) == (404, "session_limit")
    report = server.finish(meta["session_id"]).json()
    assert (report["stopped_by"], report["reward"]) == ("tool_calls", 1.0)


def test_time_that_runs_out_between_messages(serve: Serve) -> None:
    """A limit on time ends an idle session too, with its last answer graded."""
    server = serve([say("JR")], limits=hud.Limits(time=2))
    id = server.begin()
    until(lambda: not server.service.sessions._open)
    assert server.say("More?", thread_id=id).status_code == 404
    report = server.finish(id).json()
    assert (report["stopped_by"], report["reward"]) == ("time", 1.0)


def test_a_slow_set_up_and_a_slow_grader(serve: Serve) -> None:
    """Neither counts as idle, however short a session's life is."""
    env = hud.Environment("slow")

    @env.scenario("slow")
    def slow() -> Any:
        time.sleep(2.4)
        answer = yield "Say."
        time.sleep(2.4)
        yield 1.0 if answer == "x" else 0.0

    server = serve([say("x")], env=env, session_ttl=2)
    id = server.begin(scenario="slow", scenario_args={})
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(server.finish, id)
        time.sleep(2.2)
        reports = [server.finish(id), first.result()]
    assert [report.json()["reward"] for report in reports] == [1.0, 1.0]


def test_ids_are_shown_whole_only_behind_a_key(serve: Serve) -> None:
    """Whoever reads the list could else send to the sessions of others."""
    server = serve([say("a")])
    id = server.begin()
    (shown,) = server.get("/v1/sessions").json()["sessions"]
    assert shown["session_id"] == f"{id[:8]}…"
    assert id not in str(shown)
    headers = {"authorization": "Bearer secret-key"}
    guarded = serve([say("a")], api_key="secret-key")
    body = {**HUD, "messages": []}
    begun = guarded.post("/v1/chat/completions", body, headers=headers).json()
    (shown,) = guarded.get("/v1/sessions", headers=headers).json()["sessions"]
    assert shown["session_id"] == begun["hud"]["session_id"]


def root_of(stored: Any, trace_id: str) -> Any:
    return next(s for s in stored(trace_id) if s.name.startswith("eval "))


def leave_stream(server: Server, fields: dict[str, Any]) -> None:
    """Begin to read a stream, and close the connection."""
    body = {"messages": [{"role": "user", "content": "Go."}], "stream": True, **fields}
    before = len(server.model.requests)
    with httpx.stream(
        "POST", f"{server.origin}/v1/chat/completions", json=body, timeout=20
    ) as stream:
        lines = stream.iter_lines()  # collecting it would close the connection
        assert next(lines)
        until(lambda: len(server.model.requests) > before)


def leave(server: Server, body: dict[str, Any]) -> None:
    """Send a request, and close the connection when the model has it."""
    before = len(server.model.requests)
    data = json.dumps(body).encode()
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            b"content-type: application/json\r\n"
            b"content-length: %d\r\n\r\n%s" % (len(data), data)
        )
        until(lambda: len(server.model.requests) > before)


def test_a_store_that_is_locked(serve: Serve, store: Path) -> None:
    """A session is begun all the same: what cannot be stored yet is not waited for."""
    server = serve([say("JR"), say("JR")])
    server.finish(server.begin())
    with contextlib.closing(sqlite3.connect(store, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        id = server.begin()
        db.execute("ROLLBACK")
    assert server.finish(id).json()["delivery"]["dropped"] == 0
