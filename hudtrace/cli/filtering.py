"""Opens the index for the commands that find things, and reads their filters."""

from __future__ import annotations

import contextlib
import sqlite3
import sys
from collections.abc import Iterator

from hudtrace.cli import text
from hudtrace.cli.reading import chosen_store
from hudtrace.errors import ConfigurationError
from hudtrace.index import Index, filters, open_index

_MANY = 50_000  # spans that take a while
_SLICE = 2.0  # seconds between two lines of progress


class WrongFilter(ValueError):
    """A filter with mistakes, each with its place."""

    def __init__(self, filter_: filters.Filter) -> None:
        super().__init__("\n".join(_explained(filter_)))


def read_filter(asked: str | None, **fields: str | None) -> filters.Filter:
    """Return the filter of an option, and of others that stand for a field of it.

    Raises `WrongFilter` if it has mistakes.
    """
    own = filters.parse(asked or "")
    if own.errors:
        raise WrongFilter(own)
    whole = own.text
    for name, value in fields.items():
        if value is not None:
            whole = f"{whole} {name}:{filters.quoted(value)}".strip()
    return filters.parse(whole)


@contextlib.contextmanager
def indexed(path: str | None) -> Iterator[Index]:
    """Open the index of the chosen store, caught up with it.

    Raises `ConfigurationError` if the store is off or cannot be read,
    `FileNotFoundError` if there is none.
    """
    store = chosen_store(path)
    try:
        with open_index(store) as index:
            _catch_up(index)
            yield index
    except sqlite3.DatabaseError as error:
        raise ConfigurationError(f"cannot read the store {store}: {error}") from error


def _catch_up(index: Index) -> None:
    while (lag := index.lag()) > _MANY:
        print(f"reading the store: {lag} spans to go", file=sys.stderr)
        index.catch_up(max_seconds=_SLICE)
    index.catch_up()


def _explained(filter_: filters.Filter) -> Iterator[str]:
    for error in filter_.errors:
        yield f"hudtrace: {error.message}"
        begin = max(0, error.start - 50)
        shown = text.one_line(filter_.text[begin : begin + 100])
        if shown == filter_.text[begin : begin + 100]:  # else signs would not line up
            yield f"  {shown}"
            marked = min(error.end, begin + 100) - error.start
            yield f"  {' ' * (error.start - begin)}{'^' * max(1, marked)}"
