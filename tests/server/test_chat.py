"""OpenAI's clients run scenarios: begin, go on, stream, finish."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from typing import Any

import anthropic
import openai
import pytest
from google import genai
from server_kit import HUD, Serve, Server

import hudtrace as hud
from hudtrace.messages import Usage, text_of
from hudtrace.testing import ScriptedModel, call, say

LOOKUP = call(("lookup_ceo", {"company": "HUD"}))
BEGIN: Any = [{"role": "user", "content": "Begin."}]
Connect = Callable[[Server], openai.OpenAI]


def test_a_session_from_beginning_to_reward(serve: Serve, connect: Connect) -> None:
    """Begin, go on by header and by each field, finish: one graded conversation."""
    answers = [say("Jay Ram"), say("one"), say("two"), say("three"), say("It is JR")]
    server = serve([LOOKUP, *answers])
    client = connect(server)
    first = client.chat.completions.create(
        model="gpt-4o", messages=BEGIN, extra_body=HUD
    )
    assert first.choices[0].message.content == "Jay Ram"
    assert first.choices[0].finish_reason == "stop"
    meta: Any = first.hud  # type: ignore[attr-defined]
    (called,) = meta["tool_calls"]
    assert (called["name"], called["result"]) == ("lookup_ceo", "Jay Ram")
    id = meta["session_id"]
    assert len(id) == 32
    assert id == meta["thread_id"] == meta["conversation_id"]
    ways: list[dict[str, Any]] = [
        {"extra_headers": {"X-HUD-Session-Id": id}},
        {"extra_body": {"thread_id": id}},
        {"extra_body": {"conversation_id": id}},
        {"extra_body": {"session_id": id}},
    ]
    for way, expected in zip(ways, answers[1:], strict=True):
        more = client.chat.completions.create(model="gpt-4o", messages=BEGIN, **way)
        assert more.choices[0].message.content == expected.text
        assert more.hud["trace_id"] == meta["trace_id"]  # type: ignore[attr-defined]
    report = server.finish(id).json()
    assert (report["reward"], report["outcome"]) == (1.0, "scored")
    assert report["answer"] == "It is JR"
    assert report["trace_url"].endswith(report["trace_id"])
    assert report["delivery"]["complete"] is True
    assert report["turns"] == 6
    roles = [m["role"] for m in server.model.requests[-1].conversation]
    assert roles == ["user", "assistant", "tool", *["assistant", "user"] * 4]


def test_a_stream(serve: Serve, connect: Connect) -> None:
    """Pieces come as the model makes them; tools and the session are told in `hud`."""
    slow = say("one two three four").but(chunk_delay=0.05)
    server = serve([LOOKUP, slow])
    chunks = list(
        connect(server).chat.completions.create(
            model="gpt-4o", messages=BEGIN, stream=True, extra_body=HUD
        )
    )
    assert all(len(chunk.choices) == 1 for chunk in chunks)
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert text == "one two three four"
    told: list[Any] = [c.hud for c in chunks if hasattr(c, "hud")]
    (called,) = [hud["tool_call"] for hud in told if "tool_call" in hud]
    (returned,) = [hud["tool_result"] for hud in told if "tool_result" in hud]
    assert (called["name"], called["arguments"]) == ("lookup_ceo", {"company": "HUD"})
    assert (returned["result"], returned["is_error"]) == ("Jay Ram", False)
    assert chunks[-1].choices[0].finish_reason == "stop"
    last: Any = chunks[-1].hud  # type: ignore[attr-defined]
    assert last["session_id"] == told[0]["session_id"]
    assert last["trace_url"].endswith(last["trace_id"])
    assert server.finish(last["session_id"]).json()["answer"] == text


def test_a_stream_with_usage(serve: Serve, connect: Connect) -> None:
    """With `include_usage` the last chunk has the real tokens, and `hud` too."""
    server = serve([say("JR", usage=Usage(11, 7, 3))])
    *_, last = connect(server).chat.completions.create(
        model="gpt-4o",
        messages=BEGIN,
        stream=True,
        stream_options={"include_usage": True},
        extra_body=HUD,
    )
    assert last.usage is not None
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (11, 7)
    assert not last.choices
    assert last.hud["session_id"]  # type: ignore[attr-defined]


async def test_the_async_client_and_its_stream_helper(serve: Serve) -> None:
    """`AsyncOpenAI`, and the helper that puts streams together, work as they do."""
    server = serve([say("hello there"), say("JR")])
    async with openai.AsyncOpenAI(
        base_url=f"{server.origin}/v1", api_key="any"
    ) as client:
        async with client.chat.completions.stream(
            model="gpt-4o", messages=BEGIN, extra_body=HUD
        ) as stream:
            final = await stream.get_final_completion()
        assert final.choices[0].message.content == "hello there"
        more = await client.chat.completions.create(
            model="gpt-4o",
            messages=BEGIN,
            extra_body={"thread_id": server.service.sessions.listed()[0].id},
        )
    assert more.choices[0].message.content == "JR"


def test_from_curl(serve: Serve) -> None:
    """The same by curl: an answer, a stream that ends with [DONE], a finish."""
    server = serve([say("hello"), say("JR")])
    url = f"{server.origin}/v1/chat/completions"

    def curl(address: str, body: Any = None) -> str:
        command = ["curl", "-sS", "-N", "-X", "POST", address]
        if body is not None:
            command += ["-H", "content-type: application/json", "-d", json.dumps(body)]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, timeout=30
        ).stdout

    first = json.loads(curl(url, {"messages": BEGIN, **HUD}))
    id = first["hud"]["session_id"]
    streamed = curl(url, {"messages": BEGIN, "stream": True, "thread_id": id})
    events = [line for line in streamed.split("\n\n") if line]
    assert events[-1] == "data: [DONE]"
    assert json.loads(events[-2].removeprefix("data: "))["hud"]["session_id"] == id
    assert json.loads(curl(f"{server.origin}/v1/sessions/{id}/finish"))["reward"] == 1.0


@pytest.mark.parametrize("api", ["responses", "anthropic", "gemini"])
def test_other_apis_behind(serve: Serve, api: Any) -> None:
    """Any client of a scenario chat can be behind; options go on in its own words."""

    def client(model: ScriptedModel) -> Any:
        if api == "anthropic":
            return anthropic.AsyncAnthropic(api_key="k", base_url=model.origin)
        if api == "gemini":
            return genai.Client(api_key="k", http_options={"base_url": model.origin})
        return openai.AsyncOpenAI(base_url=model.url, api_key="k")

    server = serve([LOOKUP, say("JR")], make_client=client, api=api)
    answer = server.say(
        "Go.", **HUD, temperature=0.5, max_tokens=77, metadata={"who": "me"}
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["choices"][0]["message"]["content"] == "JR"
    assert answer.json()["usage"]["completion_tokens"] > 0
    request = server.model.requests[0]
    sent = {**request, **request.get("generationConfig", {})}
    lengths = ("max_output_tokens", "max_tokens", "maxOutputTokens")
    assert [sent[name] for name in lengths if name in sent] == [77]
    assert sent["temperature"] == 0.5
    assert server.finish(answer.json()["hud"]["session_id"]).json()["reward"] == 1.0


def test_a_client_that_blocks(serve: Serve) -> None:
    """A sync client can be behind too; others are served meanwhile."""

    def client(model: ScriptedModel) -> Any:
        return openai.OpenAI(base_url=model.url, api_key="k")

    server = serve([LOOKUP, say("JR")], make_client=client)
    assert server.finish(server.begin()).json()["reward"] == 1.0


def test_a_stream_that_is_quiet(
    serve: Serve, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Comments keep the connection alive while the model is silent; clients skip them."""
    monkeypatch.setattr("hudtrace.server.streaming._QUIET", 0.1)
    server = serve([say("a", delay=0.5), say("b", delay=0.5)])
    answer = server.say("Go.", **HUD, stream=True).text
    assert answer.count(": still here\n\n") >= 2
    (session,) = server.service.sessions.listed()
    chunks = connect(server).chat.completions.create(
        model="gpt-4o",
        messages=BEGIN,
        stream=True,
        extra_body={"thread_id": session.id},
    )
    assert "".join(c.choices[0].delta.content or "" for c in chunks) == "b"


