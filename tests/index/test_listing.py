"""Lists of episodes: filters as SQL against filters as Python, pages, figures, facets."""

from __future__ import annotations

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from made_stores import BEGIN, MINUTE, Call, Filled, Made, text

from hudtrace import semconv
from hudtrace.index import Index, filters, listing, open_index
from hudtrace.store.queries import Episode

TOOLS = ("bash", "read_file", "Ünïcode tool", "100%_sure")


def made(number: int, pick: random.Random) -> Made:
    """An episode with something of everything, or nothing of it."""

    def maybe(value: Any) -> Any:
        return value if pick.random() < 0.8 else None

    reward = maybe(pick.choice([0.0, 0.25, 0.5, 1.0, 1.5]))
    root = {
        semconv.ENV_NAME: maybe(pick.choice(["web", "code", "it's"])),
        semconv.SCENARIO: maybe(pick.choice(["fix", "find"])),
        semconv.TASK_ID: f"t{number % 9}",
        semconv.JOB_ID: maybe(f"job-{number % 3}"),
        semconv.MODEL: maybe(pick.choice(["gpt-5", "claude"])),
        semconv.OUTCOME: "scored" if reward is not None else "agent_error",
        semconv.FAILURE_CLASS: "none" if reward is not None else "agent",
        semconv.STOPPED_BY: maybe("turns"),
        semconv.REWARD: reward,
        semconv.HUD_USAGE_INPUT: maybe(pick.randrange(3000)),
        semconv.HUD_USAGE_OUTPUT: maybe(pick.randrange(3000)),
        semconv.COST_TOTAL: maybe(pick.random()),
        semconv.TURNS: maybe(pick.randrange(5)),
        semconv.TOOL_CALLS: maybe(pick.randrange(5)),
        semconv.TOOL_ERRORS: maybe(pick.randrange(2)),
        semconv.ATTEMPT: number % 4,
        semconv.METADATA_PREFIX + "split": maybe(pick.choice(["train", "test"])),
    }
    calls = [Call(pick.choice(TOOLS), error=maybe("TimeoutError")) for _ in range(2)]
    return Made(
        {key: value for key, value in root.items() if value is not None},
        chats=[[text("user", f"number {number} please"), text("assistant", "Yes")]],
        calls=calls if pick.random() < 0.7 else [],
        start=BEGIN + pick.randrange(200) * MINUTE,
        took=pick.randrange(1, 90) * 10**9,
        ended=pick.random() < 0.95,
        model=pick.choice(["gpt-5", "judge"]),
    )


@pytest.fixture(scope="module")
def filled(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[Index, dict[str, Made]]]:
    """An index of 300 episodes, and how each was made."""
    path = tmp_path_factory.mktemp("listing") / "t.db"
    store, pick = Filled(path), random.Random(3)
    episodes = [made(number, pick) for number in range(300)]
    keys = store.add(episodes)
    with open_index(path) as index:
        index.catch_up()
        yield index, dict(zip(keys, episodes, strict=True))
    store.store.close()


def tokens(episode: Episode) -> int | None:
    used = [episode.input_tokens, episode.output_tokens]
    known = [each for each in used if each is not None]
    return sum(known) if known else None


def tools(episode: Made) -> set[str]:
    return {call.tool for call in episode.calls}


def failed(episode: Made) -> set[str]:
    return {call.tool for call in episode.calls if call.error}


def models(e: Episode, m: Made) -> set[str | None]:
    return {e.model, m.model}


def split(episode: Made) -> Any:
    return (
        episode.root.get(semconv.METADATA_PREFIX + "split") if episode.ended else None
    )


