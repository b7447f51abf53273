"""Finds credentials in text: token shapes, and what stands beside secret names.

Everything starts at a fixed word. A `Gate` tells in one fast scan whether a text
has such a word where it may matter; nearly every text has none. Only then is it
searched word by word, in a time that stays linear whatever the text is.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Literal

_Span = tuple[int, int]
_LONG = 2000  # characters
_RUST: Literal["rust-regex"] = "rust-regex"

# Whether there is anything to look for --------------------------------------------


def plain(text: str) -> str:
    """Return *text* with a `?` for each character that is not ASCII."""
    if text.isascii():
        return text
    return text.encode("ascii", "replace").decode("ascii")


class Gate:
    """Says whether a `plain` text may match one of some patterns, and quickly.

    It may say so where there is no match, never the reverse. The regular
    expressions are those of Rust, by way of pydantic, which scan long text many
    times faster than Python's. Theirs is the syntax without look-around; `?` has to
    count as any character, and what JSON escapes as what it stands for: so a value
    may be asked about by its JSON. Patterns of one group begin alike: a scan of a
    long text for each group is faster than one for everything.
    """

    def __init__(self, *groups: Iterable[str]) -> None:
        patterns = ["|".join(group) for group in groups]
        self._groups = [_matcher(pattern) for pattern in patterns if pattern]
        self._all = _matcher("|".join(filter(None, patterns)))

    def may_match(self, text: str) -> bool:
        """Say whether there is something to look for in *text*."""
        if len(text) < _LONG:
            return self._all(text)
        return any(matches(text) for matches in self._groups)


def _matcher(pattern: str) -> Callable[[str], bool]:
    from pydantic_core import SchemaValidator, core_schema

    schema = core_schema.str_schema(pattern=f"(?-u){pattern}", regex_engine=_RUST)
    return SchemaValidator(schema).isinstance_python


# What a secret is called ----------------------------------------------------------

_WORDS = (
    "password",
    "passwd",
    "passphrase",
    "secret",
    "authorization",
    "cookie",
    "credential",
    "token",
    "key",
)
#: What has to stand before `key`, for many a key is no secret.
_KEYS = tuple(
    kind + joint
    for kind in ("api", "access", "private", "secret", "signing", "encryption")
    for joint in ("_", "-", "")
)
#: Names that are secret in a lone pair too, which might be any two words.
_HEADERS = ("authorization", "cookie", "x-api-key", "api-key")

# Plurals are secret too, but `tokens` are counted.
_name_end = re.compile(
    r"(?:^|[^a-z])x?(?:"
    r"(?:password|passwd|passphrase|secret|authorization|cookie|credential"
    rf"|(?:{'|'.join(_KEYS)})key)s?|token)$"
)


@functools.lru_cache(maxsize=4096)
def is_secret_name(name: str) -> bool:
    """Say whether a key names a secret: `password`, `x-api-key`, `accessToken`."""
    snake = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return _name_end.search(snake) is not None


def is_secret_header(name: str) -> bool:
    """Say whether a name is that of an HTTP header that carries a credential."""
    return name.lower().endswith(_HEADERS)


# What stands beside it ------------------------------------------------------------

_SCHEME = r"(?:(?:bearer|basic|token)\s+)?"
# The opening quote of a value, at any depth of JSON escaping: `"password": "`,
# `'password': b'`, and in lists of headers `("authorization", "`.
_quoted = re.compile(r"s?\\*[\"']\s{0,99}([:=,])\s{0,99}b?(\\*)([\"'])")
_number = re.compile(r"s?\\*[\"']\s{0,99}[:=]\s{0,99}(-?\d[\d.]*)")
_assigned = re.compile(
    rf"s?\\*[\"']?\s{{0,99}}=\s{{0,99}}{_SCHEME}(?:(\\*)([\"'])|([^\s&\"'\\,;<>]+))",
    re.IGNORECASE,
)
# In prose a colon follows many a word: what comes then has to look the part.
_header = re.compile(
    r"s?\s{0,99}:\s{0,99}(?:"
    r"(?:bearer|basic|token)\s+([^\s\"'\\,;<>]{6,})"
    r"|(?=[^\s\"']{0,200}?[\d+/=_-])([^\s\"'\\,;<>]{8,}))",
    re.IGNORECASE,
)


def _named(text: str, low: str, word: str) -> Iterator[_Span]:
    """Find the values of names that end in *word*."""
    at = low.find(word)
    while at >= 0:
        end = at + len(word)
        found = None
        if _is_name(low, word, at, end):
            found = _value(text, low, end)
        if found is not None:
            yield found
            end = max(end, found[1])
        at = low.find(word, end)


def _is_name(low: str, word: str, at: int, end: int) -> bool:
    if word == "key":
        return low.endswith(_KEYS, 0, at)
    return word != "token" or low[end : end + 1] != "s"


def _value(text: str, low: str, end: int) -> _Span | None:
    quoted = _quoted.match(text, end)
    if quoted is not None:
        if quoted.group(1) == "," and not _in_a_pair(text, low, end):
            return None
        return quoted.end(), _closing(text, quoted.end(), *quoted.group(2, 3))
    assigned = _assigned.match(text, end)
    if assigned is not None:
        if assigned.group(3) is not None:
            return assigned.span(3)
        return assigned.end(), _closing(text, assigned.end(), *assigned.group(1, 2))
    found = _number.match(text, end) or _header.match(text, end)
    return found.span(found.lastindex or 0) if found is not None else None


def _in_a_pair(text: str, low: str, end: int) -> bool:
    """Say whether the name that ends here is the first of a (name, value) pair."""
    if low.endswith(_HEADERS, 0, end):
        return True
    near = max(0, end - 80)
    begin = max(text.rfind('"', near, end), text.rfind("'", near, end))
    return text[max(0, begin - 8) : begin].rstrip("\\").endswith("(")


def _closing(text: str, start: int, escapes: str, quote: str) -> int:
    """Return where the string ends that was opened with `escapes + quote`.

    A quote inside it has more backslashes before it. One that never closes ends
    with its line.
    """
    at = text.find(quote, start)
    while at >= 0:
        before = at
        while before > start and text[before - 1] == "\\":
            before -= 1
        if at - before <= len(escapes):
            return before
        at = text.find(quote, at + 1)
    line = text.find("\n", start)
    return len(text) if line < 0 else line


# What shows by itself -------------------------------------------------------------

# By prefix, the shape of what follows; a capital or a digit tells it from a word.
_MODES = ("live", "test")
_RANDOM = "(?=[a-z]{0,60}[A-Z0-9])[A-Za-z0-9]{16,}"
_PREFIXED = {
    "gsk_": _RANDOM,  # Groq
    "xai-": _RANDOM,
    "pplx-": _RANDOM,  # Perplexity
    "nvapi-": r"[\w-]{20,}",  # NVIDIA
    "r8_": _RANDOM,  # Replicate
    "fw_": _RANDOM,  # Fireworks
    "csk-": _RANDOM,  # Cerebras
    "tgp_v1_": r"[\w-]{20,}",  # Together
    "jina_": _RANDOM,
    "tvly-": rf"(?:dev-|prod-)?{_RANDOM}",  # Tavily
    "fc-": "[0-9a-f]{32}",  # Firecrawl
    "e2b_": "[0-9a-f]{24,}",
    "lsv2_": r"\w{24,}",  # LangSmith
    "pcsk_": r"\w{24,}",  # Pinecone
    **{f"{kind}k_{mode}_": "[A-Za-z0-9]{10,}" for kind in "sr" for mode in _MODES},
    "whsec_": "[A-Za-z0-9+/=]{20,}",  # Stripe, as the two above
    "npm_": "(?=[a-z]{0,60}[A-Z0-9])[A-Za-z0-9]{30,}",
    "pypi-AgE": r"[\w-]{20,}",
    "dop_v1_": "[0-9a-f]{32,}",  # DigitalOcean
    "shpat_": "[0-9a-f]{24,}",  # Shopify
    "SG.": r"[\w-]{16,}\.[\w-]{16,}",  # SendGrid
    "ya29.": r"[\w-]{20,}",  # Google
    "GOCSPX-": r"[\w-]{20,}",
    "hvs.": r"[\w-]{20,}",  # Vault
    "lin_api_": "[A-Za-z0-9]{24,}",  # Linear
    "ntn_": "(?=[a-z]{0,60}[A-Z0-9])[A-Za-z0-9]{30,}",  # Notion
    "ABSK": "[A-Za-z0-9+/=]{40,}",  # Bedrock
}
#: What to search for, and the credential that then begins there, or its group 1.
_SHAPES: dict[str, re.Pattern[str]] = {
    anchor: re.compile(shape)
    for anchor, shape in {
        "sk-": r"\bsk-[A-Za-z0-9_-]{12,}",
        **{f"gh{kind}_": rf"gh{kind}_[A-Za-z0-9]{{16,}}" for kind in "pousr"},
        "github_pat_": r"github_pat_[A-Za-z0-9_]{16,}",
        "AKIA": r"\bAKIA[0-9A-Z]{12,}",
        "ASIA": r"\bASIA[0-9A-Z]{12,}",
        "AIza": r"\bAIza[0-9A-Za-z_-]{20,}",
        "xox": r"\bxox[abeprs]-[0-9A-Za-z-]{8,}",
        "glpat-": r"glpat-[0-9A-Za-z_-]{12,}",
        "hf_": r"\bhf_[A-Za-z0-9]{16,}",
        **{
            prefix: rf"(?a:\b{re.escape(prefix)}{rest})"
            for prefix, rest in _PREFIXED.items()
        },
        "eyJ": r"(?<![\w-])eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?",
        "-----BEGIN ": r"-----BEGIN [A-Z ]{0,40}PRIVATE KEY-----[A-Za-z0-9+/=\s\\]*",
        "://": r"://[^/\s:@\"']*:([^/\s\"']+)(?=@)",
    }.items()
}
_SCHEMES = {
    "bearer": re.compile(
        r"(?<!\w)bearer\s+(?![a-z]+\b)([A-Za-z0-9._~+/=-]{8,})", re.IGNORECASE
    ),
    # Base64, which prose after the word is not.
    "basic": re.compile(
        r"(?<!\w)[Bb](?:asic|ASIC)\s+"
        r"(?=[A-Za-z0-9+/]*(?:[0-9+/=]|[a-z][A-Z]))([A-Za-z0-9+/]{12,}={0,2})"
    ),
}
_PEM = "-----BEGIN "


def _shaped(
    text: str, where: str, anchor: str, shape: re.Pattern[str]
) -> Iterator[_Span]:
    """Find *shape* in *text*, at the places where *anchor* is in *where*."""
    at = where.find(anchor)
    while at >= 0:
        found = shape.match(text, at)
        if found is None:
            at = where.find(anchor, at + len(anchor))
            continue
        start, end = found.span(found.lastindex or 0)
        if anchor == _PEM:
            end = max(end, _pem_end(text, end))
        yield start, end
        at = where.find(anchor, max(end, at + len(anchor)))


def _pem_end(text: str, start: int) -> int:
    following = text.find(_PEM, start)
    end = text.find("-----END ", start, len(text) if following < 0 else following)
    if end < 0:
        return start
    closing = text.find("-----", end + 9, end + 60)
    return end if closing < 0 else closing + 5


# In JSON a line break is a backslash and a letter.
_SPACE = r"(?:[\s\x1c-\x1f?\\\"']|\\[fnrt]|\\u00[01][0-9a-f])"
_BEFORE_VALUE = rf"s?{_SPACE}*[:=,]"
#: By the word that is searched for: what a text without any of it cannot match.
_GATES = {
    **{anchor: re.escape(anchor) for anchor in _SHAPES if anchor not in (_PEM, "://")},
    **{prefix: rf"{re.escape(prefix)}[\w+/=-]{{10}}" for prefix in _PREFIXED},
    "sk-": r"sk-[A-Za-z0-9_-]{12}",
    "eyJ": r"eyJ[A-Za-z0-9_?-]{6,}\.",
    _PEM: r"-----BEGIN [A-Z ]{0,40}PRIVATE",
    "://": r"://[!-~]*@",
    **{word: rf"(?i:{word}{_BEFORE_VALUE})" for word in _WORDS},
    **{
        scheme: rf"(?i:{scheme}{_SPACE}+[A-Za-z0-9._~+/=-]{{8}})" for scheme in _SCHEMES
    },
}
PATTERNS = tuple(
    tuple(_GATES[anchor] for anchor in anchors)
    for anchors in (_SHAPES, _WORDS, _SCHEMES)
)


@functools.cache
def _gate(anchor: str) -> Gate:
    return Gate([_GATES[anchor]])


def find(text: str) -> list[_Span]:
    """Return where credentials stand in *text*, as (start, end), in any order."""
    flat = plain(text)
    here = [anchor for anchor in _GATES if _gate(anchor).may_match(flat)]
    low = flat.lower()
    found: list[_Span] = []
    for anchor in here:
        if anchor in _SHAPES:
            found += _shaped(text, text, anchor, _SHAPES[anchor])
        elif anchor in _SCHEMES:
            found += _shaped(text, low, anchor, _SCHEMES[anchor])
        else:
            found += _named(text, low, anchor)
    return found


def mask(text: str, by: str) -> str:
    """Return *text* with *by* in the place of each credential."""
    pieces, at = [], 0
    for start, end in sorted(find(text)):
        if start >= at:
            pieces += [text[at:start], by]
        at = max(at, end)
    return "".join([*pieces, text[at:]]) if pieces else text
