"""Content blocks of Anthropic Messages, as parts of a message and back.

What a part has no place for (signatures, citations, cache_control, ...) stays
in it under `anthropic_messages`, so that the block can be sent back as it was; of
a block of a kind without a part, that is all of it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from hudtrace.dialects.fields import as_text, json_or_none, plain
from hudtrace.messages import Part, named, parts_in

Json = dict[str, Any]
_PARTS: dict[str, tuple[str, dict[str, str]]] = {
    # block: its part, and which key of the part is which of the block
    "text": ("text", {"content": "text"}),
    "thinking": ("reasoning", {"content": "thinking"}),
    "tool_use": ("tool_call", {"id": "id", "name": "name", "arguments": "input"}),
    "tool_result": ("tool_call_response", {"id": "tool_use_id", "response": "content"}),
}
_BLOCKS = {part: (block, keys) for block, (part, keys) in _PARTS.items()}
_SOURCES: dict[str, tuple[str, dict[str, str]]] = {
    # source of an image or a document: its part, and keys likewise
    "base64": ("blob", {"mime_type": "media_type", "content": "data"}),
    "url": ("uri", {"uri": "url"}),
    "file": ("file", {"file_id": "file_id"}),
}
_SOURCE_OF = {part: (source, keys) for source, (part, keys) in _SOURCES.items()}
_SERVER_CALLS = ("server_tool_use", "mcp_tool_use")
_OURS = "anthropic_messages"
_EMPTY: tuple[Any, ...] = (None, "", [])


def read_block(block: Any) -> Part:
    """Read one block; one of a kind that we do not know is kept whole."""
    if isinstance(block, str):
        return {"type": "text", "content": block}
    wire = plain(block)
    if not isinstance(wire, dict):
        return {"type": "unknown", "content": wire}
    kind = wire.get("type")
    if not isinstance(kind, str):
        return {"type": "unknown", "content": wire}
    if kind in _PARTS:
        return _read_known(wire, *_PARTS[kind])
    if kind in ("image", "document"):
        return _read_source(wire)
    if kind in _SERVER_CALLS:
        part: Json = {"type": "server_tool_call", "id": wire.get("id")}
        part |= {"name": wire.get("name"), "server_tool_call": _without(wire, ())}
        return part  # type: ignore[return-value]
    if kind.endswith("_tool_result"):
        part = {"type": "server_tool_call_response", "id": wire.get("tool_use_id")}
        part["server_tool_call_response"] = _without(wire, ())
        return part  # type: ignore[return-value]
    return _kept(wire)


def _read_known(wire: Json, kind: str, keys: dict[str, str]) -> Part:
    part = {"type": kind, **{key: wire.get(theirs) for key, theirs in keys.items()}}
    if kind == "tool_call":
        part["name"] = str(part["name"] or "")
        part["arguments"] = {} if part["arguments"] is None else part["arguments"]
    elif kind == "tool_call_response":
        part["response"] = _read_response(part["response"])
    return _with_rest(part, _without(wire, ("type", *keys.values())))


def _read_response(content: Any) -> Any:
    """Read a tool's result: the text if there is nothing else, or its parts."""
    if not isinstance(content, list | tuple):
        return content
    parts = [read_block(block) for block in content]
    if len(parts) == 1 and parts[0].keys() == {"type", "content"}:
        text = parts[0]["content"]
        if parts[0]["type"] == "text" and isinstance(text, str):
            return text
    return parts


def _read_source(wire: Json) -> Part:
    source = plain(wire.get("source"))
    named = source.get("type") if isinstance(source, dict) else None
    if not isinstance(named, str) or named not in _SOURCES:
        return _kept(wire)
    kind, keys = _SOURCES[named]
    if set(source) - {"type", *keys.values()}:
        return _kept(wire)
    part = {key: source.get(theirs) for key, theirs in keys.items()}
    part = {"type": kind, "modality": wire["type"], **part}
    return _with_rest(part, _without(wire, ("type", "source")))


def _with_rest(part: Json, rest: Json) -> Part:
    return {**part, _OURS: rest} if rest else part  # type: ignore[return-value, typeddict-item]


def _kept(wire: Json) -> Part:
    return {"type": wire["type"], _OURS: wire}  # type: ignore[misc]


def _without(wire: Json, keys: Iterable[str]) -> Json:
    """Return what *wire* says besides *keys*; a null says nothing."""
    return {k: v for k, v in wire.items() if k not in keys and v not in _EMPTY}


def write_block(part: Part) -> Json | None:
    """Return *part* as a block, None where this format has none for it."""
    kind, rest = part["type"], rest_of(part)
    if "type" in rest:
        return dict(rest)
    if kind in _BLOCKS:
        return _write_known(part, *_BLOCKS[kind])
    if kind in _SOURCE_OF:
        return _write_source(part)
    if kind in ("server_tool_call", "server_tool_call_response"):
        wire = part.get(kind)
        named = str(wire.get("type")) if isinstance(wire, dict) else ""
        ours = named in _SERVER_CALLS or named.endswith("_tool_result")
        return dict(wire) if ours and isinstance(wire, dict) else None
    if kind == "refusal":
        return {"type": "text", "text": as_text(part.get("content"))}
    return None


def rest_of(part: Part) -> Json:
    """Return what of a part is this format's own."""
    rest = part.get(_OURS)
    return rest if isinstance(rest, dict) else {}


def _write_known(part: Part, kind: str, keys: dict[str, str]) -> Json:
    given: Json = dict(part)
    block = {"type": kind, **{theirs: given.get(key) for key, theirs in keys.items()}}
    if kind == "tool_use":
        block["input"] = _object(block["input"])
        block["id"] = block["id"] or ""
    elif kind == "tool_result":
        content = block.pop("content")
        if content is not None:
            block["content"] = _write_response(content)
    elif kind == "text":
        block["text"] = as_text(block["text"] or "")
    return {**block, **rest_of(part)}


def _write_response(response: Any) -> str | list[Json]:
    """Write what a tool returned: text, or blocks where there is more to it."""
    parts = [] if response == [] else parts_in(response)
    if parts is None:
        return as_text(response)
    return [block for block in map(write_block, parts) if block is not None]


def _object(arguments: Any) -> Json:
    """Return the arguments of a call as the object that they must be here."""
    if isinstance(arguments, dict):
        return arguments
    if isinstance(arguments, str):
        read = json_or_none(arguments.encode("utf-8", "replace"))
        if isinstance(read, dict):
            return read
    return {} if arguments in _EMPTY else {"INVALID_JSON": arguments}


def _write_source(part: Part) -> Json:
    kind = _medium(part)
    if kind is None:  # a sound or a video, which this API cannot be sent
        return {"type": "text", "text": named(part)}
    how, keys = _SOURCE_OF[part["type"]]
    given: Json = dict(part)
    source = {"type": how, **{theirs: given.get(key) for key, theirs in keys.items()}}
    return {"type": kind, "source": source, **rest_of(part)}


def _medium(part: Part) -> str | None:
    modality = part.get("modality")
    if modality in ("image", "document"):
        return modality
    is_document = part["type"] == "file" and modality is None
    if is_document or part.get("mime_type") == "application/pdf":
        return "document"
    return None
