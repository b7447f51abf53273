"""The list of episodes, what it can be narrowed to, and what lies beside one of it."""

from __future__ import annotations

import dataclasses
from typing import Any

from hudtrace.index import filters, listing
from hudtrace.index.filters import Filter
from hudtrace.store.queries import Episode
from hudtrace.viewer import addresses
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import CURSOR, Endpoint, Json, Number, Text
from hudtrace.viewer.problems import Problem

FILTER = Text(
    "q",
    "a filter, such as `reward<1 tool:bash`",
    default="",
    longest=filters.MOST_CHARACTERS + 1,
)
SORT = Text("sort", "a column, with - before it for the largest first", "-started")
_FARTHEST = 10_000_000


def listed(
    desk: Desk, q: str, sort: str, offset: int, cursor: str | None, limit: int
) -> Json:
    """Return the episodes that *q* leaves, a page of them, and figures of all."""
    seq, filter_ = desk.viewer.live.seq, filters.parse(q)
    try:
        page = listing.episodes(desk.index, filter_, sort, offset, limit, cursor)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return {
        "total": page.total,
        "total_capped": page.total_capped,
        "offset": offset,
        "cursor": page.cursor,
        "rows": [episode_data(episode) for episode in page.rows],
        "filter": filter_data(filter_),
        "summary": plain(listing.summary(desk.index, filter_)),
        "removals": [] if page.total else _removals(desk, filter_),
        "lag": desk.index.lag(),
        "seq": seq,
    }


def facets(desk: Desk, q: str) -> Json:
    """Return what the episodes that *q* leaves can be narrowed to, with counts."""
    filter_ = filters.parse(q)
    return {
        "facets": [
            {
                "key": facet.key,
                "label": facet.label,
                "values": [
                    {
                        "value": value,
                        "label": facet.labels.get(value),
                        "count": count,
                        "capped": capped,
                        "q": filter_.adding(facet.key, value),
                    }
                    for value, count, capped in facet.values
                ],
            }
            for facet in listing.facets(desk.index, filter_)
        ]
    }


def neighbours(desk: Desk, q: str, sort: str, trace: str | None) -> Json:
    """Return which episodes are before and after *trace* in the list."""
    if trace is None:
        raise Problem(400, "say which episode: trace=<its id>")
    try:
        found = listing.neighbours(desk.index, filters.parse(q), sort, trace)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return plain(found)


def episode_data(episode: Episode) -> Json:
    """Return an episode as the API gives it: what is unknown is null, never 0."""
    data = episode._asdict()
    started, ended = data.pop("start"), data.pop("end")
    return {
        **data,
        "url": addresses.trace(episode.trace_id),
        "label": episode.label,
        "started": str(started),
        "ended": None if ended is None else str(ended),
        "seconds": episode.seconds,
    }


def filter_data(filter_: Filter) -> Json:
    """Return how a filter was read: its terms, and what is wrong with it."""
    terms = ("text", "start", "end", "field", "op", "values", "negated")
    return {
        "terms": [{n: getattr(term, n) for n in terms} for term in filter_.terms],
        "errors": [error._asdict() for error in filter_.errors],
    }


def plain(found: Any) -> Json:
    """Return what the index has found as plain data."""
    return dataclasses.asdict(found)


def _removals(desk: Desk, filter_: Filter) -> list[Json]:
    """Return what each term hides: how many there would be without it."""
    found = []
    for number, term in enumerate(filter_.terms):
        rest = filter_.without(number)
        page = listing.episodes(desk.index, filters.parse(rest), limit=1)
        found.append({"without": term.text, "q": rest, "total": page.total})
    return found


_LIMIT = Number("limit", "episodes at most", default=100, least=1, most=1000)
_OFFSET = Number("offset", "episodes to leave out", default=0, most=_FARTHEST)
ENDPOINTS = (
    Endpoint("/episodes", listed, parameters=(FILTER, SORT, _OFFSET, CURSOR, _LIMIT)),
    Endpoint("/facets", facets, parameters=(FILTER,)),
    Endpoint(
        "/neighbours",
        neighbours,
        parameters=(
            FILTER,
            SORT,
            Text("trace", "the 32 hex digits of an episode", pattern="[0-9a-f]{32}"),
        ),
    ),
)
