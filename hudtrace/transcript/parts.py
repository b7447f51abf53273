"""Messages as the viewer gets them: big texts cut, data of images left where it is."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes

from hudtrace.messages import (
    Message,
    encodable,
    encodable_data,
    named_numbers,
    parts_in,
)

Plain = dict[str, Any]

API = "/api/hud/v1"
HEAD = 2_048  # characters of a text within data, where it is cut


@dataclass(frozen=True, slots=True)
class Parts:
    """Makes parts; texts longer than `limit` are cut."""

    limit: int

    def message(self, given: Message, href: str, n: int, *, output: bool) -> Plain:
        """Return a whole message as plain data, responses of tools where they are."""
        listed = []
        for place, each in enumerate(given["parts"]):
            if each.get("type") == "tool_call":
                listed.append(self.tool_call(each, href))
            elif each.get("type") == "tool_call_response":
                listed.append(self.tool_response(each, href, str(place)))
            else:
                listed.append(self.part(each, href, str(place)))
        role = self.data(given["role"])
        return {"n": n, "role": role, "output": output, "parts": listed}

    def tool_call(self, given: Mapping[str, Any], href: str) -> Plain:
        """Return what was asked of a tool; what became of it is not known here."""
        arguments = self.data(given.get("arguments"))
        made: Plain = {
            "type": "tool_call",
            "id": self.data(given.get("id")),
            "name": self.data(given.get("name")),
            "arguments": arguments,
            "span_id": None,
            "duration": None,
            "error": False,
            "result": None,
        }
        if _is_cut(arguments):
            made["href"] = href
        return made

    def tool_response(self, given: Mapping[str, Any], href: str, place: str) -> Plain:
        """Return what a tool responded, where it is no part of a call."""
        inner = self.response(given.get("response"), href, place)
        answers = self.data(given.get("id"))
        result = {"parts": inner, "n": None}
        return {"type": "tool_call_response", "id": answers, "result": result}

    def part(self, given: Mapping[str, Any], href: str, place: str) -> Plain:
        """Return a part; *href* leads to its message, *place* to it in there."""
        kind = given.get("type")
        content = given.get("content")
        if kind in ("text", "reasoning") and isinstance(content, str):
            return self.text(content, href, kind=kind)
        if kind == "blob":
            size = size_of(str(content or ""))
            return self._blob(given, size, f"{href}/blob/{place}")
        if kind == "uri" and str(given.get("uri")).startswith("data:"):
            mime, data = _data_uri(str(given["uri"]))
            known = {**given, "mime_type": given.get("mime_type") or mime}
            return self._blob(known, len(data), f"{href}/blob/{place}")
        if kind == "uri":
            known = {key: given.get(key) for key in ("uri", "modality", "mime_type")}
            return {"type": "uri", **self.data(known)}
        rest = {key: value for key, value in given.items() if key != "type"}
        return {"type": self.data(str(kind)), "json": self.data(rest)}

    def text(self, content: str, href: str | None, kind: str = "text") -> Plain:
        """Return a text, cut if it is long; *href* leads to all of it."""
        shown: Plain = {"type": kind, "text": encodable(content[: self.limit])}
        shown["length"] = len(content)
        if len(content) > self.limit and href is not None:
            shown["href"] = href
        return shown

    def response(self, given: Any, href: str, place: str) -> list[Plain]:
        """Return what a tool responded, as parts."""
        inner = [] if given == [] else parts_in(given)
        if inner is None:
            words = given if isinstance(given, str) else json_text(given)
            return [self.text(words, href)]
        return [
            self.part(each, href, f"{place}.{number}")
            for number, each in enumerate(inner)
        ]

    def data(self, value: Any) -> Any:
        """Return JSON data that a page can take: long texts in it are cut."""
        try:
            shown = self._cut(encodable_data(named_numbers(value)))
            whole = json.dumps(shown, ensure_ascii=False)
        except RecursionError:
            return {"$cut": True, "length": None, "head": "[nested too deeply]"}
        return shown if len(whole) <= 2 * self.limit else _head(whole)

    def _cut(self, value: Any) -> Any:
        if isinstance(value, str):
            return value if len(value) <= self.limit else _head(value)
        if isinstance(value, dict):
            return {str(key): self._cut(child) for key, child in value.items()}
        if isinstance(value, list):
            return [self._cut(child) for child in value]
        if value is None or isinstance(value, bool | int | float):
            return value
        return str(value)

    def _blob(self, given: Mapping[str, Any], size: int, href: str) -> Plain:
        known = {key: given.get(key) for key in ("modality", "mime_type")}
        return {"type": "blob", **self.data(known), "size": size, "href": href}


#: For the pages of a browser, and for files that have everything.
SHORT, WHOLE = Parts(20_480), Parts(1 << 24)


def _is_cut(value: Any) -> bool:
    """Say whether something of *value* was left out by `Parts.data`."""
    if isinstance(value, dict):
        return "$cut" in value or any(map(_is_cut, value.values()))
    return isinstance(value, list) and any(map(_is_cut, value))


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


def _head(value: str) -> Plain:
    return {"$cut": True, "length": len(value), "head": value[:HEAD]}
