"""What a conversation looks like when it is written: redacted, capped, hashed.

Runs in the writer thread only. Each distinct message is converted, redacted
and hashed once, however often a conversation repeats it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from hudtrace.messages import Message, to_json
from hudtrace.tracing.redaction import Redactor

MAX_PART_BYTES = 1 << 20
_LISTS = (list, tuple)
_CACHE_BYTES = 64 << 20


class Encoded(NamedTuple):
    """One message (or other JSON) as it is stored: UTF-8 JSON and its hash."""

    digest: bytes  # `content_hash` of body
    body: bytes


@dataclass(slots=True)
class Resolved:
    """The content of one model call, ready to be stored."""

    attributes: dict[str, Any]
    input: list[Encoded] = field(default_factory=list)
    output: list[Encoded] = field(default_factory=list)
    tools: Encoded | None = None


class Deferred(Protocol):
    """Content kept by reference until the writer has time for it.

    `size` is the bytes it holds, roughly.
    """

    @property
    def size(self) -> int:
        """The bytes held, roughly."""

    def resolve(self, encoder: ContentEncoder) -> Resolved:
        """Convert the content, with *encoder* for its messages."""


class ContentEncoder:
    """Encodes messages for one writer; not safe to share between threads.

    `truncated` says whether the last call had to cut something.
    """

    def __init__(
        self, redactor: Redactor | None = None, max_part_bytes: int = MAX_PART_BYTES
    ) -> None:
        self.redactor = redactor or Redactor()
        self.truncated = False
        self._max = max_part_bytes
        self._cache: dict[Hashable, tuple[Encoded, bool]] = {}
        self._cached = 0

    def message(self, key: Hashable | None, make: Callable[[], Message]) -> Encoded:
        """Encode the message that *make* returns; equal *key*s are encoded once."""
        return self._once(key, lambda: self._capped(make()))

    def json(self, value: Any) -> Encoded:
        """Encode any JSON value, for example tool definitions; equal ones once."""
        return self._once(_strict_json(value), lambda: value)

    def text(self, text: str) -> str:
        """Return *text* redacted and cut to the size of a part."""
        cut = self._cut(text)
        return self.redactor.text(cut)

    def use(self, redactor: Redactor) -> None:
        """Replace the redactor; what was encoded with the old one is forgotten."""
        self.redactor = redactor
        self._cache.clear()
        self._cached = 0

    def _once(self, key: Hashable | None, make: Callable[[], Any]) -> Encoded:
        found = None if key is None else self._cache.get(key)
        if found is None:
            self.truncated = False
            body = self._body(make())
            found = Encoded(content_hash(body), body), self.truncated
            if key is not None:
                self._keep(key, found)
        encoded, self.truncated = found
        return encoded

    def _body(self, value: Any) -> bytes:
        """Return *value* as JSON, redacted; nearly all of it needs one look only."""
        body = _strict_json(value)
        if body is None or not self.redactor.keeps(body.decode()):
            body = to_json(self.redactor.value(value)).encode()
        return body

    def _keep(self, key: Hashable, found: tuple[Encoded, bool]) -> None:
        # The key holds the text once more, in the caller's own strings.
        self._cached += 2 * len(found[0].body) + 400
        if self._cached > _CACHE_BYTES:
            self._cache.clear()
            self._cached = 0
        self._cache[key] = found

    def _capped(self, message: Message) -> Message:
        parts = message["parts"]
        if all(_size(part) <= self._max for part in parts):
            return message
        capped: Any = {**message, "parts": [self._cap(part) for part in parts]}
        return capped  # type: ignore[no-any-return]

    def _cap(self, part: Any) -> Any:
        size = _size(part)
        if size <= self._max:
            return part
        self.truncated = True
        if part.get("type") == "blob":
            note = f"[left out: {size} bytes]"
            return {**part, "content": note}
        return {
            key: self._cut(value if isinstance(value, str) else str(value))
            if _length(value) > self._max
            else value
            for key, value in part.items()
        }

    def _cut(self, text: str) -> str:
        if len(text) <= self._max:
            return text
        self.truncated = True
        return f"{text[: self._max]}…[truncated {len(text) - self._max} characters]"


def content_hash(*pieces: bytes) -> bytes:
    """Return the 16-byte hash under which content is stored."""
    # Processors have instructions for this one; it takes half of blake2b's time.
    return hashlib.sha256(b"".join(pieces)).digest()[:16]


def _strict_json(value: Any) -> bytes | None:
    """Return *value* as UTF-8 JSON, None if JSON cannot hold it as it is."""
    from pydantic_core import to_json as encode

    try:
        return encode(value, inf_nan_mode="constants")
    except Exception:
        return None


def _size(part: Any) -> int:
    return sum(map(_length, part.values()))


def _length(value: Any) -> int:
    if isinstance(value, str):
        return len(value)
    if isinstance(value, dict):
        return sum(_length(k) + _length(v) for k, v in value.items())
    if isinstance(value, _LISTS):
        return sum(map(_length, value))
    return 8
