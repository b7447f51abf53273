"""Whether a span has a tag that Jaeger's search asks for, and which ones may have it."""

from __future__ import annotations

import base64
import contextlib
import functools
import math
import sqlite3
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hudtrace.interchange import go_text
from hudtrace.interchange import jaeger_model as names
from hudtrace.store.services import service_of

_SPELLED = {"true", "false", "NaN", "Infinity"}  # values that are no texts


@dataclass(frozen=True, slots=True)
class Origin:
    """Where spans come from: a resource and a library, as the store has them."""

    id: int
    service: str
    resource: Any
    scope: Any


def origins(db: sqlite3.Connection) -> list[Origin]:
    """Return everywhere that spans of the store come from."""
    rows = db.execute("SELECT id, resource, scope FROM sources")
    return [_origin(*row) for row in rows]


@functools.lru_cache(4096)
def _origin(key: int, resource: bytes, scope: bytes) -> Origin:
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans

    found = ResourceSpans.FromString(resource).resource
    library = ScopeSpans.FromString(scope).scope
    return Origin(key, service_of(found), found, library)


class Wanted:
    """Tags that one span must have, all of them.

    They are looked for in its attributes, in what Jaeger shows as tags beside them, in
    its events, its library and its process; not in the messages of model calls.
    """

    def __init__(self, tags: Mapping[str, str], where: Iterable[Origin]) -> None:
        self._tags = dict(tags)
        self._known = {origin.id: self._found(origin) for origin in where}

    def condition(self) -> tuple[str, list[Any]]:
        """Return SQL that is true of each span that may have them, and its values.

        A span has its keys and texts in it as they are, which SQLite sees quickly.
        """
        parts, values = ["1"], list[Any]()
        for key, value in self._tags.items():
            sources = [str(id) for id, found in self._known.items() if key in found]
            own = ["1"]
            if key and key not in names.DERIVED and key != names.EVENT:
                own.append("instr(s.body, ?)")
                values.append(_utf8(key))
            needles = _needles(value)
            if key == names.ERROR or key == names.STATUS_CODE:
                own.append("(s.status OR instr(s.body, ?))")
                values.append(_utf8(key))
            elif needles and key != names.SPAN_KIND:
                own.append(f"({' OR '.join(['instr(s.body, ?)'] * len(needles))})")
                values += needles
            parts.append(f"({' AND '.join(own)} OR s.source IN ({','.join(sources)}))")
        return " AND ".join(parts), values

    def match(self, source: int, body: bytes) -> bool:
        """Say whether a span has all of them; *body* is as the store has it."""
        from opentelemetry.proto.trace.v1.trace_pb2 import Span

        missing = {
            key: value
            for key, value in self._tags.items()
            if key not in self._known.get(source, ())
        }
        if not missing:
            return True
        span = Span.FromString(body)
        found = set(_tags_of(span))
        return all((key, value) in found for key, value in missing.items())

    def _found(self, origin: Origin) -> set[str]:
        """Return the keys of those tags that all spans of an origin have."""
        pairs = {
            (pair.key, text_of(pair.value))
            for pair in (*origin.resource.attributes, *origin.scope.attributes)
        }
        pairs.add((names.SCOPE_NAME, origin.scope.name))
        pairs.add((names.SCOPE_VERSION, origin.scope.version))
        return {key for key, value in self._tags.items() if (key, value) in pairs}


def _needles(text: str) -> list[bytes]:
    """Return what is in any span with an attribute of this text; nothing if unknown.

    Numbers, lists and the like are there in other ways, bytes as what base64 says.
    """
    if not text or text[0] in '[{"-+.0123456789' or text in _SPELLED:
        return []
    found = [_utf8(text)]
    with contextlib.suppress(ValueError):
        found.append(base64.b64decode(text, validate=True))
    return found


def _utf8(text: str) -> bytes:
    return text.encode("utf-8", "replace")  # half of a pair of surrogates


def _tags_of(span: Any) -> Iterable[tuple[str, str]]:
    for pair in span.attributes:
        yield pair.key, text_of(pair.value)
    for event in span.events:
        yield names.EVENT, event.name
        for pair in event.attributes:
            yield pair.key, text_of(pair.value)
    if 0 < span.kind < len(names.KINDS):
        yield names.SPAN_KIND, names.KINDS[span.kind]
    if 0 < span.status.code < len(names.STATUSES):
        yield names.STATUS_CODE, names.STATUSES[span.status.code]
    if span.status.code == 2:
        yield names.ERROR, "true"
    yield names.STATUS_DESCRIPTION, span.status.message
    yield names.TRACE_STATE, span.trace_state


def text_of(value: Any) -> str:
    """Return the text that a search has to name to find a value."""
    kind = value.WhichOneof("value")
    if kind == "string_value":
        return str(value.string_value)
    if kind is None:
        return ""
    if kind == "bytes_value":
        return base64.b64encode(value.bytes_value).decode()
    if kind == "double_value" and not math.isfinite(value.double_value):
        return go_text.nonfinite(value.double_value)
    return go_text.json_text(value)
