"""Takes secrets out of everything that is written: text, JSON, attributes.

Two kinds: what looks like a credential (well-known token shapes, values under
secret names, user information in URLs), and the very values of environment
variables that are named like secrets.
"""

from __future__ import annotations

import base64
import json
import re
import urllib.parse
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from hudtrace.notices import internal_error
from hudtrace.tracing import credentials
from hudtrace.tracing.credentials import is_secret_header, is_secret_name

REDACTED = "[redacted]"
DROPPED = "[dropped: redaction failed]"
ENDLESS = "[nested too deeply]"
_SHORTEST = 6  # no credential is shorter, and most strings of a span are
# Tuples made once: a union of types is made anew each time it is written.
_NUMBERS, _PAIRS = (int, float), (list, tuple)
_LISTS = (list, tuple, set, frozenset)
_BYTES = (bytes, bytearray, memoryview)
_DEEPEST = 100  # levels of a value; what encodes it has a limit too


class Redactor:
    """Redacts texts and JSON values.

    `secrets` are literal values to remove; `custom` gets each text after that
    and returns what to keep. If it raises, the text is dropped and `failures`
    counts it.
    """

    def __init__(
        self,
        secrets: Iterable[str] = (),
        custom: Callable[[str], str] | None = None,
    ) -> None:
        self.secrets = frozenset(secrets)
        self.failures = 0
        self._custom = custom
        self._keys: dict[str, str] = {}  # as they are written
        self._literals = sorted(
            {form for secret in self.secrets for form in _forms(secret)},
            key=len,
            reverse=True,
        )
        # Once more escaped, as they are in the JSON of a text that holds them.
        forms = {*self._literals, *map(_escaped, self._literals)}
        known = [re.escape(credentials.plain(form)) for form in sorted(forms)]
        self._known = credentials.Gate(known) if known else None
        self._gate = credentials.Gate(known, *credentials.PATTERNS)

    def text(self, text: str) -> str:
        """Return *text* without the secrets in it."""
        if len(text) >= _SHORTEST and self._gate.may_match(credentials.plain(text)):
            text = credentials.mask(self._without_known(text), REDACTED)
        if self._custom is None:
            return text
        try:
            return str(self._custom(text))
        except Exception as error:
            self.failures += 1
            internal_error("the redact function (content is dropped)", error)
            return DROPPED

    def _without_known(self, text: str) -> str:
        if self._known is not None and self._known.may_match(credentials.plain(text)):
            for literal in self._literals:
                text = text.replace(literal, REDACTED)
        return text

    def keeps(self, json_text: str) -> bool:
        """Say whether the value of some JSON surely stays as it is.

        One scan, where to redact it is one for each of its texts.
        """
        plain = credentials.plain(json_text)
        return self._custom is None and not self._gate.may_match(plain)

    def value(self, value: Any, key: str = "") -> Any:
        """Return *value* as JSON without the secrets in it; never raises.

        What a secret name holds is taken out whole. What JSON does not know
        becomes what it looks like: models their fields, other things their text;
        bytes stay bytes unless a secret is in them.
        """
        return self._value(value, key, ())

    def _value(self, value: Any, key: str, outer: tuple[int, ...]) -> Any:
        if isinstance(value, str):
            return REDACTED if value and is_secret_name(key) else self.text(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, _NUMBERS):
            return REDACTED if value and is_secret_name(key) else value
        if id(value) in outer or len(outer) > _DEEPEST:
            return ENDLESS
        inner = (*outer, id(value))
        if isinstance(value, (dict, Mapping)):
            return {
                self._key(name := str(k)): self._value(v, name, inner)
                for k, v in value.items()
            }
        if isinstance(value, _LISTS):
            items = list(value)
            if _is_header(items):
                return self._pair(items, inner)
            if items and all(map(_is_pair, items)):
                return [self._pair(item, inner) for item in items]
            return [self._value(item, key, inner) for item in items]
        if isinstance(value, _BYTES):
            text = bytes(value).decode("utf-8", "replace")
            clean = self._value(text, key, outer)
            return bytes(value) if clean == text else clean
        return self._value(_plain(value), key, inner)

    def _key(self, name: str) -> str:
        found = self._keys.get(name)
        if found is None:
            found = self.text(name)
            if len(self._keys) < 4096:
                self._keys[name] = found
        return found

    def _pair(self, items: Any, outer: tuple[int, ...]) -> Any:
        name, value = items
        return [self._key(name), self._value(value, name, outer)]


def _is_pair(item: Any) -> bool:
    return isinstance(item, _PAIRS) and len(item) == 2 and isinstance(item[0], str)


def _is_header(items: list[Any]) -> bool:
    # Any two words may be the names that a JSON Schema requires.
    return _is_pair(items) and is_secret_header(items[0])


def _plain(value: Any) -> Any:
    """Return what is no JSON as JSON, or as text."""
    from pydantic_core import to_jsonable_python

    try:
        return to_jsonable_python(value, fallback=str, serialize_unknown=True)
    except Exception:
        return f"<{type(value).__name__}>"


def _escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _forms(secret: str) -> set[str]:
    escaped = json.dumps(secret)[1:-1]
    encoded = base64.b64encode(secret.encode()).decode().rstrip("=")
    return {
        secret,
        escaped,
        json.dumps(escaped)[1:-1],
        urllib.parse.quote(secret, safe=""),
        urllib.parse.quote_plus(secret),
        encoded,
    }