def test_options_hold_for_one_message(serve: Serve) -> None:
    """Options of a request go to the model, and not on to the next message."""
    server = serve([say("a"), say("b")], request={"top_p": 0.5})
    options = {"temperature": 0.1, "max_tokens": 9, "metadata": {"run": "7"}, "n": 1}
    id = server.begin(**options)
    server.say("More.", thread_id=id, seed=4)
    first, second = server.model.requests
    assert (first["temperature"], first["max_tokens"]) == (0.1, 9)
    assert first["metadata"] == {"run": "7"}
    assert first["top_p"] == second["top_p"] == 0.5
    assert second["seed"] == 4
    assert not {"temperature", "max_tokens", "metadata"} & second.keys()
    assert not {"scenario", "scenario_args", "thread_id", "n"} & (first | second).keys()


def test_the_model_that_answers_is_named(serve: Serve) -> None:
    """A served model answers if asked for, else the usual one; the answer says which."""
    server = serve([say("a"), say("b"), say("c")], models=["gpt-4o-mini"])
    id = server.begin()
    for asked, answers in (("gpt-4o-mini", "gpt-4o-mini"), ("placeholder", "gpt-4o")):
        answer = server.say("More.", thread_id=id, model=asked).json()
        assert answer["model"] == server.model.requests[-1]["model"] == answers
    listed = server.get("/v1/models").json()["data"]
    assert [model["id"] for model in listed] == ["gpt-4o", "gpt-4o-mini"]


