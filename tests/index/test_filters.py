"""The grammar of filters: what is read, what is refused and where, what cannot break it."""

from __future__ import annotations

import random
from datetime import UTC, datetime

import pytest

from hudtrace.index import filters
from hudtrace.index.fields import FIELDS

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("reward<1", [("reward", "<", ("1",), False)]),
        ("tool:bash,python", [("tool", ":", ("bash", "python"), False)]),
        ("-tag:flaky", [("tag", ":", ("flaky",), True)]),
        ("tag:split=train", [("tag", ":", ("split=train",), False)]),
        ('env:"a b",c', [("env", ":", ("a b", "c"), False)]),
        (r'env:"say \"x\" \\"', [("env", ":", ('say "x" \\',), False)]),
        ("model~claude", [("model", "~", ("claude",), False)]),
        ("cost!=0 turns>=3", [("cost", "!=", ("0",), False), ("turns", ">=", ("3",), False)]),
        ('time "timed out"', [(None, "", ("time",), False), (None, "", ("timed out",), False)]),
        ("-free", [(None, "", ("free",), True)]),
        ("ENV:x", [("env", ":", ("x",), False)]),
        ("", []),
    ],
)  # fmt: skip
def test_what_is_read(text: str, terms: list[tuple[object, ...]]) -> None:
    """Fields, operators, several values, quotes and free text are told apart."""
    found = filters.parse(text, NOW)
    assert found.errors == ()
    assert [(t.field, t.op, t.values, t.negated) for t in found.terms] == terms
    assert all(text[t.start : t.end] == t.text for t in found.terms)


@pytest.mark.parametrize(
    ("text", "place", "says"),
    [
        ("a rewrad<1", "rewrad", "did you mean reward?"),
        ("nothing:1", "nothing", "There are: reward, status"),
        ("reward:high", "high", "a number"),
        ("reward:nan", "nan", "a number"),
        ("reward<1,2", "reward<1,2", "takes one value"),
        ("reward~1", "~", "it takes : = != < <= > >="),
        ("env<x", "<", "it takes : = != ~"),
        ("dur>30", "30", "with its unit"),
        ("started:soon", "soon", "today"),
        ("started:2026-99-99", "2026-99-99", "2026-11-24"),
        ("status:on", "on", "done, running, interrupted, error"),
        ("trace:xyz", "xyz", "in hex"),
        ("env:", "env:", "no value after env:"),
        ("env:a,,b", "env:a,,", "no value after env:a,"),
        ('x "open', '"open', "no closing"),
        ("a !!!", "!!!", "no letters or digits"),
    ],
)
def test_mistakes_have_their_place(text: str, place: str, says: str) -> None:
    """A mistake is shown where it is, with what could be there; other terms are read."""
    (error,) = filters.parse(text, NOW).errors
    assert text[error.start : error.end] == place
    assert says in error.message


def test_values_mean_what_they_say() -> None:
    """Numbers, durations and times are read with their units."""
    found = filters.parse(
        "tokens:5k,1.2M dur:250ms,1.5h reward:none started:2026-11-24 trace:9a", NOW
    )
    tokens, took, reward, started, trace = (term.meant for term in found.terms)
    assert tokens == (5000, 1_200_000)
    assert took == (250 * 10**6, 5400 * 10**9)
    assert reward == (None,)
    day = started[0]
    assert day[1] - day[0] == 86_400 * 10**9
    assert trace == ((bytes.fromhex("9a" + "0" * 30), bytes.fromhex("9a" + "f" * 30)),)


def test_terms_are_taken_out_and_put_in() -> None:
    """A filter without a term, and one with a value more, are texts that read as such."""
    found = filters.parse('reward<1  tool:bash "a b" -env:x', NOW)
    assert found.without(1) == 'reward<1 "a b" -env:x'
    assert found.without(3) == 'reward<1  tool:bash "a b"'
    assert found.adding("tool", "py, 3") == 'reward<1  tool:bash,"py, 3" "a b" -env:x'
    assert found.adding("tool", "bash") == found.text
    assert found.adding("env", "y") == f"{found.text} env:y"
    assert filters.parse(found.adding("tag", 'k="v"')).terms[-1].values == ('k="v"',)


def test_every_value_survives_being_written() -> None:
    """Whatever a value is, it is read again as it was written."""
    pick = random.Random(1)
    signs = "ab ,\"\\:=<>~!-\t\n'é😀%_"
    for _ in range(2000):
        value = "".join(pick.choices(signs, k=pick.randrange(1, 9)))
        found = filters.parse(f"x env:{filters.quoted(value)} y")
        assert found.errors == ()
        assert [t.values for t in found.terms] == [("x",), (value,), ("y",)]


def test_nothing_breaks_the_reader() -> None:
    """Any text is read without an exception, and every place is within it."""
    pick = random.Random(2)
    pieces = [*FIELDS, *':=!~<>-,"\\ \n', "!=", "<=", "'; DROP TABLE listed; --", "\0",
              "\ud800", "😀", "9" * 30, "1e999", "none", "a", "%", "2h", "(", ")", "*"]  # fmt: skip
    for _ in range(5000):
        text = "".join(pick.choices(pieces, k=pick.randrange(12)))
        found = filters.parse(text, NOW)
        places = [(term.start, term.end) for term in found.terms]
        places += [(error.start, error.end) for error in found.errors]
        assert all(0 <= start < end <= len(text) for start, end in places)
        for number in range(len(found.terms)):
            filters.parse(found.without(number), NOW)


def test_filters_are_bounded() -> None:
    """Too many characters, terms or values are refused, not worked on."""
    assert "characters" in filters.parse("a" * 5000).errors[0].message
    assert "terms" in filters.parse("a " * 100).errors[0].message
    many = ",".join(f"v{n}" for n in range(200))
    assert "values" in filters.parse(f"env:{many}").errors[0].message
