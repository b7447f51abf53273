"""Messages as providers and other tools write them, brought into the one form of ours.

Every instrumentor has its own words for the same few things; this knows all of them at
once, and keeps what it does not know as a part of its own kind.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hudtrace.messages import Message, Part

_TEXT = frozenset({"text", "input_text", "output_text"})
_REASONING = frozenset({"reasoning", "thinking"})
_CALL = frozenset({"tool_call", "tool-call", "tool_use", "function_call"})
_RESPONSE = frozenset(
    {"tool_call_response", "tool-result", "tool_result", "function_call_output"}
)
_IMAGE = frozenset({"image", "image_url", "input_image", "file"})


def message(given: Any, role: str = "user") -> Message:
    """Return what *given* says, whatever its form; *role* where it names none."""
    if not isinstance(given, Mapping):
        return {"role": role, "parts": _parts(given)}
    kind = given.get("type")
    if kind in _CALL | _RESPONSE and "role" not in given:  # an item of OpenAI's
        made = _part(given)
        return {"role": "assistant" if kind in _CALL else "tool", "parts": [made]}
    role = str(given.get("role") or role)
    listed = given.get("parts")
    parts = _parts(given.get("content") if listed is None else listed)
    if role in ("tool", "function") and _has_no_response(parts):
        answers = given.get("tool_call_id") or given.get("id")
        parts = [_response(answers, _plain(parts), given.get("name"))]
    reasoning = given.get("reasoning") or given.get("reasoning_content")
    if isinstance(reasoning, str):
        parts.insert(0, {"type": "reasoning", "content": reasoning})
    known = {part.get("id") for part in parts if part.get("type") == "tool_call"}
    calls = [_call(each) for each in _listed(given.get("tool_calls"))]
    parts += [call for call in calls if call.get("id") not in known or not known]
    if isinstance(given.get("function_call"), Mapping):
        parts.append(_call(given["function_call"]))
    return {"role": role, "parts": parts}


def messages(given: Any, role: str = "user") -> list[Message]:
    """Return the messages of a list, or of JSON text that is one."""
    given = loaded(given)
    if given is None or given == "":
        return []
    return [message(each, role) for each in _listed(given, whole=True)]


def loaded(value: Any) -> Any:
    """Return what a JSON text says; anything else as it is."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "[", '"'):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        return value


def listed(value: Any) -> list[Any]:
    """Return *value* as a list, of JSON texts what they say: tools, choices."""
    return [loaded(each) for each in _listed(loaded(value), whole=True)]


def _listed(value: Any, *, whole: bool = False) -> list[Any]:
    if isinstance(value, str):
        value = loaded(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return list(value)
    return [value] if whole and value is not None else []


def _parts(content: Any) -> list[Part]:
    if content is None or content == "":
        return []
    if isinstance(content, str) and content.startswith('[{"'):
        content = loaded(content)
    if isinstance(content, Mapping):
        content = [content]
    if isinstance(content, Sequence) and not isinstance(content, str | bytes):
        return [_part(each) for each in content]
    return [{"type": "text", "content": str(content)}]


def _part(given: Any) -> Part:
    if not isinstance(given, Mapping):
        return {"type": "text", "content": str(given)}
    kind = given.get("type")
    if kind in _TEXT or (kind is None and isinstance(given.get("text"), str)):
        said = given.get("content", given.get("text"))
        return {"type": "text", "content": said if isinstance(said, str) else str(said)}
    if kind in _REASONING:
        thought = _first(given, "content", "text", "thinking", "reasoning", "summary")
        return {"type": "reasoning", "content": _words(thought)}
    if kind in _CALL:
        return _call(given)
    if kind in _RESPONSE:
        answers = _first(given, "id", "toolCallId", "tool_use_id", "call_id")
        said = _first(given, "response", "result", "output", "content")
        return _response(answers, said, _first(given, "name", "toolName"))
    if kind in _IMAGE:
        return _media(given)
    return _as_it_is(given)


def _as_it_is(given: Mapping[str, Any]) -> Part:
    made: Any = {**given, "type": str(given.get("type") or "unknown")}
    return made  # type: ignore[no-any-return]


def _call(given: Any) -> Part:
    given = given if isinstance(given, Mapping) else {"name": str(given)}
    function = given.get("function")
    inner = function if isinstance(function, Mapping) else given
    arguments = _first(inner, "arguments", "input", "args")
    return {
        "type": "tool_call",
        "id": _first(given, "call_id", "toolCallId", "id"),
        "name": str(_first(inner, "name", "toolName")),
        "arguments": loaded(arguments),
    }


def _response(answers: Any, said: Any, name: Any) -> Part:
    made: Part = {"type": "tool_call_response", "id": answers, "response": _said(said)}
    if name is not None:
        made["name"] = str(name)
    return made


def _said(value: Any) -> Any:
    """Return what a tool responded: text, data, or parts."""
    if isinstance(value, Mapping) and set(value) == {"type", "value"}:
        value = value["value"]  # {"type": "text" | "json", "value": ...}
    is_list = isinstance(value, Sequence) and not isinstance(value, str | bytes)
    if is_list and value and all(isinstance(v, Mapping) and "type" in v for v in value):
        return _plain(_parts(value))
    return value


def _plain(parts: list[Part]) -> Any:
    if len(parts) == 1 and parts[0].get("type") == "text":
        return parts[0].get("content")
    return parts if parts else ""


def _media(given: Mapping[str, Any]) -> Part:
    inner: Any = given
    while isinstance(nested := inner.get("image_url", inner.get("image")), Mapping):
        inner = nested
    source = given.get("source")
    inner = source if isinstance(source, Mapping) else inner
    mime = _first(inner, "mime_type", "media_type", "mediaType", "mimeType")
    known: Part = {"modality": "image", "mime_type": mime}
    if given.get("type") == "file" and not str(mime).startswith("image"):
        known["modality"] = str(mime).partition("/")[0] if mime else "file"
    url = _first(inner, "url", "image_url", "image", "uri")
    data = _first(inner, "data", "content")
    if isinstance(url, str):
        return {**known, "type": "uri", "uri": url}
    if isinstance(data, str):
        return {**known, "type": "blob", "content": data}
    return _as_it_is(given)


def _has_no_response(parts: list[Part]) -> bool:
    return all(part.get("type") != "tool_call_response" for part in parts)


def _words(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False, default=str)


def _first(given: Mapping[str, Any], *names: str) -> Any:
    for name in names:
        if given.get(name) is not None:
            return given[name]
    return None
