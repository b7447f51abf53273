"""Every error a client can get: its status, and a body in OpenAI's form."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import openai
import pytest
from server_kit import HUD, Serve, Server

import hudtrace as hud
from hudtrace.testing import ScriptedModel, call, error, say

Row = tuple[Callable[[Server], Any], int, str, str | None, str]


def chat(**fields: Any) -> Callable[[Server], Any]:
    return lambda server: server.say("Hi.", **fields)


def tool(name: str, **arguments: Any) -> Callable[[Server], Any]:
    body = {"name": name, "arguments": arguments}
    return lambda server: server.post("/v1/lifecycle-tools/call", body)


def raw(
    content: bytes, kind: str | None = "application/json"
) -> Callable[[Server], Any]:
    headers = {} if kind is None else {"content-type": kind}
    return lambda s: s.post("/v1/chat/completions", content=content, headers=headers)


def path(method: str, where: str) -> Callable[[Server], Any]:
    return lambda server: getattr(server, method)(where)


ROWS: dict[str, Row] = {
    "no scenario": (
        chat(),
        *(400, "missing_scenario", "scenario", "begin one with 'scenario'"),
    ),
    "no args": (
        chat(scenario="initials"),
        *(400, "missing_scenario_args", "scenario_args", "{} if it takes none"),
    ),
    "unknown scenario": (
        chat(scenario="initals", scenario_args={}),
        *(404, "scenario_not_found", "scenario", "it has: initials"),
    ),
    "unknown scenario, no args": (
        chat(scenario="initals"),
        *(404, "scenario_not_found", "scenario", "it has: initials"),
    ),
    "an argument is missing": (
        chat(scenario="initials", scenario_args={}),
        *(400, "invalid_scenario_args", "scenario_args", "company"),
    ),
    "an argument too much": (
        chat(scenario="initials", scenario_args={"company": "HUD", "x": 1}),
        *(400, "invalid_scenario_args", "scenario_args", "x"),
    ),
    "an argument of another type": (
        chat(scenario="initials", scenario_args={"company": [1]}),
        *(400, "invalid_scenario_args", "scenario_args", "company"),
    ),
    "args of another type": (
        chat(scenario="initials", scenario_args="HUD"),
        *(422, "invalid_request", "scenario_args", "dictionary"),
    ),
    "unknown session": (
        chat(thread_id="0123456789abcdef"),
        *(404, "session_not_found", None, "no session '01234567' here"),
    ),
    "steps out of range": (
        chat(**HUD, max_steps=101),
        *(422, "invalid_request", "max_steps", "less than or equal to 100"),
    ),
    "no messages": (
        lambda server: server.post("/v1/chat/completions", HUD),
        *(422, "invalid_request", "messages", "required"),
    ),
    "no JSON": (raw(b"{"), 400, "invalid_json", None, "not JSON"),
    "no JSON, nor said to be": (raw(b"{", None), 400, "invalid_json", None, "not JSON"),
    "nested too deeply": (
        raw(b"[" * 100_000),
        *(400, "invalid_json", None, "nested too deeply"),
    ),
    "no UTF-8": (raw(b'{"messages": "\xff"}'), 400, "invalid_json", None, "not JSON"),
    "as a form": (
        raw(b'{"messages": []}', "application/x-www-form-urlencoded"),
        *(415, "unsupported_media_type", None, "'Content-Type: application/json'"),
    ),
    "as text": (
        raw(b'{"messages": []}', "text/plain;charset=UTF-8"),
        *(415, "unsupported_media_type", None, "'Content-Type: application/json'"),
    ),
    "an image": (
        chat(
            **HUD,
            messages=[{"role": "user", "content": [{"type": "image_url"}]}],
        ),
        *(400, "unsupported_content", "messages.0.content", "image_url"),
    ),
    "no user at the end": (
        chat(**HUD, messages=[{"role": "assistant", "content": "x"}]),
        *(400, "invalid_messages", "messages.0.role", "'assistant'"),
    ),
    "tools of the client": (
        chat(**HUD, tools=[]),
        *(400, "unsupported_parameter", "tools", "the environment's"),
    ),
    **{
        f"{name} of the client": (
            chat(**HUD, **{name: value}),
            *(400, "unsupported_parameter", name, "it takes: "),
        )
        for name, value in {
            "extra_body": {"model": "other", "messages": []},
            "extra_headers": {"Authorization": "Bearer mine"},
            "extra_query": {"api-version": "1"},
            "timeout": 1e-6,
            "base_url": "http://127.0.0.1:9",
        }.items()
    },
    "two sessions": (
        lambda server: server.post(
            "/v1/chat/completions",
            {"messages": [{"role": "user", "content": "x"}], "thread_id": "b"},
            headers={"X-HUD-Session-Id": "a"},
        ),
        *(400, "invalid_request", "thread_id", "two sessions"),
    ),
    "two answers": (
        chat(**HUD, n=2),
        *(400, "unsupported_parameter", "n", "one answer"),
    ),
    "a number that is none": (
        raw(
            b'{"messages": [], "scenario": "initials", "scenario_args": '
            b'{"company": "HUD"}, "temperature": NaN}'
        ),
        *(400, "invalid_parameter", "temperature", "no JSON"),
    ),
    "unknown tool": (
        tool("scenario_stop"),
        *(400, "unknown_tool", "name", "there are: scenario_list"),
    ),
    "a tool without its argument": (
        tool("scenario_start", scenario="initials"),
        *(400, "invalid_arguments", "arguments.scenario_args", "required"),
    ),
    "a tool without a session": (
        tool("scenario_send", message="x"),
        *(400, "missing_session", "arguments.session_id", "which session"),
    ),
    "a tool on an unknown session": (
        tool("scenario_send", message="x", session_id="nope"),
        *(404, "session_not_found", None, "no session 'nope'"),
    ),
    "a model that is not served": (
        tool("scenario_start", **HUD, model="other"),
        *(404, "model_not_found", "model", "there are: gpt-4o"),
    ),
    "finishing an unknown session": (
        path("post", "/v1/sessions/nope/finish"),
        *(404, "session_not_found", None, "no session 'nope'"),
    ),
    "unknown path": (path("get", "/nothing"), 404, "not_found", None, "Not Found"),
    "wrong method": (
        path("get", "/v1/chat/completions"),
        *(405, "method_not_allowed", None, "Method Not Allowed"),
    ),
    "reading from /mcp": (
        path("get", "/mcp"),
        *(405, "method_not_allowed", None, "Method Not Allowed"),
    ),
}


TYPES = {
    401: "authentication_error",
    403: "permission_error",
    429: "rate_limit_error",
    500: "server_error",
    502: "provider_error",
    503: "server_error",
    504: "timeout_error",
}


def check(answer: Any, status: int, code: str, param: str | None, said: str) -> Any:
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert set(body["error"]) == {"message", "type", "code", "param"}
    assert (body["error"]["code"], body["error"]["param"]) == (code, param)
    assert body["error"]["type"] == TYPES.get(status, "invalid_request_error")
    assert said in body["error"]["message"]
    return body


def test_what_a_client_gets_wrong(serve: Serve) -> None:
    """Each mistake has its status, its code, the parameter, and a way out."""
    server = serve([])
    for name, (ask, *expected) in ROWS.items():
        try:
            check(ask(server), *expected)
        except AssertionError as failed:
            raise AssertionError(name) from failed
    assert not server.model.requests
    assert server.get("/v1/sessions").json() == {"sessions": []}


def test_a_session_is_finished(serve: Serve) -> None:
    """What is sent after the end is 404 with the reason; finishing stays possible."""
    server = serve([say("JR")])
    id = server.begin()
    report = server.finish(id).json()
    finished = (404, "session_finished", None, "finished")
    for streamed in (False, True):
        check(server.say("More?", thread_id=id, stream=streamed), *finished)
    arguments = {"session_id": id, "message": "More?"}
    sending = {"name": "scenario_send", "arguments": arguments}
    for place in ("/v1/lifecycle-tools/call", "/mcp/tools/call"):
        check(server.post(place, sending), *finished)
    assert server.finish(id).json() == report


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"scenario": "other"}, "scenario"),
        ({"scenario_args": {"company": "OpenAI"}}, "scenario_args"),
        ({"messages": [{"role": "system", "content": "New."}]}, "messages"),
    ],
)
def test_what_was_settled_at_the_beginning(
    serve: Serve, fields: dict[str, Any], param: str
) -> None:
    """A running session takes no other scenario, arguments or system prompt: 409."""
    server = serve([say("a"), say("b")])
    id = server.begin()
    check(
        server.say("Hi.", **{"thread_id": id, **fields}),
        *(409, "session_conflict", param, "as it was begun"),
    )
    assert server.say("Hi.", thread_id=id, **HUD).status_code == 200
    check(server.say("", thread_id=id), 400, "missing_message", "messages", "not empty")


def test_a_provider_that_fails(serve: Serve) -> None:
    """502 with its message; a first turn ends its session, a later one does not."""
    script = [error(400, "no such engine"), say("a"), error(500, "down"), say("JR")]
    server = serve(script)
    body = check(
        server.say("Go.", **HUD), 502, "provider_error", None, "no such engine"
    )
    assert body["hud"]["session_ended"] == "failed"
    check(
        server.say("Go.", thread_id=body["hud"]["session_id"]),
        *(404, "session_failed", None, "could not go on"),
    )
    id = server.begin()
    body = check(server.say("More.", thread_id=id), 502, "provider_error", None, "down")
    assert body["hud"]["session_ended"] is None
    assert server.say("More.", thread_id=id).status_code == 200
    assert server.finish(id).json()["reward"] == 1.0


def test_a_key_in_a_providers_message_is_not_passed_on(serve: Serve) -> None:
    """Credentials are taken out of what clients are told."""
    key = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789ABCDEFGH"
    server = serve([error(401, f"Incorrect API key provided: {key}")])
    answer = server.say("Go.", **HUD)
    assert answer.status_code == 502
    assert key not in answer.text


def test_an_answer_that_takes_too_long(serve: Serve) -> None:
    """504; the message counts as not sent, and the session goes on."""
    server = serve([say("a"), say("late", delay=60), say("JR")], turn_timeout=3)
    id = server.begin()
    check(server.say("Hm?", thread_id=id), 504, "turn_timeout", None, "not sent")
    assert server.say("Now?", thread_id=id).status_code == 200
    assert len(server.model.requests[-1].conversation) == 3


def test_too_many_sessions(serve: Serve) -> None:
    """429 at the limit, with a time to try again; finishing one makes room."""
    server = serve([say("a"), say("b"), say("c")], max_sessions=2)
    ids = [server.begin(), server.begin()]
    refused = server.say("Go.", **HUD)
    check(refused, 429, "too_many_sessions", None, "2 sessions are open")
    assert refused.headers["retry-after"] == "1"
    server.finish(ids[0])
    server.begin()


def test_a_stream_that_fails(serve: Serve) -> None:
    """An event with the error, then [DONE]; OpenAI's client raises it."""
    script = [say("hello"), say("one two three four five").but(cut_after=3)]
    server = serve([*script, error(400, "again")])
    id = server.begin()
    fields = {"thread_id": id, "stream": True}
    for said in ("", "again"):
        answer = server.say("Go.", **fields)
        assert answer.status_code == 200
        *_, failed, done = filter(None, answer.text.split("\n\n"))
        assert done == "data: [DONE]"
        assert '"code":"provider_error"' in failed
        assert said in failed
    with openai.OpenAI(base_url=f"{server.origin}/v1", api_key="k") as client:
        with pytest.raises(openai.APIError, match="the script has only"):
            for _ in client.chat.completions.create(
                model="m",
                messages=[{"role": "user", "content": "x"}],
                stream=True,
                extra_body={"thread_id": id},
            ):
                pass