Says = Callable[[Episode, Made], Any]
EQUAL: dict[str, Says] = {
    "reward<1": lambda e, m: e.reward is not None and e.reward < 1,
    "reward>=0.5": lambda e, m: e.reward is not None and e.reward >= 0.5,
    "reward:0.5,1": lambda e, m: e.reward in (0.5, 1),
    "reward!=1": lambda e, m: e.reward != 1,
    "reward:none": lambda e, m: e.reward is None,
    "status:error": lambda e, m: e.failure in ("agent", "infra"),
    "status:done": lambda e, m: e.end is not None,
    "status:interrupted": lambda e, m: e.end is None,
    "status:running": lambda e, m: False,
    "outcome:scored": lambda e, m: e.outcome == "scored",
    "failure:none": lambda e, m: e.failure == "none",
    "env:web,code": lambda e, m: e.env in ("web", "code"),
    "env:it's": lambda e, m: e.env == "it's",
    "env:none": lambda e, m: e.env is None,
    "-env:web": lambda e, m: e.env != "web",
    "env~E": lambda e, m: e.env is not None and "e" in e.env,
    "env~%": lambda e, m: False,
    "-env!=web": lambda e, m: e.env == "web",
    "scenario=fix": lambda e, m: e.scenario == "fix",
    "task:t1,t2": lambda e, m: e.task_id in ("t1", "t2"),
    "model:gpt-5": lambda e, m: "gpt-5" in models(e, m),
    "model~jud": lambda e, m: "judge" in models(e, m),
    "job:job-1": lambda e, m: e.job_id == "job-1",
    "job:none": lambda e, m: e.job_id is None,
    "tool:bash": lambda e, m: "bash" in tools(m),
    "-tool:bash,read_file": lambda e, m: not tools(m) & {"bash", "read_file"},
    'tool:"Ünïcode tool"': lambda e, m: "Ünïcode tool" in tools(m),
    "tool~%_s": lambda e, m: "100%_sure" in tools(m),
    "failed:bash": lambda e, m: "bash" in failed(m),
    "error:TimeoutError": lambda e, m: failed(m),
    "stopped:turns": lambda e, m: e.stopped_by == "turns",
    "tag:split": lambda e, m: split(m) is not None,
    "tag:split=train": lambda e, m: split(m) == "train",
    "tag:spli": lambda e, m: False,
    "tag~rain": lambda e, m: split(m) == "train",
    "-tag:split=train": lambda e, m: split(m) != "train",
    "dur>30s": lambda e, m: e.seconds is not None and e.seconds > 30,
    "dur<=1m": lambda e, m: e.seconds is not None and e.seconds <= 60,
    "tokens>2k": lambda e, m: (tokens(e) or 0) > 2000,
    "cost<0.5": lambda e, m: e.cost is not None and e.cost < 0.5,
    "turns:3": lambda e, m: e.turns == 3,
    "calls>=2": lambda e, m: (e.tool_calls or 0) >= 2,
    "errors>0": lambda e, m: (e.tool_errors or 0) > 0,
    "attempt:2": lambda e, m: e.attempt == 2,
    "started>2027-01-15T09:30Z": lambda e, m: e.start >= BEGIN + 91 * MINUTE,
    "number": lambda e, m: True,
    "numb": lambda e, m: True,
    '"number 7 please"': lambda e, m: m.chats[0][0] == text("user", "number 7 please"),
    '-"number 7 please"': lambda e, m: m.chats[0][0] != text("user", "number 7 please"),
    "nowhere": lambda e, m: False,
}


def matching(index: Index, asked: str) -> set[str]:
    page = listing.episodes(index, filters.parse(asked), limit=1000)
    assert page.total == len(page.rows)
    return {row.trace_id for row in page.rows}


@pytest.mark.parametrize("asked", EQUAL)
def test_a_filter_leaves_what_it_says(
    filled: tuple[Index, dict[str, Made]], asked: str
) -> None:
    """Each field and operator leaves the episodes of which it is true in Python."""
    index, episodes = filled
    rows = listing.episodes(index, filters.parse(""), limit=1000).rows
    assert len(rows) == 300
    expected = {e.trace_id for e in rows if EQUAL[asked](e, episodes[e.trace_id])}
    assert filters.parse(asked).errors == ()
    assert matching(index, asked) == expected


def test_terms_together(filled: tuple[Index, dict[str, Made]]) -> None:
    """Terms all hold at once, in every order; a negated one takes the others away."""
    index, _ = filled
    pick, everything = random.Random(4), matching(index, "")
    for _ in range(150):
        some = pick.sample(sorted(EQUAL), 3)
        expected = set.intersection(*(matching(index, one) for one in some))
        assert matching(index, " ".join(some)) == expected
        one = some[0]
        turned = one[1:] if one.startswith("-") else f"-{one}"
        assert matching(index, turned) == everything - matching(index, one)


