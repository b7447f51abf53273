"""Text of models, tools and users, made safe for a terminal: nothing in it acts."""

from __future__ import annotations

import codecs
import re
import sys

# C0 but tab and newline, DEL, C1, and what reorders or breaks a line unseen.
_ACTING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)
_NAMED = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}
_PLAIN = str.maketrans("└├─│→◀…✓✗·±≠█░", "`|-|><~+x.~!#-")


def visible(text: str) -> str:
    """Return *text* with control characters spelled out; tabs and lines stay."""
    return _ACTING.sub(_spell, text.replace("\r\n", "\n"))


def one_line(text: str) -> str:
    """Return *text* on one line, control characters, tabs and newlines spelled out."""
    return visible(text).replace("\n", "\\n").replace("\t", "\\t")


def tolerate_encodings() -> None:
    """Let stdout and stderr print near signs for those that they cannot encode."""
    codecs.register_error("hudtrace", _near)
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="hudtrace")


def _spell(found: re.Match[str]) -> str:
    sign = found.group()
    code = ord(sign)
    return _NAMED.get(sign) or (f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}")


def _near(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    near = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(c if c.isascii() else "?" for c in near), error.end
