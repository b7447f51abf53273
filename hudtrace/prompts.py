"""A scenario's prompt: texts, images and the content blocks of any API, as parts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from hudtrace.dialects.fields import plain
from hudtrace.errors import ScenarioProtocolError
from hudtrace.messages import CONTENT, Part, Prompt, encodable
from hudtrace.tools import ContentBlock, content_block

Json = dict[str, Any]
ACCEPTED = (
    "a str, a hud.Image, an MCP content block (text, image, audio, resource, "
    "resource_link), a block of OpenAI (image_url, input_audio, file, input_text, "
    "input_image, input_file), of Anthropic (image or document with a source), of "
    "Gemini (text, inline_data, file_data), or a part of a hudtrace message (text, "
    "blob, uri, file)"
)


def read_prompt(prompt: Any, scenario: str) -> str | Prompt:
    """Check what *scenario* yielded first, and read its pieces as parts.

    Raises `ScenarioProtocolError` saying which piece is wrong, and what it may be.
    """
    where = f"scenario {scenario!r}"
    if isinstance(prompt, str):
        if not prompt.strip():
            raise ScenarioProtocolError(
                f"{where} yielded an empty prompt; its first yield is what the agent "
                f"is asked"
            )
        return prompt
    if not isinstance(prompt, list | tuple):
        raise ScenarioProtocolError(
            f"{where} yielded {prompt!r:.80} as its prompt; its first yield is a str "
            f"or a list of content blocks, each of them {ACCEPTED}"
        )
    parts = []
    for index, piece in enumerate(prompt):
        part = _part(piece)
        if part is None:
            raise ScenarioProtocolError(
                f"{where} yielded a prompt whose block {index} cannot be read: "
                f"{_described(piece)}; a block is {ACCEPTED}"
            )
        parts.append(part)
    if not any(part["type"] != "text" or part["content"].strip() for part in parts):
        raise ScenarioProtocolError(
            f"{where} yielded an empty prompt, {prompt!r:.80}; its first yield is what "
            f"the agent is asked"
        )
    return Prompt(prompt, parts)


def _part(piece: Any) -> Part | None:
    if isinstance(piece, str):
        return {"type": "text", "content": encodable(piece)}
    part = _reader(_kind(piece))(piece)
    if part is None:
        return None
    needed = CONTENT.get(str(part.get("type")))
    content = None if needed is None else part.get(needed)
    if not isinstance(content, str) or (not content and part["type"] != "text"):
        return None
    return part


def _kind(piece: Any) -> str:
    """Say whose block *piece* is, and of which kind: the key of its reader."""
    if not isinstance(piece, Mapping):
        if content_block(piece) is not None:
            return "mcp"
        piece = _plain(piece)
    kind = piece.get("type")
    if not isinstance(kind, str):
        return "gemini"
    if kind == "text" and "text" in piece:
        mcp_only = not set(piece) - {"type", "text", "annotations", "_meta"}
        return "mcp" if mcp_only else "anthropic"
    if kind in ("image", "document") and "source" in piece:
        return "anthropic"
    if kind == "file" and "file" in piece:
        return "openai_chat"
    return _OWNERS.get(kind, "mcp")


_OWNERS = {
    **dict.fromkeys(("image_url", "input_audio"), "openai_chat"),
    **dict.fromkeys(("input_text", "input_image", "input_file"), "openai_responses"),
    **dict.fromkeys(CONTENT, "hudtrace"),
}


def _read_mcp(piece: Any) -> Part | None:
    block = content_block(piece)
    return None if block is None else _block_part(block)


def _block_part(block: ContentBlock) -> Part:
    kind = block["type"]
    if kind == "text":
        return {"type": "text", "content": block.get("text")}
    if kind == "resource":
        return _resource_part(block.get("resource") or {})
    mime_type = block.get("mimeType")
    if kind == "resource_link":
        part: Part = {"type": "uri", "modality": _modality(mime_type)}
        part["uri"] = str(block.get("uri"))
        return part if mime_type is None else {**part, "mime_type": mime_type}
    return _blob(
        kind,
        mime_type or f"{kind}/{'png' if kind == 'image' else 'wav'}",
        block.get("data"),
    )


def _resource_part(resource: Any) -> Part:
    """Read the contents of an MCP resource: text, or base64 of a file."""
    text, mime_type = resource.get("text"), resource.get("mimeType")
    if isinstance(text, str):
        return {"type": "text", "content": encodable(text)}
    return _blob(_modality(mime_type), mime_type, resource.get("blob"))


def _blob(modality: str, mime_type: str | None, data: Any) -> Part:
    return {
        "type": "blob",
        "modality": modality,
        "mime_type": mime_type,
        "content": data,
    }


def _modality(mime_type: Any) -> str:
    family = str(mime_type or "").partition("/")[0]
    return family if family in ("image", "audio", "video") else "document"


def _read_own(piece: Any) -> Part:
    return dict(_plain(piece))  # type: ignore[return-value]


def _plain(piece: Any) -> Any:
    wire = plain(piece)
    return wire if isinstance(wire, Mapping) else {}


def _reader(kind: str) -> Callable[[Any], Part | None]:
    if kind == "hudtrace":
        return _read_own
    if kind not in _READERS:
        return _read_mcp
    module, name = _READERS[kind]
    read: Callable[[Any], Part | None] = getattr(
        import_module(f"hudtrace.dialects.{module}"), name
    )
    return read


_READERS = {
    "openai_chat": ("openai_chat.reading", "read_block"),
    "openai_responses": ("openai_responses.items", "read_block"),
    "anthropic": ("anthropic_messages.blocks", "read_block"),
    "gemini": ("gemini.parts", "read_part"),
}


def _described(piece: Any) -> str:
    kind = type(piece).__name__
    if isinstance(piece, Mapping):
        named = piece.get("type")
        keys = ", ".join(sorted(map(str, piece)))[:80] or "none"
        return f"a {kind} of type {named!r} with the keys {keys}"
    return f"{piece!r:.80} of type {kind}"