def test_hostile_values_are_only_values(filled: tuple[Index, dict[str, Made]]) -> None:
    """Nothing in a filter is ever SQL, or the language of the full-text index."""
    index, _ = filled
    pick, signs = random.Random(5), "'\";()*%_-\\ :^{}+NEAR/ANDORNOT\0é\ud800"
    fields = ["env", "tool", "tag", "model", "error", "job", ""]
    before = listing.episodes(index, filters.parse(""), limit=1).total
    for _ in range(1500):
        value = "".join(pick.choices(signs, k=pick.randrange(1, 12)))
        field, operator = pick.choice(fields), pick.choice(":=~")
        asked = f"{field}{operator if field else ''}{filters.quoted(value)}"
        found = filters.parse(asked)
        listing.episodes(index, found)
        listing.facets(index, found)
    assert listing.episodes(index, filters.parse(""), limit=1).total == before


@pytest.mark.parametrize("sort", [*listing.SORTS, *(f"-{s}" for s in listing.SORTS)])
def test_pages_follow_on_each_other(
    filled: tuple[Index, dict[str, Made]], sort: str
) -> None:
    """By cursor and by offset every episode comes once, sorted, unknown values last."""
    index, _ = filled
    asked = filters.parse("-env:web")
    whole = listing.episodes(index, asked, sort, limit=1000).rows
    paged: list[Episode] = []
    cursor = None
    while True:
        page = listing.episodes(index, asked, sort, limit=17, cursor=cursor)
        offset = listing.episodes(index, asked, sort, offset=len(paged), limit=17)
        assert page.rows == offset.rows
        paged += page.rows
        cursor = page.cursor
        if cursor is None:
            break
    assert paged == whole
    column = listing.SORTS[sort.removeprefix("-")]
    known = {"took": "seconds"}.get(column, column)
    values = [tokens(e) if column == "tokens" else getattr(e, known) for e in whole]
    there = [value for value in values if value is not None]
    assert values[: len(there)] == sorted(there, reverse=sort.startswith("-"))


