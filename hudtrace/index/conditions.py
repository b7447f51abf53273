"""Filters as SQL over the list of the index; values are parameters, always."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hudtrace.index.fields import FIELDS, NONE, Field
from hudtrace.index.filters import Filter, Term

if TYPE_CHECKING:
    from hudtrace.index import Index

_HAS_FACT = "e.trace IN (SELECT trace FROM trace_facts WHERE fact IN ({0}))"
_AMONG = "(SELECT value FROM json_each(?))"
_WITH_TEXT = (
    "SELECT json_group_array(trace) FROM (SELECT DISTINCT t.trace FROM words "
    "CROSS JOIN trace_texts AS t ON t.text = words.rowid WHERE words MATCH ?)"
)
_MOST_KEPT = 8
_FACTS = "SELECT id FROM facts WHERE kind = ? AND "
ERROR = "e.failure IN ('agent', 'infra')"


class Condition(NamedTuple):
    """A condition on `listed AS e`, and the values for its marks."""

    sql: str
    values: Sequence[Any] = ()


def condition(index: Index, filter_: Filter, running: Sequence[int]) -> Condition:
    """Return what *filter_* asks of an episode; *running* are those that run."""
    parts = [
        _of_text(index, term) if term.field is None else _of_term(term, running)
        for term in filter_.terms
    ]
    if not parts:
        return Condition("1")
    values = [value for part in parts for value in part.values]
    return Condition(" AND ".join(f"({part.sql})" for part in parts), values)


def all_of(
    index: Index, filter_: Filter | None, running: Sequence[int], of_others: str
) -> Condition:
    """Return a condition for rows that belong to episodes, by one with a place for theirs."""
    if filter_ is None or not (filter_.terms or filter_.errors):
        return Condition("1")
    own = Condition("0") if filter_.errors else condition(index, filter_, running)
    return Condition(of_others.format(own.sql), own.values)


def match_of(text: str, *, phrase: bool) -> str:
    """Return *text* in the language of the full-text index, with nothing that acts.

    Long words match those that begin with them; a phrase matches as it is.
    """
    clean = text.replace("\0", " ")
    if phrase:
        return _as_string(clean)
    words = [word for word in clean.split() if any(map(str.isalnum, word))]
    return " ".join(_as_string(w) + ("*" if len(w) > 2 else "") for w in words)


def _as_string(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _of_text(index: Index, term: Term) -> Condition:
    """Return the condition of having a text; the traces with it are found only once."""
    match = match_of(term.values[0], phrase=term.phrase)
    (seen,) = index.db.execute("SELECT spans FROM progress").fetchone()
    traces = index.kept.get((match, seen))
    if traces is None:
        (traces,) = index.db.execute(_WITH_TEXT, (match,)).fetchone()
        while len(index.kept) >= _MOST_KEPT:
            del index.kept[next(iter(index.kept))]
        index.kept[match, seen] = traces
    return _turned(Condition(f"e.trace IN {_AMONG}", [traces]), term.negated)


def _of_term(term: Term, running: Sequence[int]) -> Condition:
    field = FIELDS[term.field or ""]
    build = _BUILDERS.get(field.name) or _BUILDERS[field.kind]
    operator = "=" if term.op in (":", "!=") else term.op
    found = build(field, operator, term.meant, running)
    return _turned(found, term.negated != (term.op == "!="))


def _turned(found: Condition, negated: bool) -> Condition:
    return Condition(f"({found.sql}) IS NOT TRUE", found.values) if negated else found


def _any(parts: Sequence[Condition]) -> Condition:
    values = [value for part in parts for value in part.values]
    return Condition(" OR ".join(part.sql for part in parts), values)


def _in(column: str, values: Sequence[Any]) -> Condition:
    known = [value for value in values if value is not None]
    sql = f"{column} IN ({','.join('?' * len(known))})" if known else "0"
    if len(known) < len(values):
        sql = f"{sql} OR {column} IS NULL"
    return Condition(sql, known)


def _like(text: str) -> str:
    for sign in "\\%_":
        text = text.replace(sign, f"\\{sign}")
    return f"%{text}%"


def _text_of(column: str, operator: str, values: Sequence[Any]) -> Condition:
    if operator == "=":
        return _in(column, values)
    known = [NONE if value is None else value for value in values]
    sql = " OR ".join([f"{column} LIKE ? ESCAPE '\\'"] * len(known))
    return Condition(sql, [_like(value) for value in known])


def _fact(kind: str, operator: str, values: Sequence[Any]) -> Condition:
    which = _text_of("value", operator, values)
    facts = f"{_FACTS}({which.sql})"
    return Condition(_HAS_FACT.format(facts), [kind, *which.values])


def _text(
    field: Field, operator: str, values: Sequence[Any], _running: Sequence[int]
) -> Condition:
    if field.column is None:
        return _fact(field.name, operator, values)
    return _text_of(f"e.{field.column}", operator, values)


def _model(
    field: Field, operator: str, values: Sequence[Any], running: Sequence[int]
) -> Condition:
    own = _text(field, operator, values, running)
    return _any([own, _fact("model", operator, [v for v in values if v is not None])])


def _tag(
    _field: Field, operator: str, values: Sequence[Any], _running: Sequence[int]
) -> Condition:
    if operator == "~":
        return _fact("tag", operator, values)
    parts = []
    for value in values:
        if "=" in value:
            parts.append(_fact("tag", "=", [value]))
        else:  # any value of the key; "=" is followed by ">"
            facts = f"{_FACTS}value >= ? AND value < ?"
            bounds = ["tag", f"{value}=", f"{value}>"]
            parts.append(Condition(_HAS_FACT.format(facts), bounds))
    return _any(parts)


def _number(
    field: Field, operator: str, values: Sequence[Any], _running: Sequence[int]
) -> Condition:
    column = f"e.{field.column}"
    if operator == "=":
        return _in(column, values)
    if values[0] is None:
        return Condition("0")
    return Condition(f"{column} {operator} ?", values)


def _time(
    _field: Field, operator: str, values: Sequence[Any], _running: Sequence[int]
) -> Condition:
    if operator == "=":
        return _any([_when(low, high) for low, high in values])
    low, high = values[0]
    bound = {"<": low, "<=": high, ">": high, ">=": low}[operator]
    sign = {"<": "<", "<=": "<", ">": ">=", ">=": ">="}[operator]
    return Condition(f"e.start {sign} ?", [bound])


def _when(low: int, high: int) -> Condition:
    if low == high:
        return Condition("e.start >= ?", [low])
    return Condition("e.start >= ? AND e.start < ?", [low, high])


def _state(
    _field: Field, _operator: str, values: Sequence[Any], running: Sequence[int]
) -> Condition:
    alive = json.dumps(list(running))
    known = {
        "done": Condition("e.end IS NOT NULL"),
        "running": Condition(f"e.end IS NULL AND e.trace IN {_AMONG}", [alive]),
        "interrupted": Condition(f"e.end IS NULL AND e.trace NOT IN {_AMONG}", [alive]),
        "error": Condition(ERROR),
    }
    return _any([known[value] for value in values])


def _trace(
    _field: Field, _operator: str, values: Sequence[Any], _running: Sequence[int]
) -> Condition:
    sql = "e.trace IN (SELECT id FROM traces WHERE trace_id BETWEEN ? AND ?)"
    return _any([Condition(sql, list(bounds)) for bounds in values])


_Builder = Callable[[Field, str, Sequence[Any], Sequence[int]], Condition]
_BUILDERS: dict[str, _Builder] = {
    "model": _model,
    "text": _text,
    "tag": _tag,
    "number": _number,
    "duration": _number,
    "time": _time,
    "state": _state,
    "trace": _trace,
}