def test_an_environment_that_fails(serve: Serve) -> None:
    """A set-up that raises is a 500, and so is a tool that ends the session with it.

    Their messages are in the trace alone: they could tell the answer.
    """
    env = hud.Environment("broken")

    @env.tool()
    def press() -> str:
        raise hud.EnvironmentFailure("PRIVATE")

    @env.scenario("dead")
    def dead() -> Any:
        raise RuntimeError("PRIVATE")
        yield ""

    @env.scenario("dying")
    def dying() -> Any:
        yield "Press."
        yield 1.0

    pressing = call(("press", {}))
    server = serve([say("a"), pressing, say("a"), pressing], env=env)
    begun = {"scenario": "dead", "scenario_args": {}}
    start = {"name": "scenario_start", "arguments": begun}
    for answer in (
        server.say("Go.", **begun),
        server.say("Go.", **begun, stream=True),
        server.post("/v1/lifecycle-tools/call", start),
    ):
        expected = 500, "environment_error", None, "could not be run (RuntimeError)"
        body = check(answer, *expected)
        assert body["hud"]["trace_url"] in body["error"]["message"]
        assert "PRIVATE" not in answer.text
    for stream in (False, True):
        id = server.begin(scenario="dying", scenario_args={})
        answer = server.say("Now.", thread_id=id, stream=stream)
        assert "environment_error" in answer.text
        assert '"session_ended":"failed"' in answer.text
        assert "EnvironmentFailure); see its trace: http" in answer.text
        assert "PRIVATE" not in answer.text


