"""Lists over the API: episodes, facets, neighbours, jobs, traces, what is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from viewer_kit import API, Events, Served, recording, until

View = Callable[..., Served]
SUMMARY = {
    *("count", "graded", "reward_mean", "reward_stderr", "pass_rate", "errors"),
    *("input_tokens", "output_tokens", "cost", "outcomes", "histogram"),
}


def test_episodes(viewer: Served, ids: dict[str, str]) -> None:
    """A page of them, newest first, and figures of all that the filter leaves."""
    found = viewer.api("/episodes")
    assert (found["total"], found["total_capped"]) == (10, False)
    starts = [int(row["started"]) for row in found["rows"]]
    assert starts == sorted(starts, reverse=True)
    assert set(found["summary"]) >= SUMMARY
    assert found["summary"]["count"] == 10
    assert found["summary"]["outcomes"] == {"scored": 9, "agent_error": 1}
    assert (found["filter"], found["removals"]) == ({"terms": [], "errors": []}, [])
    assert found["seq"] == viewer.api("/changes")["seq"]
    (one,) = viewer.api("/episodes", q=f"trace:{ids['bread']}")["rows"]
    assert one == viewer.api(f"/trace/{ids['bread']}")["episode"]


def test_pages_of_episodes(viewer: Served) -> None:
    """By offset and by cursor, they are the same."""
    whole = viewer.api("/episodes", sort="reward")["rows"]
    by_offset = [
        viewer.api("/episodes", sort="reward", limit=3, offset=at)["rows"]
        for at in range(0, 12, 3)
    ]
    assert [row for page in by_offset for row in page] == whole
    by_cursor, cursor = [], {}
    while cursor is not None:
        page = viewer.api("/episodes", sort="reward", limit=3, **cursor)
        by_cursor += page["rows"]
        cursor = {"cursor": page["cursor"]} if page["cursor"] else None
    assert by_cursor == whole


def test_filters(viewer: Served, ids: dict[str, str]) -> None:
    """Terms are told with their places; what is wrong is told, and leaves nothing."""
    found = viewer.api("/episodes", q="reward<1 -tag:shelf=2 env:shop")
    assert {row["reward"] for row in found["rows"]} == {0.0, 0.5}
    first, second, _ = found["filter"]["terms"]
    assert (first["text"], first["start"], first["end"]) == ("reward<1", 0, 8)
    assert (first["field"], first["op"], first["values"]) == ("reward", "<", ["1"])
    assert (first["negated"], second["negated"]) == (False, True)
    found = viewer.api("/episodes", q="rewrd<1")
    assert (found["total"], found["rows"]) == (0, [])
    (error,) = found["filter"]["errors"]
    assert error["start"] == 0
    assert "reward" in error["message"]
    found = viewer.api("/episodes", q="reward<1 tool:look variant:quick")
    assert found["total"] == 0
    removals = {each["without"]: each["total"] for each in found["removals"]}
    assert removals["reward<1"] == 1
    assert viewer.api("/episodes", q=found["removals"][0]["q"])["total"] == 1
    (hostile,) = viewer.api("/episodes", q="agent~script")["rows"]
    assert hostile["trace_id"] == ids["rubbish"]


def test_facets(viewer: Served) -> None:
    """What there is to narrow a list to, with counts, and the filter that does."""
    facets = {facet["key"]: facet for facet in viewer.api("/facets")["facets"]}
    assert {"env", "outcome", "variant", "tool", "tag"} <= set(facets)
    for facet in facets.values():
        for value in facet["values"]:
            narrowed = viewer.api("/episodes", q=value["q"])
            assert narrowed["filter"]["errors"] == []
            assert narrowed["total"] == value["count"], value
    assert viewer.api("/facets", q="nonsense:1")["facets"] == []


def test_neighbours(viewer: Served) -> None:
    """What is before and after an episode in the list that it was opened from."""
    rows = viewer.api("/episodes", q="reward:1", sort="-started")["rows"]
    list_ = [row["trace_id"] for row in rows]
    for at, trace in enumerate(list_):
        found = viewer.api("/neighbours", q="reward:1", sort="-started", trace=trace)
        assert found["prev"] == (list_[at - 1] if at else None)
        assert found["next"] == (list_[at + 1] if at + 1 < len(list_) else None)
        assert (found["position"], found["total"]) == (at + 1, len(list_))


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/episodes?sort=nothing", "cannot sort by"),
        ("/episodes?cursor=x", "cursor"),
        ("/neighbours", "trace="),
        ("/neighbours?trace=zz", "32 hex digits"),
    ],
)
def test_what_cannot_be_listed(viewer: Served, path: str, said: str) -> None:
    """It is said what can."""
    answer = viewer.get(API + path)
    assert answer.status_code == 400
    assert said in answer.json()["detail"]


def test_an_episode_is_listed_once_it_is_told(tmp_path: Path, view: View) -> None:
    """Whoever asks after a change finds it in the list, and in what is searched."""
    store = tmp_path / "t.db"
    served = view(store)
    with Events(served.origin) as events, recording(store) as running:
        until(lambda: "running" in events.states(running.trace))
        (row,) = served.api("/episodes", q="status:running")["rows"]
        assert row["trace_id"] == running.trace
        running.step()
        running.step()
        until(lambda: "done" in events.states(running.trace))
        (row,) = served.api("/episodes", q="reward:1 job:by-steps")["rows"]
        assert row["trace_id"] == running.trace
