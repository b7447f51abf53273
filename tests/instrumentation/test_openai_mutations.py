"""Odd payloads of the openai client: what we read of them never harms its user."""

from __future__ import annotations

import gc
import json
import random
import time
import traceback
from pathlib import Path
from typing import Any

import pytest
from openai import OpenAI

import hudtrace as hud
from hudtrace import notices
from hudtrace.dialects import openai_chat, openai_responses
from hudtrace.messages import Message, ModelReply, Usage, text_message
from hudtrace.testing import ScriptedReply, captured_spans, say

OURS = Path(hud.__file__).parent
ODD: list[Any] = [None, 0, -1, 2.5, True, "", "x", [], {}, [None], {"a": None}]
ASKED: list[Message] = [
    text_message("system", "be brief"),
    {
        "role": "user",
        "parts": [
            {"type": "text", "content": "look"},
            {"type": "uri", "modality": "image", "uri": "https://x.test/a.png"},
        ],
    },
]
SAID: Message = {
    "role": "assistant",
    "parts": [
        {"type": "text", "content": "let me see"},
        {"type": "tool_call", "id": "c1", "name": "f", "arguments": {"a": 1}},
    ],
}
TOLD: Message = {
    "role": "tool",
    "parts": [{"type": "tool_call_response", "id": "c1", "response": "X"}],
}
REPLY = ModelReply([SAID], ["tool_call"], "r1", "m", Usage(10, 5, 3, 0, 2))
APIS = [openai_chat, openai_responses]
apis = pytest.mark.parametrize("dialect", APIS, ids=lambda d: d.name)


def mutated(value: Any, chance: random.Random) -> Any:
    """Return *value* with something in it replaced by something odd."""
    if chance.random() < 0.08:
        return chance.choice(ODD)
    if isinstance(value, dict):
        return {key: mutated(child, chance) for key, child in value.items()}
    if isinstance(value, list):
        return [mutated(child, chance) for child in value]
    return value


def events_of(dialect: Any, chance: random.Random) -> bytes:
    events = [mutated(event, chance) for event in dialect.write_chunks(REPLY)]
    return b"\n\n".join(b"data: " + json.dumps(event).encode() for event in events)


@apis
def test_reading_never_raises(dialect: Any) -> None:
    """Requests, answers and streams with anything odd in them can be read."""
    request = dialect.write_request("m", [*ASKED, SAID, TOLD, SAID])
    for seed in range(1500):
        chance = random.Random(seed)
        asked = mutated(request, chance)
        if isinstance(asked, dict):
            dialect.read_request(asked)
            for wire in dialect.request_messages(asked):
                hash(dialect.message_key(wire))
        body = mutated(dialect.write_response(REPLY), chance)
        dialect.read_response(body)
        sse = events_of(dialect, chance)
        for raw, stream in ((json.dumps(body).encode(), False), (sse, True)):
            dialect.read_body(raw, stream=stream)
            dialect.body_usage(raw, stream=stream)
            dialect.body_error(raw, stream=stream)
            dialect.body_complete(raw, stream=stream)


def our_faults() -> int:
    found = notices._counts.items()
    return sum(count for key, count in found if key.startswith("internal:"))


def call(client: OpenAI, dialect: Any, body: Any, stream: bool) -> Any:
    """Send *body* past the client's own types, as a stream or not."""
    surface: Any = client.responses
    if dialect is openai_chat:
        surface = client.chat.completions
    fields = body if isinstance(body, dict) else {}
    key = "messages" if dialect is openai_chat else "input"
    answer = surface.create(
        model="scripted-1",
        **{key: fields.get(key, [])},
        stream=stream,
        extra_body={k: v for k, v in fields.items() if k not in (key, "model")},
    )
    return list(answer) if stream else answer


@apis
@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.filterwarnings("ignore")  # the client's own, of what it did not expect
def test_mutated_answers(
    dialect: Any,
    stream: bool,
    sync: OpenAI,
    store: object,
    replies: list[ScriptedReply],
) -> None:
    """Whatever is sent and answered, what the user gets is the client's own doing."""
    rounds = 15
    good = dialect.write_request("m", ASKED)
    before = our_faults()
    for seed in range(rounds):
        chance = random.Random(seed)
        raw = json.dumps(mutated(dialect.write_response(REPLY), chance)).encode()
        if stream:
            raw = events_of(dialect, chance).removeprefix(b"data: ")
        replies[:] = [*replies[:seed], *[say("x").but(raw=raw)] * 4]
    with captured_spans() as caught:
        for seed in range(rounds):
            # Every third request is odd itself, and the server refuses most of those.
            asked = mutated(good, random.Random(seed)) if seed % 3 == 2 else good
            try:
                call(sync, dialect, asked, stream)
            except Exception as error:
                raised_in = traceback.extract_tb(error.__traceback__)[-1].filename
                assert not Path(raised_in).is_relative_to(OURS)
        gc.collect()
        for _ in range(200):  # a dropped stream's span ends on another thread
            if len(caught) < rounds:
                time.sleep(0.01)
    assert hud.flush(10)
    assert [span.name for span in caught] == ["chat scripted-1"] * rounds
    assert our_faults() == before
