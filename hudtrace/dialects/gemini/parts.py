"""Parts of Gemini's contents, read into parts of messages and written back.

What only Gemini needs to get a part back as it was (a thought's signature, a
blob's name) stays in the part: members of the wire part under their own name,
members inside it (of `functionCall`, say) under the name of what they are in,
and members that are not known here under `gemini`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from hudtrace.dialects.fields import list_of
from hudtrace.dialects.gemini.wires import base64_of, dict_of, wire_of
from hudtrace.messages import Part, parts_in, response_text

Json = dict[str, Any]
_BESIDE = frozenset(
    {
        *("thought", "thoughtSignature", "videoMetadata", "mediaResolution"),
        *("partMetadata", "mediaProcessing", "audioTranscription", "audioMetadata"),
        *("speechMetadata", "documentMetadata", "spreadsheetMetadata"),
    }
)
_SERVER_CALLS = ("executableCode", "toolCall")
_SERVER_RESULTS = ("codeExecutionResult", "toolResponse")


# Reading --------------------------------------------------------------------------


def read_part(piece: Any) -> Part:
    """Read one part of a content."""
    if isinstance(piece, str):
        return {"type": "text", "content": piece}
    wire = wire_of(piece)
    if not isinstance(wire, dict):
        return {"type": "unknown", "content": wire}
    for key, read in _READERS.items():
        if wire.get(key) is not None:
            part = read(key, wire[key])
            if part is not None:
                return _with_rest(part, wire, key)
    return {"type": "unknown", "gemini": wire}  # type: ignore[typeddict-unknown-key]


def is_plain(part: Part) -> bool:
    """Say whether *part* is text or thought and nothing besides."""
    return len(part) == 2 and part["type"] in ("text", "reasoning")


def _with_rest(part: Any, wire: Json, key: str) -> Part:
    if len(wire) == 1:
        return part  # type: ignore[no-any-return]
    rest = {n: value for n, value in wire.items() if n != key and value is not None}
    if part["type"] == "text" and rest.get("thought") is True:
        del rest["thought"]
        part["type"] = "reasoning"
    unknown = {name: rest.pop(name) for name in [*rest] if name not in _BESIDE}
    if "thoughtSignature" in rest:
        rest["thoughtSignature"] = base64_of(rest["thoughtSignature"])
    if unknown:
        rest["gemini"] = unknown
    return part | rest  # type: ignore[no-any-return]


def _read_text(_: str, value: Any) -> Json | None:
    return {"type": "text", "content": value} if isinstance(value, str) else None


def _read_call(key: str, value: Any) -> Json | None:
    inner = wire_of(value)
    if not isinstance(inner, dict):
        return None
    arguments = inner.get("args")
    part = {
        "type": "tool_call",
        "id": inner.get("id"),
        "name": str(inner.get("name") or ""),
        "arguments": {} if arguments is None else arguments,
    }
    return _with_inner(part, key, inner, ("id", "name", "args"))


def _read_result(key: str, value: Any) -> Json | None:
    inner = wire_of(value)
    if not isinstance(inner, dict):
        return None
    response = inner.get("response")
    if isinstance(response, dict) and response.keys() == {"result"}:
        value = response["result"]
        response = response if isinstance(value, dict) else value
    shown = _read_shown(inner.get("parts"))
    if shown and isinstance(response, str):
        inner = {name: value for name, value in inner.items() if name != "parts"}
        response = [
            *([{"type": "text", "content": response}] if response else ()),
            *shown,
        ]
    part = {"type": "tool_call_response", "id": inner.get("id"), "response": response}
    if not part["id"]:  # only the name says which call it answers
        part["name"] = str(inner.get("name") or "")
    return _with_inner(part, key, inner, ("id", "name", "response"))


def _read_shown(pieces: Any) -> list[Part]:
    """Read the images of a function's response; none if there is more to them."""
    parts = [read_part(piece) for piece in list_of(pieces)]
    plain = all(part.keys() == _BLOB and part["content"] for part in parts)
    return parts if plain else []


_BLOB = {"type", "modality", "mime_type", "content"}


def _read_blob(key: str, value: Any) -> Json | None:
    inner = wire_of(value)
    if not isinstance(inner, dict):
        return None
    kind = str(inner.get("mimeType") or "")
    part = {
        "type": "blob",
        "modality": kind.partition("/")[0] or "file",
        "mime_type": inner.get("mimeType"),
        "content": base64_of(inner.get("data")),
    }
    return _with_inner(part, key, inner, ("mimeType", "data"))


def _read_file(key: str, value: Any) -> Json | None:
    inner = wire_of(value)
    if not isinstance(inner, dict) or not isinstance(inner.get("fileUri"), str):
        return None
    kind = str(inner.get("mimeType") or "")
    part = {
        "type": "uri",
        "modality": kind.partition("/")[0] or "file",
        "uri": inner["fileUri"],
    }
    if kind:
        part["mime_type"] = kind
    return _with_inner(part, key, inner, ("mimeType", "fileUri"))


