"""The one grammar of filters: `reward<1 tool:bash -tag:flaky "free text"`.

All terms have to hold. A term is a field, an operator and a value, or several values
of which any will do; `-` before it turns it round. What has no field is searched for
in the texts of the episode. Reading a filter never fails: what is wrong with it is in
its `errors`, each with its place.
"""

from __future__ import annotations

import dataclasses
import difflib
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

from hudtrace.index.fields import FIELDS, SAME, Field, read_value
from hudtrace.messages import encodable

MOST_CHARACTERS = 4000
MOST_TERMS = 50
MOST_VALUES = 100

_HEAD = re.compile(r"([A-Za-z_][A-Za-z_.]*)(!=|<=|>=|[:=~<>])")
_SPACE = re.compile(r"\s*")
_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.S)
_PLAIN = re.compile(r'[^\s,"]+')
_WORD = re.compile(r'[^\s"]+')
_NEEDS_QUOTES = re.compile(r'[\s,"]|^$')


@dataclass(frozen=True, slots=True)
class Term:
    """One term, from `start` to `end` in the text of its filter.

    `field` is None for text to be searched for. `meant` has the values as the field
    reads them.
    """

    text: str
    start: int
    end: int
    field: str | None
    op: str
    values: tuple[str, ...]
    negated: bool
    meant: tuple[Any, ...] = dataclasses.field(default=(), repr=False)
    phrase: bool = False


