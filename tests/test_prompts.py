"""Prompts of several pieces: every usual form reaches every API."""

from __future__ import annotations

import base64
import json
from typing import Any

import mcp.types
import pytest
from google.genai import types

import hudtrace as hud
from hudtrace.dialects import DIALECTS
from hudtrace.errors import ScenarioProtocolError
from hudtrace.messages import Message, Prompt, user_message
from hudtrace.prompts import read_prompt

DATA = b"\x89PNG\r\n\x1a\n" + b"\0" * 8
BASE64 = base64.b64encode(DATA).decode()
URL = f"data:image/png;base64,{BASE64}"
IMAGE = {"type": "blob", "modality": "image", "mime_type": "image/png"}
SOURCE = {"type": "base64", "media_type": "image/png", "data": BASE64}
INLINE = {"mime_type": "image/png", "data": BASE64}
IMAGES: dict[str, Any] = {
    "hud.Image": hud.Image(DATA),
    "bytes": DATA,
    "mcp dict": hud.Image(DATA).block(),
    "mcp object": mcp.types.ImageContent(
        type="image", data=BASE64, mimeType="image/png"
    ),
    "chat": {"type": "image_url", "image_url": {"url": URL}},
    "chat, loosely": {"type": "image_url", "image_url": URL},
    "responses": {"type": "input_image", "image_url": URL},
    "anthropic": {"type": "image", "source": SOURCE},
    "gemini": {"inline_data": INLINE},
    "gemini, camel": {"inlineData": {"mimeType": "image/png", "data": BASE64}},
    "gemini object": types.Part.from_bytes(data=DATA, mime_type="image/png"),
    "part": {**IMAGE, "content": BASE64},
}
AT = "https://example.com/a.png"
ADDRESSES: dict[str, Any] = {
    "chat": {"type": "image_url", "image_url": {"url": AT, "detail": "high"}},
    "responses": {"type": "input_image", "image_url": AT},
    "anthropic": {"type": "image", "source": {"type": "url", "url": AT}},
    "gemini": {"file_data": {"file_uri": AT, "mime_type": "image/png"}},
    "mcp": {"type": "resource_link", "uri": AT, "name": "a", "mimeType": "image/png"},
    "part": {"type": "uri", "modality": "image", "uri": AT},
}
TEXTS: dict[str, Any] = {
    "str": "hi",
    "text": {"type": "text", "text": "hi"},
    "responses": {"type": "input_text", "text": "hi"},
    "gemini": {"text": "hi"},
    "cached": {"type": "text", "text": "hi", "cache_control": {"type": "ephemeral"}},
    "part": {"type": "text", "content": "hi"},
    "resource": {"type": "resource", "resource": {"uri": "file:///a", "text": "hi"}},
}


def parts_of(*pieces: Any) -> list[Any]:
    prompt = read_prompt(list(pieces), "s")
    assert isinstance(prompt, Prompt)
    return prompt.parts


@pytest.mark.parametrize("form", IMAGES)
@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_an_image_in_any_form_reaches_any_api(dialect: Any, form: str) -> None:
    """However a scenario gives an image, each API gets it as its own."""
    prompt = read_prompt(["What is it?", IMAGES[form]], "s")
    assert isinstance(prompt, Prompt)
    assert {**prompt.parts[1], "content": "…"} == {**IMAGE, "content": "…"}
    written = dialect.write_request("m", [user_message(prompt)])
    (message,) = dialect.read_request(written).messages
    assert [part["type"] for part in message["parts"]] == ["text", "blob"]
    assert message["parts"][1]["content"] == BASE64


@pytest.mark.parametrize("form", ADDRESSES)
def test_an_image_by_its_address(form: str) -> None:
    """An image that is somewhere else is named by its address."""
    (part,) = parts_of(ADDRESSES[form])
    assert (part["type"], part["modality"], part["uri"]) == ("uri", "image", AT)


@pytest.mark.parametrize("form", TEXTS)
def test_text_in_any_form(form: str) -> None:
    """Text is text, whichever API's."""
    (part,) = parts_of(TEXTS[form])
    assert (part["type"], part["content"]) == ("text", "hi")