def _read_server_call(key: str, value: Any) -> Json | None:
    inner = wire_of(value)
    if not isinstance(inner, dict) or "type" in inner:
        return None
    inner = _given(inner)
    ran = "code_execution" if key == "executableCode" else inner.get("toolType")
    return {
        "type": "server_tool_call",
        "id": inner.get("id"),
        "name": str(ran or key).lower(),
        "server_tool_call": {"type": key, **inner},
    }


def _read_server_result(key: str, value: Any) -> Json | None:
    inner = wire_of(value)
    if not isinstance(inner, dict) or "type" in inner:
        return None
    return {
        "type": "server_tool_call_response",
        "id": inner.get("id"),
        "server_tool_call_response": {"type": key, **_given(inner)},
    }


def _with_inner(part: Json, key: str, inner: Json, known: tuple[str, ...]) -> Json:
    rest = {name: inner[name] for name in _given(inner) if name not in known}
    return {**part, key: rest} if rest else part


def _given(inner: Json) -> Json:
    return {
        name: value.value if isinstance(value, Enum) else value
        for name, value in inner.items()
        if value is not None
    }


#: By the member that says what a part is; the first that reads it, counts.
_READERS: Mapping[str, Callable[[str, Any], Json | None]] = {
    "functionCall": _read_call,
    "functionResponse": _read_result,
    "inlineData": _read_blob,
    "fileData": _read_file,
    **dict.fromkeys(_SERVER_CALLS, _read_server_call),
    **dict.fromkeys(_SERVER_RESULTS, _read_server_result),
    "text": _read_text,
}


# Writing --------------------------------------------------------------------------


def write_part(part: Any, names: Mapping[str, str]) -> Json | None:
    """Return a part as Gemini has it; None if it has no such thing.

    *names* are those of the functions that were called, by the call's id.
    """
    kind = part["type"]
    if kind == "unknown":
        return dict_of(part.get("gemini")) or None
    if kind == "tool_call_response":
        wire: Json | None = _write_result(part, names)
    elif kind in _WRITERS:
        wire = _WRITERS[kind](part)
    else:
        wire = None
    if wire is None:
        return None
    for key in wire.keys() & part.keys():
        if isinstance(wire[key], dict):
            wire[key] = {**wire[key], **dict_of(part[key])}
    beside = {key: part[key] for key in part if key in _BESIDE}
    return {**wire, **beside, **dict_of(part.get("gemini"))}


def _write_result(part: Any, names: Mapping[str, str]) -> Json:
    response = part.get("response")
    answer: Json = {"id": part["id"]} if part.get("id") else {}
    answer["name"] = part.get("name") or names.get(str(part.get("id"))) or "unknown"
    pieces = parts_in(response)
    if pieces is not None:
        shown = [each for each in pieces if each["type"] == "blob"]
        response = response_text([each for each in pieces if each not in shown])
        if shown:
            answer["parts"] = [_write_blob(each) for each in shown]
    answer["response"] = (
        response if isinstance(response, dict) else {"result": response}
    )
    return {"functionResponse": answer}


def _write_text(part: Any) -> Json:
    return {"text": str(part.get("content") or "")}


def _write_thought(part: Any) -> Json:
    return {**_write_text(part), "thought": True}


def _write_call(part: Any) -> Json:
    arguments = part.get("arguments")
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            arguments = {"arguments": arguments}
    call: Json = {"id": part["id"]} if part.get("id") else {}
    call["name"] = part.get("name")
    call["args"] = {} if arguments is None else arguments
    return {"functionCall": call}


def _write_blob(part: Any) -> Json:
    data = {"mimeType": part.get("mime_type"), "data": part.get("content")}
    return {"inlineData": data}


def _write_file(part: Any) -> Json:
    data = {"fileUri": part.get("uri") or part.get("file_id")}
    if part.get("mime_type"):
        data["mimeType"] = part["mime_type"]
    return {"fileData": data}


def _write_server_part(part: Any) -> Json | None:
    inner = dict_of(part.get(part["type"]))
    key = inner.get("type")
    if key not in (*_SERVER_CALLS, *_SERVER_RESULTS):
        return None  # another provider's
    return {key: {name: value for name, value in inner.items() if name != "type"}}


_WRITERS: Mapping[str, Callable[[Any], Json | None]] = {
    "text": _write_text,
    "reasoning": _write_thought,
    "tool_call": _write_call,
    "blob": _write_blob,
    "uri": _write_file,
    "file": _write_file,
    "server_tool_call": _write_server_part,
    "server_tool_call_response": _write_server_part,
}
