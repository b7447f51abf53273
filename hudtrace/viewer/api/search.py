"""What is found of words in all that was said, by the trace that it is in."""

from __future__ import annotations

from hudtrace.index import filters, search
from hudtrace.index.search import Group
from hudtrace.store.queries import Episode
from hudtrace.viewer import addresses
from hudtrace.viewer.api.episodes import episode_data, filter_data
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import CURSOR, Endpoint, Json, Number, Text
from hudtrace.viewer.problems import Problem

SCOPES = ("all", "messages", "tools", "errors", "reward")


def found(
    desk: Desk, q: str, scope: str, filter: str, cursor: str | None, limit: int
) -> Json:
    """Return texts that have all words and "phrases" of `q`, newest traces first."""
    filter_ = filters.parse(filter)
    narrowed = filter_ if filter_.text else None
    try:
        hits = search.search(desk.index, q, scope, narrowed, limit, cursor)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return {
        "total": hits.total,
        "capped": hits.capped,
        "groups": [_group(group) for group in hits.groups],
        "cursor": hits.cursor,
        "filter": filter_data(filter_),
        "lag": desk.index.lag(),
    }


def _group(group: Group) -> Json:
    subject = group.subject
    episode = episode_data(subject) if isinstance(subject, Episode) else None
    label = subject.label if isinstance(subject, Episode) else subject.name
    return {
        "trace_id": subject.trace_id,
        "url": addresses.trace(subject.trace_id),
        "label": label,
        "episode": episode,
        "total": group.total,
        "hits": [
            {
                "span_id": hit.span_id,
                "url": addresses.trace(subject.trace_id, hit.span_id),
                "scope": hit.scope,
                "role": hit.role,
                "snippet": hit.snippet,
            }
            for hit in group.hits
        ],
    }


ENDPOINTS = (
    Endpoint(
        "/search",
        found,
        parameters=(
            Text("q", 'words, and "phrases"', default="", longest=1000),
            Text("scope", "where to look", default="all", choices=SCOPES),
            Text("filter", "a filter of episodes", "", longest=4001),
            CURSOR,
            Number("limit", "traces at most", default=50, least=1, most=200),
        ),
    ),
)