def test_files_and_sounds() -> None:
    """Documents and audio are read from every form, too."""
    pdf = f"data:application/pdf;base64,{BASE64}"
    for piece in (
        {"type": "file", "file": {"filename": "a.pdf", "file_data": pdf}},
        {"type": "input_file", "filename": "a.pdf", "file_data": pdf},
        {
            "type": "document",
            "source": {**SOURCE, "media_type": "application/pdf"},
        },
    ):
        (part,) = parts_of(piece)
        assert (part["modality"], part["mime_type"], part["content"]) == (
            "document",
            "application/pdf",
            BASE64,
        )
    sound = {"data": BASE64, "format": "wav"}
    (part,) = parts_of({"type": "input_audio", "input_audio": sound})
    assert (part["modality"], part["mime_type"]) == ("audio", "audio/wav")
    (part,) = parts_of({"type": "file", "file": {"file_id": "f"}})
    assert part == {"type": "file", "file_id": "f"}


@pytest.mark.parametrize("dialect", DIALECTS, ids=lambda d: d.name)
def test_nothing_is_lost_silently(dialect: Any) -> None:
    """What an API has no place for is named in words at least."""
    parts: list[Any] = [
        {
            "type": "blob",
            "modality": "audio",
            "mime_type": "audio/wav",
            "content": BASE64,
        },
        {"type": "uri", "modality": "document", "uri": "https://example.com/a.txt"},
        {
            "type": "blob",
            "modality": "video",
            "mime_type": "video/mp4",
            "content": "AA",
        },
    ]
    for part in parts:
        message: Message = {"role": "user", "parts": [part]}
        written = str(dialect.write_messages([message]))
        words = (BASE64, "a.txt", "AA", "[audio: audio/wav", "[video: video/mp4")
        assert any(word in written for word in words)


@pytest.mark.parametrize(
    ("piece", "words"),
    [
        ({"type": "image"}, "a dict of type 'image' with the keys type"),
        ({"type": "image_url", "image_url": {}}, "of type 'image_url'"),
        ({"type": "video_url", "video_url": {"url": "x"}}, "of type 'video_url'"),
        ({"image": "x"}, "a dict of type None with the keys image"),
        (object(), "of type object"),
        (3, "3 of type int"),
    ],
)
async def test_an_unreadable_block_is_refused_by_name(
    store: Any, piece: Any, words: str
) -> None:
    """The error says which block it is, what came, and what is taken."""
    env = hud.Environment("pictures")

    @env.scenario("look")
    async def look() -> Any:
        yield ["What is it?", piece]
        yield 1.0

    with pytest.raises(ScenarioProtocolError, match="block 1 cannot be read") as caught:
        async with hud.eval(look()):
            pass
    assert words in str(caught.value)
    assert "a hud.Image" in str(caught.value)


@pytest.mark.parametrize(
    "prompt", ["", " \n", [], ["", {"text": " "}], None, 3, {"type": "text"}]
)
async def test_an_empty_prompt_is_refused(store: Any, prompt: Any) -> None:
    """A prompt that asks nothing is the scenario's mistake, and said so."""
    env = hud.Environment("silent")

    @env.scenario("ask")
    def ask() -> Any:
        yield prompt
        yield 1.0

    with pytest.raises(ScenarioProtocolError, match="scenario 'ask' yielded"):
        async with hud.eval(ask()):
            pass


async def test_the_context_gives_what_was_yielded(stored: Any) -> None:
    """An agent's code sees the pieces as they were yielded; parts are recorded."""
    env = hud.Environment("pictures")
    pieces = ["What is it?", hud.Image(DATA), IMAGES["chat"]]

    @env.scenario("look")
    async def look() -> Any:
        yield pieces
        yield 1.0

    async with hud.eval(look()) as ctx:
        assert ctx.prompt == pieces
        assert ctx.prompt[1] is pieces[1]
    root = next(span for span in stored(ctx.trace_id) if span.parent_id is None)
    (recorded,) = [v for v in root.attributes.values() if "What is it?" in str(v)]
    assert json.loads(recorded) == parts_of(*pieces)
