"""Full-text search: hits with the words around them, by the trace that they are in."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from hudtrace.index import Index, cursors
from hudtrace.index.conditions import Condition, condition, match_of
from hudtrace.index.content import SCOPES
from hudtrace.index.filters import Filter
from hudtrace.index.running import running
from hudtrace.index.traces import TraceRow, traces_of
from hudtrace.messages import encodable
from hudtrace.store import queries
from hudtrace.store.queries import Episode

MOST_HITS = 10_000
SHOWN = 5  # hits of one trace
_AROUND = 24  # words of a snippet
_BEGIN, _END = "\1", "\2"
_PIECES = re.compile(r'"([^"]*)"?|([^\s"]+)')
# The newest texts first: without a limit SQLite would not keep the order.
_FOUND = (
    "SELECT had.trace, had.text, had.span_id, said.scope, said.role "
    "FROM (SELECT rowid FROM words WHERE words MATCH ? ORDER BY rowid DESC LIMIT -1) AS w "
    "CROSS JOIN texts AS said ON said.id = w.rowid "
    "CROSS JOIN trace_texts AS had ON had.text = said.id {joins} "
    "WHERE {where} LIMIT ?"
)
_IN_ORDER = (
    "SELECT t.start, f.* FROM ({found}) AS f JOIN traces AS t ON t.id = f.trace "
    "ORDER BY t.start DESC, f.trace DESC, f.text"
)

_SHOWN_TABLE = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS temp.shown USING fts5 "
    "(text, tokenize = 'unicode61 remove_diacritics 2')"
)


class Hit(NamedTuple):
    """A text in which it was found; `snippet` has pieces, and whether each matches."""

    span_id: str
    scope: str
    role: str | None
    snippet: list[tuple[str, bool]]


class Group(NamedTuple):
    """The first hits in one trace, which is an episode or another one, of `total`."""

    subject: Episode | TraceRow
    hits: list[Hit]
    total: int


@dataclass(frozen=True, slots=True)
class Hits:
    """Some groups of hits, the newest trace first.

    `total` counts the hits in all groups; 10,000 is the most that are looked at, and
    then they are `capped`. `cursor` asks for the groups after these.
    """

    total: int
    capped: bool
    groups: list[Group]
    cursor: str | None


def search(
    index: Index,
    text: str,
    scope: str = "all",
    filter: Filter | None = None,
    limit: int = 50,
    cursor: str | None = None,
) -> Hits:
    """Find texts that have all words and "phrases" of *text*.

    *filter* leaves only hits in episodes, those that it leaves. Raises ValueError for
    an unknown scope or cursor.
    """
    if scope not in ("all", *SCOPES):
        raise ValueError(
            f"no scope {scope[:40]!r}; there are: all, {', '.join(SCOPES)}"
        )
    match = match_of_all(text)
    if not match or (filter is not None and filter.errors):
        return Hits(0, capped=False, groups=[], cursor=None)
    rows = _rows(index, match, scope, filter)
    groups = _groups(rows[:MOST_HITS], cursor)
    shown = groups[:limit]
    more = len(groups) > limit and bool(shown)
    return Hits(
        total=min(len(rows), MOST_HITS),
        capped=len(rows) > MOST_HITS,
        groups=_shown(index, match, shown),
        cursor=cursors.written("search", *shown[-1][0][:2]) if more else None,
    )


def match_of_all(text: str) -> str:
    """Return words and phrases in the language of the full-text index; empty for none."""
    found = []
    for piece in _PIECES.finditer(encodable(text[:1000])):
        phrase = piece[1] is not None
        value = piece[1] if phrase else piece[2]
        if any(map(str.isalnum, value)):
            found.append(match_of(value, phrase=phrase))
    return " AND ".join(found)


_Row = tuple[Any, ...]


def _rows(index: Index, match: str, scope: str, filter_: Filter | None) -> list[_Row]:
    joins, where = "", Condition("1")
    if filter_ is not None and filter_.terms:
        joins = "CROSS JOIN listed AS e ON e.trace = had.trace"
        where = condition(index, filter_, running(index.db))
    parts = [where.sql]
    values = list(where.values)
    if scope != "all":
        parts.append("said.scope = ?")
        values.append(scope)
    found = _FOUND.format(joins=joins, where=" AND ".join(f"({p})" for p in parts))
    return index.db.execute(
        _IN_ORDER.format(found=found), (match, *values, MOST_HITS + 1)
    ).fetchall()


def _groups(rows: Sequence[_Row], cursor: str | None) -> list[list[_Row]]:
    """Return the rows of each trace, from the place of *cursor* on."""
    found = [list(group) for _, group in itertools.groupby(rows, lambda row: row[:2])]
    if cursor is None:
        return found
    behind = tuple(cursors.read(cursor, "search", 2))
    if not all(isinstance(value, int) for value in behind):
        raise ValueError("the cursor is none that a page of this list gave")
    return [group for group in found if group[0][:2] < behind]


def _shown(index: Index, match: str, groups: Sequence[list[_Row]]) -> list[Group]:
    """Return groups with what their traces are now; those that are gone are left out."""
    numbers = [group[0][1] for group in groups]
    snippets = _snippets(
        index, match, [row for group in groups for row in group[:SHOWN]]
    )
    traces = traces_of(index, numbers)
    keys = [trace.trace_id for trace in traces.values()]
    episodes = {e.trace_id: e for e in queries.episodes_of(index.db, keys)}
    found = []
    for number, group in zip(numbers, groups, strict=True):
        trace = traces.get(number)
        subject = trace and (episodes.get(trace.trace_id) or _if_there(index, trace))
        if subject is not None:
            hits = [_hit(row, snippets.get(row[2], "")) for row in group[:SHOWN]]
            found.append(Group(subject, hits, len(group)))
    return found


def _if_there(index: Index, trace: TraceRow) -> TraceRow | None:
    row = index.db.execute(
        "SELECT 1 FROM spans WHERE trace_id = ? LIMIT 1",
        (bytes.fromhex(trace.trace_id),),
    ).fetchone()
    return None if row is None else trace


def _snippets(index: Index, match: str, rows: Sequence[_Row]) -> dict[int, str]:
    """Return the words around what matches, of each text of *rows*.

    These texts alone are searched again, in a table of this connection: the whole
    index would be gone through for each of them.
    """
    texts = sorted({row[2] for row in rows})
    marks = ",".join("?" * len(texts))
    index.db.execute(_SHOWN_TABLE)
    index.db.execute(
        f"INSERT INTO temp.shown (rowid, text) "
        f"SELECT id, text FROM texts WHERE id IN ({marks})",
        texts,
    )
    found = index.db.execute(
        f"SELECT rowid, snippet(shown, 0, '{_BEGIN}', '{_END}', '…', {_AROUND}) "
        "FROM temp.shown WHERE shown MATCH ?",
        (match,),
    ).fetchall()
    index.db.execute("DELETE FROM temp.shown")
    return dict(found)


def _hit(row: _Row, snippet: str) -> Hit:
    _start, _trace, _text, span_id, scope, role = row
    return Hit(span_id.hex(), scope, role, _pieces(snippet))


def _pieces(snippet: str) -> list[tuple[str, bool]]:
    pieces = []
    for piece in re.split(f"({_BEGIN}[^{_END}]*{_END}?)", snippet):
        if piece:
            pieces.append((piece.strip(_BEGIN + _END), piece.startswith(_BEGIN)))
    return pieces
