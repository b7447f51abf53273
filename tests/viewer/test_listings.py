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


def test_ids_have_names(viewer: Served, ids: dict[str, str]) -> None:
    """Tasks and jobs are said in words too: where lists are narrowed, and of an episode."""
    facets = {facet["key"]: facet for facet in viewer.api("/facets")["facets"]}
    assert [value["label"] for value in facets["job"]["values"]] == ["shopper"]
    for value in facets["task"]["values"]:
        rows = viewer.api("/episodes", q=value["q"])["rows"]
        assert value["label"] in {row["label"] for row in rows}
    assert {value["label"] for value in facets["env"]["values"]} == {None}
    row = viewer.api("/episodes", q=f"job:{ids['job']}")["rows"][0]
    job = viewer.api(f"/trace/{row['trace_id']}")["job"]
    assert (job["id"], job["name"]) == (ids["job"], "shopper")


def test_jobs(viewer: Served, ids: dict[str, str]) -> None:
    """How each went; with one, its tasks and repeats, and what made the difference."""
    (row,) = viewer.api("/jobs")["rows"]
    assert (row["job_id"], row["name"]) == (ids["job"], "shopper")
    assert (row["episodes"], row["done"], row["running"], row["errors"]) == (6, 6, 0, 0)
    assert row["reward_mean"] == pytest.approx(4 / 6)
    assert sum(row["histogram"]) == 6
    assert row["url"] == f"/job/{ids['job']}"
    assert row["trace_url"] == f"/trace/{ids['job_trace']}"
    job = viewer.api(row["url"])
    assert row.items() <= job.items()
    assert (job["pass_at_1"], job["pass_at_k"], job["k"]) == (
        pytest.approx(2 / 3),
        pytest.approx(2 / 3),
        2,
    )
    assert [task["n"] for task in job["tasks"]] == [2, 2, 2]
    for task in job["tasks"]:
        query = task["url"].partition("?q=")[2]
        found = viewer.get(f"{API}/episodes?q=job:{ids['job']}+{query}").json()
        listed = {episode["trace_id"] for episode in found["rows"]}
        assert listed == set(task["trace_ids"])
        assert len(task["rewards"]) == 2
    lift = viewer.api(f"{row['url']}/lift")
    assert (lift["passed"], lift["failed"]) == (4, 2)
    for thing in lift["rows"]:
        difference = thing["passed_share"] - thing["failed_share"]
        assert thing["difference"] == pytest.approx(difference)
        assert viewer.api("/episodes", q=thing["q"])["filter"]["errors"] == []
    assert "no episodes of a job" in viewer.api("/job/nothing%2Fat/all", 404)["detail"]


def test_traces(viewer: Served, ids: dict[str, str]) -> None:
    """All of them, not episodes alone; page by page, by service, name and prefix."""
    found = viewer.api("/traces")
    assert found["services"] == ["hudtrace"]
    rows = {row["trace_id"]: row for row in found["rows"]}
    assert len(rows) == 12
    assert not rows[ids["job_trace"]]["episode"]
    assert rows[ids["bread"]]["episode"]
    assert rows[ids["bread"]]["spans"] == 7
    assert rows[ids["nothing"]]["errors"] > 0
    first = viewer.api("/traces", limit=7)
    rest = viewer.api("/traces", limit=7, cursor=first["cursor"])
    assert [*first["rows"], *rest["rows"]] == found["rows"]
    assert rest["cursor"] is None
    assert viewer.api("/traces", service="other")["rows"] == []
    errors = viewer.api("/traces", errors=1)["rows"]
    assert ids["nothing"] in {row["trace_id"] for row in errors}
    (named,) = viewer.api("/traces", name="hud.job")["rows"]
    assert named["trace_id"] == ids["job_trace"]
    (one,) = viewer.api("/traces", prefix=ids["bread"][:12])["rows"]
    assert one == rows[ids["bread"]]
    assert viewer.api("/traces", prefix="f" * 32)["rows"] == []


def test_search(viewer: Served, ids: dict[str, str]) -> None:
    """What was said is found by its words, where it was said; capped, page by page."""
    found = viewer.api("/search", q="very long")
    assert (found["lag"], found["capped"]) == (0, False)
    hits = {group["trace_id"]: group for group in found["groups"]}
    group = hits[ids["bread"]]
    assert group["label"] == "shop:buy(what=bread)"
    assert group["episode"]["trace_id"] == ids["bread"]
    (hit,) = group["hits"]
    assert hit["scope"] == "tools"
    assert ["very", True] in hit["snippet"]
    span = hit["url"].partition("?span=")[2]
    assert viewer.api(f"/trace/{ids['bread']}/span/{span}")["kind"] == "tool"
    assert viewer.api("/search", q="very long", scope="errors")["total"] == 0
    narrowed = viewer.api("/search", q="very long", filter="variant:quick")
    assert [g["trace_id"] for g in narrowed["groups"]] == [ids["bread"]]
    first = viewer.api("/search", q="script", limit=1)
    second = viewer.api("/search", q="script", limit=1, cursor=first["cursor"])
    assert first["groups"][0]["trace_id"] != second["groups"][0]["trace_id"]
    (half,) = viewer.api("/search", q="half", scope="reward")["groups"]
    assert half["episode"] is None or half["trace_id"] == ids["rubbish"]
    nothing = viewer.api("/search")
    assert (nothing["total"], nothing["groups"]) == (0, [])
    broken = viewer.api("/search", q="script", filter="nonsense:1")
    assert broken["filter"]["errors"]
    assert broken["total"] == 0
    assert "one of all, messages" in viewer.api("/search", 400, scope="x")["detail"]