class FilterError(NamedTuple):
    """What is wrong with a part of a filter, and what could be there instead."""

    start: int
    end: int
    message: str


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter that was read."""

    text: str = ""
    terms: tuple[Term, ...] = ()
    errors: tuple[FilterError, ...] = ()

    def without(self, number: int) -> str:
        """Return the text of the filter without its term *number*, from 0."""
        term = self.terms[number]
        before, after = self.text[: term.start].rstrip(), self.text[term.end :].lstrip()
        return f"{before} {after}".strip()

    def leaving_out(self, name: str) -> Filter:
        """Return the filter without its terms of the field *name*."""
        terms = tuple(term for term in self.terms if term.field != name)
        return Filter(self.text, terms, self.errors)

    def adding(self, name: str, value: str) -> str:
        """Return the text of the filter with *value* also allowed for the field *name*."""
        written = quoted(value)
        for term in self.terms:
            if term.field == name and not term.negated and term.op in (":", "="):
                if value in term.values:
                    return self.text
                return f"{self.text[: term.end]},{written}{self.text[term.end :]}"
        return f"{self.text} {name}:{written}".strip()


def parse(text: str, now: datetime | None = None) -> Filter:
    """Read *text*; times such as `2h` count back from *now*."""
    if len(text) > MOST_CHARACTERS:
        why = f"a filter has at most {MOST_CHARACTERS} characters, not {len(text)}"
        return Filter(text, (), (FilterError(0, len(text), why),))
    return _Reader(text, now or datetime.now().astimezone()).read()


def quoted(value: str) -> str:
    """Return *value* as it is written in a filter, in quotes if it needs them."""
    return _in_quotes(value) if _NEEDS_QUOTES.search(value) else value


class _Mistake(Exception):
    def __init__(self, start: int, end: int, message: str) -> None:
        self.error = FilterError(start, end, message)


class _Reader:
    def __init__(self, text: str, now: datetime) -> None:
        self._text, self._now = text, now
        self._at = 0

    def read(self) -> Filter:
        terms: list[Term] = []
        errors: list[FilterError] = []
        while True:
            self._at = self._after(_SPACE)
            if self._at >= len(self._text):
                return Filter(self._text, tuple(terms), tuple(errors))
            if len(terms) + len(errors) >= MOST_TERMS:
                why = f"a filter has at most {MOST_TERMS} terms"
                errors.append(FilterError(self._at, len(self._text), why))
                return Filter(self._text, tuple(terms), tuple(errors))
            try:
                terms.append(self._term())
            except _Mistake as mistake:
                errors.append(mistake.error)

    def _after(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self._text, self._at)
        return found.end() if found else self._at

    def _term(self) -> Term:
        start = self._at
        negated = self._text[start] == "-" and not self._ends(start + 1)
        self._at += negated
        head = _HEAD.match(self._text, self._at)
        if head is None:
            return self._free(start, negated)
        self._at = head.end()
        name, operator = head[1].lower(), head[2]
        values, places = self._values(start)
        known = FIELDS.get(name)
        if known is None:
            raise _Mistake(
                head.start(1), head.end(1), _no_field(name, self._shown(start))
            )
        if operator not in known.operators:
            raise _Mistake(head.start(2), head.end(2), _no_operator(known, operator))
        self._check_count(known, operator, values, start)
        meant = tuple(
            self._meant(known, value, *place)
            for value, place in zip(values, places, strict=True)
        )
        return self._made(start, known.name, operator, values, negated, meant)

    def _made(
        self,
        start: int,
        name: str | None,
        operator: str,
        values: tuple[str, ...],
        negated: bool,
        meant: tuple[Any, ...] = (),
        phrase: bool = False,
    ) -> Term:
        return Term(
            self._text[start : self._at],
            start,
            self._at,
            name,
            operator,
            values,
            negated,
            meant,
            phrase,
        )

    def _free(self, start: int, negated: bool) -> Term:
        phrase = self._text[self._at] == '"'
        value = encodable(self._quoted() if phrase else self._take(_WORD))
        if not any(sign.isalnum() for sign in value):
            why = (
                f"there are no letters or digits to search for in {self._shown(start)}"
            )
            raise _Mistake(start, self._at, why)
        return self._made(start, None, "", (value,), negated, (value,), phrase)

    def _values(self, start: int) -> tuple[tuple[str, ...], list[tuple[int, int]]]:
        values, places = [], []
        while True:
            began = self._at
            if self._text[began : began + 1] == '"':
                value = self._quoted()
            else:
                value = self._take(_PLAIN)
                if not value:
                    why = f"there is no value after {self._text[start:began]}"
                    raise _Mistake(start, self._past_comma(), why)
            values.append(encodable(value))
            places.append((began, self._at))
            if self._text[self._at : self._at + 1] != ",":
                break
            self._at += 1
        return tuple(values), places

    def _past_comma(self) -> int:
        """Go on after a comma with nothing before it, and say where that is."""
        while self._text[self._at : self._at + 1] == ",":
            self._at += 1
        return self._at

    def _take(self, pattern: re.Pattern[str]) -> str:
        began, self._at = self._at, self._after(pattern)
        return self._text[began : self._at]

    def _quoted(self) -> str:
        found = _QUOTED.match(self._text, self._at)
        if found is None:
            began, self._at = self._at, len(self._text)
            raise _Mistake(began, self._at, 'there is no closing " to this one')
        self._at = found.end()
        return re.sub(r"\\(.)", r"\1", found[1], flags=re.S)

    def _ends(self, at: int) -> bool:
        return at >= len(self._text) or self._text[at].isspace()

    def _shown(self, start: int) -> str:
        return _short(self._text[start : self._at])

    def _check_count(
        self, known: Field, operator: str, values: tuple[str, ...], start: int
    ) -> None:
        if len(values) > 1 and operator not in (*SAME, "~"):
            why = f"{known.name}{operator} takes one value"
            raise _Mistake(start, self._at, why)
        if len(values) > MOST_VALUES:
            why = f"a term has at most {MOST_VALUES} values, not {len(values)}"
            raise _Mistake(start, self._at, why)

    def _meant(self, known: Field, value: str, start: int, end: int) -> Any:
        try:
            return read_value(known, value, self._now)
        except ValueError as error:
            why = f"{known.name} takes {error}, not {_short(value)!r}"
            raise _Mistake(start, end, why) from None


def _no_field(name: str, term: str) -> str:
    near = difflib.get_close_matches(name, FIELDS, 1)
    hint = f"; did you mean {near[0]}?" if near else "."
    return (
        f"no field {_short(name)!r}{hint} There are: {', '.join(FIELDS)}. "
        f"To search for it as text, put it in quotes: {_in_quotes(term)}"
    )


def _no_operator(known: Field, operator: str) -> str:
    return (
        f"{known.name} is {known.means}, which {operator} does not compare; "
        f"it takes {' '.join(known.operators)}"
    )


def _in_quotes(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"
