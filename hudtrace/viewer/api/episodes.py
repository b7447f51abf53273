"""The list of episodes, what it can be narrowed to, and what lies beside one of it."""

from __future__ import annotations

from hudtrace.store import queries
from hudtrace.viewer import addresses
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import CURSOR, Endpoint, Json, Number, Text

FILTER = Text("q", "a filter, such as `reward<1 tool:bash`", default="")
SORT = Text("sort", "a column, with - before it for the largest first", "-started")


def listed(
    desk: Desk, q: str, sort: str, offset: int, cursor: str | None, limit: int
) -> Json:
    """Return the episodes that *q* leaves, a page of them, and figures of all."""
    found = queries.episodes(desk.db, limit=offset + limit)[offset:]
    (total,) = desk.db.execute("SELECT count(*) FROM episodes").fetchone()
    return {
        "total": total,
        "total_capped": False,
        "offset": offset,
        "cursor": None,
        "rows": [episode_data(episode) for episode in found],
        "filter": {"terms": [], "errors": []},
        "summary": None,
        "seq": desk.viewer.live.seq,
    }


def episode_data(episode: queries.Episode) -> Json:
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


ENDPOINTS = (
    Endpoint(
        "/episodes",
        listed,
        parameters=(
            FILTER,
            SORT,
            Number("offset", "episodes to leave out", default=0, most=10_000_000),
            CURSOR,
            Number("limit", "episodes at most", default=100, least=1, most=1000),
        ),
    ),
)
