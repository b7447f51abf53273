"""Messages as the viewer gets them: big texts cut, data of images left where it is."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote_to_bytes

from hudtrace.messages import Message, encodable_data, named_numbers, parts_in

API = "/api/hud/v1"
CUT = 20_480  # characters of a text that are shown
HEAD = 2_048  # of a text within data

Plain = dict[str, Any]


def message(given: Message, href: str, n: int, *, output: bool) -> Plain:
    """Return a whole message as plain data, the responses of tools where they are."""
    listed = []
    for place, each in enumerate(given["parts"]):
        if each.get("type") == "tool_call":
            listed.append(tool_call(each, href))
        elif each.get("type") == "tool_call_response":
            inner = response(each.get("response"), href, str(place))
            listed.append({"type": each["type"], "id": each.get("id"), "parts": inner})
        else:
            listed.append(part(each, href, str(place)))
    role = cut_data(given["role"])
    return {"n": n, "role": role, "output": output, "parts": listed}


def tool_call(given: Mapping[str, Any], href: str) -> Plain:
    """Return what was asked of a tool; nothing is known yet of what became of it."""
    arguments = cut_data(given.get("arguments"))
    made: Plain = {
        "type": "tool_call",
        "id": given.get("id"),
        "name": given.get("name"),
        "arguments": arguments,
        "span_id": None,
        "duration": None,
        "error": False,
        "result": None,
    }
    if is_cut(arguments):
        made["href"] = href
    return made


def part(given: Mapping[str, Any], href: str, place: str) -> Plain:
    """Return a part as plain data; *href* leads to its message, *place* to it in there."""
    kind = given.get("type")
    content = given.get("content")
    if kind in ("text", "reasoning") and isinstance(content, str):
        return text(content, href, kind=kind)
    if kind == "blob":
        return _blob(given, size_of(str(content or "")), f"{href}/blob/{place}")
    if kind == "uri" and str(given.get("uri")).startswith("data:"):
        mime, data = _data_uri(str(given["uri"]))
        known = {"mime_type": mime, **given}
        return _blob(known, len(data), f"{href}/blob/{place}")
    if kind == "uri":
        known = {key: given.get(key) for key in ("uri", "modality", "mime_type")}
        return cut_data({"type": "uri", **known})  # type: ignore[no-any-return]
    rest = {key: value for key, value in given.items() if key != "type"}
    return {"type": str(kind), "json": cut_data(rest)}


def text(content: str, href: str | None, kind: str = "text") -> Plain:
    """Return a text, cut if it is long; *href* leads to all of it."""
    shown: Plain = {"type": kind, "text": content[:CUT], "length": len(content)}
    if len(content) > CUT and href is not None:
        shown["href"] = href
    return encodable_data(shown)  # type: ignore[no-any-return]


def response(given: Any, href: str, place: str) -> list[Plain]:
    """Return what a tool responded, as parts."""
    inner = [] if given == [] else parts_in(given)
    if inner is None:
        words = given if isinstance(given, str) else json_text(given)
        return [text(words, href)]
    return [part(each, href, f"{place}.{number}") for number, each in enumerate(inner)]


def cut_data(value: Any) -> Any:
    """Return JSON data that a page can take: long texts in it are cut."""
    try:
        shown = _cut(encodable_data(named_numbers(value)))
        whole = json.dumps(shown, ensure_ascii=False)
    except RecursionError:
        return {"$cut": True, "length": None, "head": "[nested too deeply]"}
    return shown if len(whole) <= 2 * CUT else _head(whole)


def is_cut(value: Any) -> bool:
    """Say whether something of *value* was left out by `cut_data`."""
    if isinstance(value, dict):
        return "$cut" in value or any(map(is_cut, value.values()))
    return isinstance(value, list) and any(map(is_cut, value))


def json_text(value: Any) -> str:
    """Return JSON data as text, whatever is in it."""
    return json.dumps(encodable_data(value), ensure_ascii=False, default=str)


def blob(message: Mapping[str, Any], place: str) -> tuple[str, bytes] | None:
    """Return the kind and the bytes of the image or file at *place* in a message.

    *place* is the number of a part, or `1.2` for a part of a tool's response. None if
    there is no such thing, or not its bytes.
    """
    given: Any = message.get("parts")
    for number, index in enumerate(place.split(".")):
        if number and isinstance(given, dict):
            given = given.get("response")
        if not isinstance(given, list) or not index.isdecimal():
            return None
        given = given[int(index)] if int(index) < len(given) else None
    if not isinstance(given, dict):
        return None
    if given.get("type") == "uri" and str(given.get("uri")).startswith("data:"):
        return _data_uri(str(given["uri"]))
    if given.get("type") != "blob":
        return None
    mime = str(given.get("mime_type") or "application/octet-stream")
    data = _decoded(str(given.get("content") or ""))
    return None if data is None else (mime, data)


def size_of(data: str) -> int:
    """Return how many bytes a base64 text stands for."""
    return max(0, len(data) * 3 // 4 - data[-2:].count("="))


def _blob(given: Mapping[str, Any], size: int, href: str) -> Plain:
    known = {key: given.get(key) for key in ("modality", "mime_type")}
    return cut_data({"type": "blob", **known, "size": size, "href": href})  # type: ignore[no-any-return]


def _data_uri(uri: str) -> tuple[str, bytes]:
    head, _, data = uri.removeprefix("data:").partition(",")
    mime, *options = head.split(";")
    raw = _decoded(data) if "base64" in options else unquote_to_bytes(data)
    return mime or "text/plain", raw or b""


def _decoded(data: str) -> bytes | None:
    try:
        return base64.b64decode(data.translate(_URL_SAFE) + "==", validate=False)
    except (binascii.Error, ValueError):
        return None


_URL_SAFE = str.maketrans("-_", "+/")


def _cut(value: Any) -> Any:
    if isinstance(value, str):
        return value if len(value) <= CUT else _head(value)
    if isinstance(value, dict):
        return {str(key): _cut(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_cut(child) for child in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def _head(value: str) -> Plain:
    return {"$cut": True, "length": len(value), "head": value[:HEAD]}