def test_a_grader_that_fails(serve: Serve, stored: Any) -> None:
    """Finish answers 200 with no reward, the outcome and the type of what was raised.

    What it says is in the trace: it could tell the answer.
    """
    env = hud.Environment("graded")

    @env.scenario("bad")
    def bad() -> Any:
        yield "Say something."
        raise KeyError("PRIVATE")

    server = serve([say("x")], env=env)
    report = server.finish(server.begin(scenario="bad", scenario_args={}))
    assert report.status_code == 200
    told = report.json()
    assert (told["reward"], told["outcome"]) == (None, "grader_error")
    assert told["error"] == "KeyError"
    assert "PRIVATE" not in report.text
    assert "PRIVATE" in str([span.events for span in stored(told["trace_id"])])


def test_an_option_that_the_api_behind_lacks(serve: Serve) -> None:
    """What cannot be handed on is refused by name, instead of dropped."""

    def client(model: ScriptedModel) -> Any:
        import anthropic

        return anthropic.AsyncAnthropic(api_key="k", base_url=model.origin)

    server = serve([say("x")], make_client=client)
    check(
        server.say("Go.", **HUD, logit_bias={}),
        *(400, "unsupported_parameter", "logit_bias", "it takes: max_completion"),
    )


def test_exits_end_nothing_else(serve: Serve) -> None:
    """`sys.exit()` in a tool, a set-up or a grader is an error, and the server lives."""
    env = hud.Environment("exits")

    @env.tool()
    async def command() -> str:
        sys.exit("usage: command")

    @env.scenario("run")
    def run(when: str) -> Any:
        if when == "set-up":
            sys.exit(2)
        yield "Run the command."
        if when == "grade":
            sys.exit(3)
        yield 1.0

    def answer(request: Any) -> Any:
        return call(("command", {})) if len(request.conversation) == 1 else say("Done.")

    server = serve(answer, env=env)
    outcomes = {"never": "scored", "grade": "grader_error"}
    for when, outcome in outcomes.items():
        begun = server.say(None, scenario="run", scenario_args={"when": when}).json()
        (made,) = begun["hud"]["tool_calls"]
        assert made["is_error"]
        report = server.finish(begun["hud"]["session_id"]).json()
        assert report["outcome"] == outcome
    failed = server.say(None, scenario="run", scenario_args={"when": "set-up"})
    assert failed.status_code == 500
    assert failed.json()["error"]["code"] == "environment_error"
    assert server.get("/health").status_code == 200