def test_the_first_system_message_is_the_system_prompt(serve: Serve) -> None:
    """It opens the conversation; whole histories may be sent, and the server keeps its."""
    server = serve([say("a"), say("b")])
    system = {"role": "system", "content": "Be short."}
    mine = [system, {"role": "user", "content": "First."}]
    first = server.say(None, **HUD, messages=mine).json()
    mine += [first["choices"][0]["message"], {"role": "user", "content": "Second."}]
    server.say(None, messages=mine, thread_id=first["hud"]["thread_id"])
    conversation = server.model.requests[-1].conversation
    assert [m["role"] for m in conversation] == ["system", "user", "assistant", "user"]
    assert text_of(conversation[0]) == "Be short."
    assert text_of(conversation[1]).endswith("First.")


def test_texts_in_parts_and_no_text_at_all(serve: Serve) -> None:
    """Text parts are joined; without a user's message the prompt stands alone."""
    server = serve([say("a"), say("b")])
    parts = [{"type": "text", "text": "one"}, {"type": "text", "text": "two"}]
    messages = [{"role": "user", "content": parts}]
    assert server.say(None, **HUD, messages=messages).status_code == 200
    assert server.say(None, **HUD).status_code == 200
    first, second = (text_of(r.conversation[0]) for r in server.model.requests)
    assert first.endswith("one\ntwo")
    assert second == "What are the initials of the CEO of HUD?"


def test_half_characters(serve: Serve) -> None:
    """Text that UTF-8 cannot say is sent with marks in its place, also later on."""
    server = serve([say("a"), say("b")])
    half = [{"role": r, "content": "\ud83d!"} for r in ("system", "user")]
    headers = {"content-type": "application/json"}
    first = json.dumps({"messages": half, **HUD})
    begun = server.post("/v1/chat/completions", content=first, headers=headers)
    assert begun.status_code == 200, begun.text
    more = {"messages": half, "thread_id": begun.json()["hud"]["thread_id"]}
    more_text = json.dumps(more)
    answer = server.post("/v1/chat/completions", content=more_text, headers=headers)
    assert answer.status_code == 200, answer.text
    assert text_of(server.model.requests[-1].conversation[-1]) == "\ufffd!"


def test_steps_and_what_stopped_an_answer(serve: Serve) -> None:
    """`max_steps` bounds the turns of an answer, which says so."""
    server = serve([LOOKUP] * 3)
    answer = server.say("Go.", **HUD, max_steps=2).json()
    assert answer["hud"]["stopped_by"] == "turns"
    assert len(server.model.requests) == 2


def test_scenarios_are_listed_without_their_source(serve: Serve) -> None:
    """Names, arguments and defaults are there; the grader is not."""
    env = hud.Environment("listed")

    @env.scenario("find", description="Find a thing.")
    def find(what: str, tries: int = 3) -> Any:
        answer = yield what
        yield 1.0 if answer == "the secret of the grader" else 0.0

    server = serve([], env=env)
    listed = server.get("/scenarios")
    assert "secret" not in listed.text
    (scenario,) = listed.json()["scenarios"]
    assert (scenario["name"], scenario["short_name"]) == ("listed:find", "find")
    assert scenario["description"] == "Find a thing."
    assert scenario["required_args"] == ["what"]
    what, tries = scenario["arguments"]
    assert (what["name"], what["type"], what["required"]) == ("what", "string", True)
    assert (tries["type"], tries["default"]) == ("integer", 3)


def test_an_answer_of_ones_own(serve: Serve) -> None:
    """`answer` in the body of finish is graded instead of the model's."""
    server = serve([say("no idea")])
    assert server.finish(server.begin(), body={"answer": "JR"}).json()["reward"] == 1.0