@pytest.mark.parametrize("sort", ["-started", "reward", "-cost", "env"])
def test_neighbours_are_those_of_the_list(
    filled: tuple[Index, dict[str, Made]], sort: str
) -> None:
    """Before and after an episode come those beside it in the list, at its position."""
    index, _ = filled
    asked = filters.parse("tool:bash")
    ids = [e.trace_id for e in listing.episodes(index, asked, sort, limit=1000).rows]
    for place in (0, 1, len(ids) // 2, len(ids) - 1):
        found = listing.neighbours(index, asked, sort, ids[place])
        assert found.position == place + 1
        assert found.prev == (ids[place - 1] if place else None)
        assert found.next == (ids[place + 1] if place + 1 < len(ids) else None)
        assert found.total == len(ids)
    outside = listing.neighbours(index, filters.parse("-tool:bash"), sort, ids[0])
    assert outside.position is None
    assert listing.neighbours(index, asked, sort, "00" * 16).next is None


def test_figures_are_those_of_the_rows(filled: tuple[Index, dict[str, Made]]) -> None:
    """The summary of a filter is what its rows come to."""
    import statistics

    index, _ = filled
    for asked in ("", "tool:bash", "reward<1", "env:nowhere", "status:interrupted"):
        found = listing.summary(index, filters.parse(asked))
        rows = listing.episodes(index, filters.parse(asked), limit=1000).rows
        rewards = [e.reward for e in rows if e.reward is not None]
        costs = [e.cost for e in rows if e.cost is not None]
        inputs = [e.input_tokens for e in rows if e.input_tokens is not None]
        assert (found.count, found.graded) == (len(rows), len(rewards))
        assert found.input_tokens == (sum(inputs) if inputs else None)
        assert found.cost == (pytest.approx(sum(costs)) if costs else None)
        assert found.errors == sum(e.failure in ("agent", "infra") for e in rows)
        assert found.outcomes == Counter(e.outcome or e.state for e in rows)
        assert sum(found.histogram) == len(rewards)
        assert found.histogram[0] == sum(reward <= 0 for reward in rewards)
        assert found.histogram[-1] == sum(reward >= 1 for reward in rewards)
        if len(rewards) > 1:
            error = statistics.stdev(rewards) / len(rewards) ** 0.5
            assert found.reward_mean == pytest.approx(statistics.fmean(rewards))
            assert found.reward_stderr == pytest.approx(error)
            passed = sum(reward >= 1 for reward in rewards) / len(rewards)
            assert found.pass_rate == pytest.approx(passed)
        else:
            assert (found.reward_stderr, found.pass_rate) == (None, None)


def test_facets_count_what_their_filters_leave(
    filled: tuple[Index, dict[str, Made]],
) -> None:
    """Each count of a facet is the total of the filter with that value alone."""
    index, _ = filled
    asked = filters.parse("reward<1 tool:bash")
    for facet in listing.facets(index, asked):
        assert facet.values
        base = "reward<1" if facet.key == "tool" else "reward<1 tool:bash"
        for value, count, capped in facet.values:
            assert not capped
            if facet.key == "model":
                continue  # the facet is of the episode's model, the filter of any
            wanted = f"{base} {facet.key}:{filters.quoted(value)}"
            assert len(matching(index, wanted)) == count, wanted


def test_mistakes_leave_nothing(filled: tuple[Index, dict[str, Made]]) -> None:
    """A filter with a mistake leaves no episodes; a wrong order or cursor is refused."""
    index, _ = filled
    wrong = filters.parse("reward<1 nowhere:2")
    assert listing.episodes(index, wrong).total == 0
    assert listing.summary(index, wrong).count == 0
    assert listing.facets(index, wrong) == []
    assert listing.neighbours(index, wrong, "-started", "00" * 16).total == 0
    with pytest.raises(ValueError, match="cannot sort by 'trace; --'"):
        listing.episodes(index, filters.parse(""), "trace; --")
    page = listing.episodes(index, filters.parse(""), limit=1)
    for cursor in ("", "x", "W10", "e30", "WzEsMiwzXQ", "\ud800", page.cursor or ""):
        with pytest.raises(ValueError, match="cursor"):
            listing.episodes(index, filters.parse(""), "-cost", cursor=cursor)


def test_no_question_reads_all_spans_or_messages(
    filled: tuple[Index, dict[str, Made]],
) -> None:
    """Whatever is asked, the tables of spans, messages and texts are read by an index."""
    from hudtrace.index import jobs, lift, search, traces

    index, _ = filled
    asked: list[str] = []
    index.db.set_trace_callback(asked.append)
    everything = filters.parse(
        'reward<1 tool:bash tag~x model:gpt-5 "number 7" started:2h'
    )
    for found in (filters.parse(""), everything):
        for sort in ("-started", "reward"):
            page = listing.episodes(index, found, sort, limit=5)
            listing.neighbours(index, found, sort, "00" * 16)
        listing.summary(index, found)
        listing.facets(index, found)
        lift.lift(index, found)
        search.search(index, "number", filter=found)
    listing.episodes(index, filters.parse(""), limit=5, cursor=page.cursor and None)
    jobs.jobs(index)
    jobs.job(index, "job-1")
    traces.traces(index, "hudtrace", "chat gpt-5", errors=True)
    traces.operations(index, "hudtrace")
    index.lag()
    index.db.set_trace_callback(None)
    for sql in asked:
        if not sql.lstrip().startswith("SELECT"):
            continue
        for row in index.db.execute(f"EXPLAIN QUERY PLAN {sql}"):
            assert not re.match(
                r"SCAN (spans|messages|nodes|texts|trace_texts|said|had)\b(?!.*VIRTUAL)",
                row[3],
            ), (sql, row[3])


def test_the_newest_page_is_found_by_its_index(
    filled: tuple[Index, dict[str, Made]],
) -> None:
    """The first page without a filter sorts nothing."""
    index, _ = filled
    asked: list[str] = []
    index.db.set_trace_callback(asked.append)
    listing.episodes(index, filters.parse(""), limit=5)
    index.db.set_trace_callback(None)
    (sql,) = [sql for sql in asked if "ORDER BY" in sql]
    plan = " ".join(row[3] for row in index.db.execute(f"EXPLAIN QUERY PLAN {sql}"))
    assert "listed_by_start" in plan
    assert "TEMP B-TREE" not in plan


def test_pages_are_plain_data(filled: tuple[Index, dict[str, Made]]) -> None:
    """Rows can be written as JSON."""
    index, _ = filled
    page = listing.episodes(index, filters.parse(""), limit=3)
    assert json.loads(json.dumps([row.to_dict() for row in page.rows]))


def test_paths_of_stores_may_be_odd(tmp_path: Path) -> None:
    """A store may be in a folder with blanks, signs of addresses, or none of ASCII."""
    folder = tmp_path / "a b?c#d%41 é"
    store = Filled(folder / "my traces.db")
    store.add([Made()])
    with open_index(store.path) as index:
        assert index.catch_up() == 1
        assert index.path == folder / "my traces.index.db"
        assert listing.episodes(index, filters.parse("")).total == 1
    store.store.close()
