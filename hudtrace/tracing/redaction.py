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

REDACTED = "[redacted]"
DROPPED = "[dropped: redaction failed]"
_SHORTEST = 6  # no credential is shorter, and most strings of a span are

_NAMES = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "api_key",
    "api-key",
    "apikey",
    "access_key",
    "access-key",
    "accesskey",
    "private_key",
    "private-key",
    "authorization",
    "cookie",
    "credential",
    "token",
)
# Plurals too, but `tokens` are counted, not kept secret.
_NAME = "(?:(?:" + "|".join(_NAMES[:-1]) + ")s?|token(?!s))"
_QUOTE = r"\\*[\"']"
# `"password": "x"` at any depth of JSON escaping, `'password': 'x'`, and pairs
# of a header list: ("authorization", "x").
_QUOTED = rf"({_NAME}{_QUOTE}\s*[:=,]\s*\(?b?{_QUOTE})((?:(?!{_QUOTE}).)+)"
_NUMBER = rf"({_NAME}{_QUOTE}\s*[:=]\s*)(-?\d[\d.]*)"
_ASSIGNED = (
    rf"({_NAME}{_QUOTE}?\s*=\s*(?:(?:bearer|basic)\s+)?{_QUOTE}?)([^\s&\"'\\,;<>]+)"
)
_HEADER = rf"({_NAME}\s*:\s*(?:(?:bearer|basic)\s+)?)(?=[^\s\"']*[\d+/=_-])([^\s\"'\\,;<>]{{8,}})"

_by_name = [
    re.compile(pattern, re.IGNORECASE | re.DOTALL)
    for pattern in (_QUOTED, _NUMBER, _ASSIGNED, _HEADER)
]
_shapes: Mapping[str, re.Pattern[str]] = {
    mark: re.compile(pattern)
    for mark, pattern in {
        "sk-": r"\bsk-[A-Za-z0-9_-]{12,}",
        "ghp_": r"ghp_[A-Za-z0-9]{16,}",
        "gho_": r"gho_[A-Za-z0-9]{16,}",
        "ghu_": r"ghu_[A-Za-z0-9]{16,}",
        "ghs_": r"ghs_[A-Za-z0-9]{16,}",
        "ghr_": r"ghr_[A-Za-z0-9]{16,}",
        "github_pat_": r"github_pat_[A-Za-z0-9_]{16,}",
        "akia": r"\bAKIA[0-9A-Z]{12,}",
        "asia": r"\bASIA[0-9A-Z]{12,}",
        "aiza": r"\bAIza[0-9A-Za-z_-]{20,}",
        "xox": r"\bxox[abeprs]-[0-9A-Za-z-]{8,}",
        "glpat-": r"glpat-[0-9A-Za-z_-]{12,}",
        "hf_": r"\bhf_[A-Za-z0-9]{16,}",
        "eyj": r"\beyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?",
        "-----begin": r"-----BEGIN [A-Z ]*PRIVATE KEY-----"
        r"(?:.(?!-----END))*.?(?:-----END [A-Z ]*PRIVATE KEY-----)?",
    }.items()
    for pattern in [f"(?s){pattern}"]
}
_BEARER = re.compile(r"(\bbearer\s+)([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE)
# Base64, which prose after the word is not.
_BASIC = re.compile(
    r"(\b[Bb](?:asic|ASIC)\s+)"
    r"(?=[A-Za-z0-9+/]*(?:[0-9+/=]|[a-z][A-Z]))([A-Za-z0-9+/]{12,}={0,2})"
)
_USERINFO = re.compile(r"(://[^/\s:@\"']*:)([^/\s@\"']+)(?=@)")
_secret_key = re.compile(rf"(?:^|[^a-z]|x-){_NAME}$", re.IGNORECASE)


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
        self._literals = sorted(
            {form for secret in self.secrets for form in _forms(secret)},
            key=len,
            reverse=True,
        )

    def text(self, text: str) -> str:
        """Return *text* without the secrets in it."""
        if len(text) >= _SHORTEST:
            for literal in self._literals:
                if literal in text:
                    text = text.replace(literal, REDACTED)
            text = _known_shapes(text)
        if self._custom is None:
            return text
        try:
            return str(self._custom(text))
        except Exception as error:
            self.failures += 1
            internal_error("the redact function (content is dropped)", error)
            return DROPPED

    def value(self, value: Any, key: str = "") -> Any:
        """Return a JSON value without the secrets in it, whole under secret names."""
        if isinstance(value, str):
            return REDACTED if value and is_secret_name(key) else self.text(value)
        if isinstance(value, Mapping):
            return {k: self.value(v, str(k)) for k, v in value.items()}
        if isinstance(value, list | tuple):
            if len(value) == 2 and isinstance(value[0], str):  # a header pair
                return [value[0], self.value(value[1], value[0])]
            return [self.value(item, key) for item in value]
        if isinstance(value, int | float) and not isinstance(value, bool):
            return REDACTED if is_secret_name(key) and value else value
        return value


def is_secret_name(name: str) -> bool:
    """Say whether a key names a secret: `password`, `x-api-key`, `access_token`."""
    return bool(name) and _secret_key.search(_snake(name)) is not None


def _snake(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name)


def _known_shapes(text: str) -> str:
    low = text.lower()
    for mark, shape in _shapes.items():
        if mark in low:
            text = shape.sub(REDACTED, text)
    if any(name in low for name in _NAMES):
        for pattern in _by_name:
            text = pattern.sub(_keep_name, text)
    if "bearer" in low:
        text = _BEARER.sub(_keep_name, text)
    if "basic" in low:
        text = _BASIC.sub(_keep_name, text)
    if "://" in low and "@" in low:
        text = _USERINFO.sub(_keep_name, text)
    return text


def _keep_name(found: re.Match[str]) -> str:
    if found.group(2).lower() in ("bearer", "basic"):
        return found.group(0)  # the scheme; the credential follows it
    return found.group(1) + REDACTED


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
