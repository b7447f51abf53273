"""Full-text search, and the list of traces."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from made_stores import BEGIN, MINUTE, Call, Filled, Made, text

from hudtrace import semconv
from hudtrace.index import Index, filters, open_index, search, traces
from hudtrace.store.queries import Episode


@pytest.fixture
def filled(tmp_path: Path) -> Iterator[Filled]:
    """A store to fill."""
    store = Filled(tmp_path / "t.db")
    yield store
    store.store.close()


def caught_up(store: Filled) -> Index:
    """The index of a store, as it is now."""
    index = open_index(store.path)
    index.catch_up()
    return index


def snippets(found: search.Hits) -> list[str]:
    """All snippets, with what matches in brackets."""
    return [
        "".join(f"[{piece}]" if match else piece for piece, match in hit.snippet)
        for group in found.groups
        for hit in group.hits
    ]


def test_a_conversation_is_found_once(filled: Filled) -> None:
    """Messages that each call repeats are one hit of the call that had them first."""
    first = [text("system", "be kind"), text("user", "where is the lighthouse")]
    second = [
        *first,
        text("assistant", "north"),
        text("user", "how far is the lighthouse"),
    ]
    rewritten = [text("system", "be kind"), text("user", "a lighthouse, in short")]
    filled.add([Made(chats=[first, second, rewritten])])
    with caught_up(filled) as index:
        found = search.search(index, "lighthouse")
        assert (found.total, found.capped) == (3, False)
        assert snippets(found) == [
            "where is the [lighthouse]",
            "how far is the [lighthouse]",
            "a [lighthouse], in short",
        ]
        spans = [hit.span_id for hit in found.groups[0].hits]
        assert len(set(spans)) == 3
        assert search.search(index, "kind").total == 1


def test_the_end_of_a_long_text_is_found(filled: Filled) -> None:
    """Where a long output ends is where the error is: both of its ends are searched."""
    long = "alpha " + "filling " * 20_000 + "middle " + "filling " * 20_000 + "omega"
    filled.add([Made(calls=[Call("bash", result=long)])])
    with caught_up(filled) as index:
        for word, hits in (("alpha", 1), ("omega", 1), ("middle", 0)):
            assert search.search(index, word).total == hits


def test_every_scope_has_its_texts(filled: Filled) -> None:
    """Messages, tools, errors and rewards are searched together or alone."""
    filled.add(
        [
            Made(
                chats=[[text("user", "the apple")]],
                calls=[Call("pick", {"what": "apple"}, "no apple there")],
                explanation="an apple was wanted",
            )
        ]
    )
    trace_id = "ab" * 16
    filled.add_span(
        trace_id, "GET /", {semconv.ERROR_TYPE: "AppleError"}, status=2, service="shop"
    )
    with caught_up(filled) as index:
        roles = {}
        for scope in ("messages", "tools", "reward"):
            (group,) = search.search(index, "apple", scope).groups
            assert isinstance(group.subject, Episode)
            roles[scope] = [hit.role for hit in group.hits]
        assert roles == {
            "messages": ["user"],
            "tools": ["assistant", "tool"],
            "reward": ["reward"],
        }
        assert search.search(index, "apple").total == 5
        (group,) = search.search(index, "apple", "errors").groups
        assert group.subject.trace_id == trace_id
        with pytest.raises(ValueError, match="there are: all, messages"):
            search.search(index, "apple", "everywhere")


def test_words_of_other_instrumentors_are_found(filled: Filled) -> None:
    """Messages in the attributes of a span of another program are searched."""
    trace_id = "cd" * 16
    said = (
        '[{"role": "user", "parts": [{"type": "text", "content": "over the hills"}]}]'
    )
    filled.add_span(
        trace_id,
        "chat x",
        {
            semconv.OPERATION: "chat",
            semconv.INPUT_MESSAGES: said,
            semconv.REQUEST_MODEL: "x",
        },
        service="theirs",
    )
    with caught_up(filled) as index:
        (group,) = search.search(index, "hills").groups
        assert isinstance(group.subject, traces.TraceRow)
        assert (group.subject.service, group.subject.trace_id) == ("theirs", trace_id)
        assert not group.subject.episode


@pytest.mark.parametrize(
    ("asked", "finds"),
    [
        ("timed", True),
        ("TIMED connection", True),
        ('"connection timed"', False),
        ('"timed out"', True),
        ("conn", True),
        ("co", False),
        ('"conn"', False),
        ("cafe", True),
        ("lookup_ceo", True),
        ("elsewhere timed", False),
        ('timed "', True),
    ],
)
def test_words_and_phrases(filled: Filled, asked: str, finds: bool) -> None:
    """All words have to be there, long ones by their beginning; phrases as they are."""
    filled.add(
        [Made(chats=[[text("user", "lookup_ceo: the timed out Connection café")]])]
    )
    with caught_up(filled) as index:
        assert search.search(index, asked).total == finds


def test_no_text_breaks_the_search(filled: Filled) -> None:
    """Whatever is asked is only words; whatever was said is shown as it was."""
    hostile = "a \1\2\0 <b>\"' NEAR(x) \x1b[31m b"
    filled.add([Made(chats=[[text("user", hostile), text("user", "x" * 200_000)]])])
    pick, signs = random.Random(6), "\"'*():^-+{}\0 ab\ud800é\1\2%_"
    with caught_up(filled) as index:
        for _ in range(1500):
            asked = "".join(pick.choices(signs, k=pick.randrange(12)))
            search.search(index, asked)
        for asked in ("", " ", '"', "***", "OR NOT(", "a" * 100_000):
            assert search.search(index, asked).total == 0
        (shown,) = snippets(search.search(index, '"NEAR(x)"'))
        assert shown == "a  <b>\"' [NEAR(x]) \x1b[31m b"


def test_filters_narrow_a_search(filled: Filled) -> None:
    """Only hits in episodes of the filter are counted and shown."""
    filled.add(
        [
            Made({semconv.REWARD: number % 2 * 1.0}, [[text("user", f"here {number}")]])
            for number in range(10)
        ]
    )
    with caught_up(filled) as index:
        found = search.search(index, "here", filter=filters.parse("reward<1"))
        assert (found.total, len(found.groups)) == (5, 5)
        wrong = search.search(index, "here", filter=filters.parse("nowhere:1"))
        assert wrong.total == 0


def test_pages_of_hits_follow_on_each_other(filled: Filled) -> None:
    """Groups come newest first, and each once; many hits of a trace are counted."""
    keys = filled.add(
        [
            Made(
                chats=[[text("user", f"here {n} {m}") for m in range(8)]],
                start=BEGIN + n * MINUTE,
            )
            for n in range(12)
        ]
    )
    with caught_up(filled) as index:
        seen: list[str] = []
        cursor = None
        while True:
            page = search.search(index, "here", limit=5, cursor=cursor)
            assert page.total == 96
            assert all((len(g.hits), g.total) == (5, 8) for g in page.groups)
            seen += [group.subject.trace_id for group in page.groups]
            cursor = page.cursor
            if cursor is None:
                break
        assert seen == keys[::-1]
        with pytest.raises(ValueError, match="cursor"):
            search.search(index, "here", cursor="x")


def test_counts_are_capped(filled: Filled) -> None:
    """More than ten thousand hits are not counted on, and the newest come first."""
    for step in range(21):
        start = BEGIN + step * 1000 * MINUTE
        made = [
            Made(chats=[[text("user", f"here {step}")]], start=start + n)
            for n in range(500)
        ]
        newest = filled.add(made)[-1]
    with caught_up(filled) as index:
        found = search.search(index, "here")
        assert (found.total, found.capped) == (10_000, True)
        assert found.groups[0].subject.trace_id == newest
        least = search.search(index, '"here 20"')
        assert (least.total, least.capped) == (500, False)


def test_deleted_after_it_was_read(filled: Filled) -> None:
    """A hit whose trace was deleted since is not shown, before it is forgotten."""
    first, second = filled.add(
        [Made(chats=[[text("user", f"here {n}")]]) for n in "ab"]
    )
    with caught_up(filled) as index:
        filled.delete(first)
        (group,) = search.search(index, "here").groups
        assert group.subject.trace_id == second


def test_traces_of_all_services(filled: Filled) -> None:
    """Traces are listed with those of other programs, by service, name, error and time."""
    (episode,) = filled.add([Made(start=BEGIN)])
    for number, service in enumerate(["shop", "shop", "bank"], 1):
        trace_id = f"{number:032x}"
        start = BEGIN + number * MINUTE
        root = filled.add_span(
            trace_id,
            f"GET /{number}",
            {},
            service=service,
            start=start,
            took=number * 10**9,
        )
        filled.add_span(
            trace_id, "SELECT", {}, service="db", parent=root, start=start - 5,
            status=2 if number == 2 else 0,
        )  # fmt: skip
    with caught_up(filled) as index:

        def listed(*args: object, **asked: object) -> list[int]:
            rows = traces.traces(index, *args, **asked).rows  # type: ignore[arg-type]
            return [0 if row.episode else int(row.trace_id, 16) for row in rows]

        assert listed() == [3, 2, 1, 0]
        assert listed("shop") == [2, 1]
        assert listed("db") == [3, 2, 1]
        assert listed("db", "GET /1") == []
        assert listed("shop", "GET /1") == [1]
        assert listed(name="SELECT") == [3, 2, 1]
        assert listed(errors=True) == [2]
        assert listed(start=BEGIN + 2 * MINUTE - 5, end=BEGIN + 2 * MINUTE) == [2]
        assert listed(min_duration=2 * 10**9, max_duration=25 * 10**8) == [2]
        assert listed(filter_=filters.parse("env:env")) == [0]
        assert listed("nobody") == listed(name="nothing") == []
        first = traces.traces(index, limit=3)
        rest = traces.traces(index, limit=3, cursor=first.cursor)
        assert [row.trace_id for row in rest.rows] == [episode]
        row = first.rows[1]
        assert (row.service, row.name, row.spans, row.errors) == (
            "shop",
            "GET /2",
            2,
            1,
        )
        assert row.seconds == pytest.approx(2.000000005)
        assert traces.services(index) == ["bank", "db", "hudtrace", "shop"]
        assert [each.name for each in traces.operations(index, "shop")] == [
            "GET /1",
            "GET /2",
        ]
