"""`hudtrace diff`: two episodes side by side, as far as they differ."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Any

from hudtrace.cli import text
from hudtrace.cli.reading import find, opened
from hudtrace.transcript import diff
from hudtrace.transcript.parts import Plain

_MARKS = {"same": "=", "changed": "≠", "removed": "-", "added": "+"}
_SHOWN_SAME = 2  # rows of a stretch that is the same, at each of its ends


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Align two episodes and print what they do not share: texts word by word, "
        "[-only in A-] and {+only in B+}, arguments of tools by their places."
    )
    parser.add_argument("a", metavar="A", help="trace id, or its first digits")
    parser.add_argument("b", metavar="B", help="the same, or 'last' for the newest")
    parser.add_argument("--full", action="store_true", help="do not shorten texts")
    parser.add_argument("--store", help="path of the store")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print how two episodes differ; return the exit code."""
    with opened(options.store) as db:
        a, b = find(db, options.a), find(db, options.b)
        found = diff.compare(db, a, b)
    if options.json:
        print(json.dumps(found))
        return 0
    for line in lines(found, full=options.full):
        print(text.visible(line))
    return 0


def lines(found: Plain, *, full: bool = False) -> Iterator[str]:
    """Return a comparison as lines."""
    width = 1_000_000 if full else max(60, text.screen_width() - 24)
    for side in ("a", "b"):
        head = found[side]
        yield text.one_line(f"{side.upper()}  {head['trace_id'][:12]}  {head['label']}")
    yield ""
    numbered = list(enumerate(found["rows"]))
    for same, group in groupby(numbered, lambda each: each[1]["kind"] == "same"):
        stretch = list(group)
        if same and not full and len(stretch) > 2 * _SHOWN_SAME + 1:
            for _, row in stretch[:_SHOWN_SAME]:
                yield _same(row, width)
            between = len(stretch) - 2 * _SHOWN_SAME
            yield f"          … {between} more the same"
            for _, row in stretch[-_SHOWN_SAME:]:
                yield _same(row, width)
        elif same:
            for _, row in stretch:
                yield _same(row, width)
        else:
            for index, row in stretch:
                yield from _differs(row, width, first=index == found["first"])
    yield ""
    yield "   ".join(_figures(found["figures"]))


def _same(row: Plain, width: int) -> str:
    return f"{_turn(row)}= {_words(row, row['a'], width)}"


def _differs(row: Plain, width: int, *, first: bool) -> Iterator[str]:
    mark = "  ← first difference" if first else ""
    sign = _MARKS[row["kind"]]
    if row["args"] is not None:
        yield f"{_turn(row)}{sign} {text.one_line(row['a']['name'])}{mark}"
        for each in row["args"]:
            sides = [
                f"{side.upper()} {json.dumps(each[side], ensure_ascii=False)}"
                for side in ("a", "b")
                if side in each
            ]
            told = f"{each['path']}: {', '.join(sides)}"
            yield f"{'':>12}{text.shorten(told, width)}"
    elif row["words"] is not None:
        told = _marked(row["words"])
        yield f"{_turn(row)}{sign} {row['what']}: {text.shorten(told, width)}{mark}"
    else:
        side = row["a"] or row["b"]
        yield f"{_turn(row)}{sign} {_words(row, side, width)}{mark}"


def _marked(words: Sequence[Sequence[str]]) -> str:
    """Return both texts in one; of what they share, only what is around a difference."""
    pieces = []
    for number, (op, piece) in enumerate(words):
        if op == "-":
            pieces.append(f"[-{piece}-]")
        elif op == "+":
            pieces.append(f"{{+{piece}+}}")
        else:
            pieces.append(_around(piece, number == 0, number == len(words) - 1))
    return "".join(pieces)


def _around(piece: str, is_first: bool, is_last: bool) -> str:
    keep = 40
    if len(piece) <= 2 * keep + 1:
        return piece
    before = "" if is_first else piece[:keep]
    after = "" if is_last else piece[-keep:]
    return f"{before}…{after}"


def _words(row: Plain, side: Plain, width: int) -> str:
    what = text.one_line(side["name"] or side["role"] or row["what"])
    said = text.shorten(side["text"], width)
    if row["what"] == "tool_call":
        return f"{what} {said}"
    if row["what"] == "result":
        return f"{what} → {said}"
    return f"{what}: {said}"


def _turn(row: Plain) -> str:
    turn = (row["a"] or row["b"])["turn"]
    return f"{f'turn {turn}' if turn else '':>9} "


def _figures(figures: Sequence[Plain]) -> Iterator[str]:
    for figure in figures:
        name, a, b = figure["name"], figure["a"], figure["b"]
        if a is None and b is None:
            continue
        sign = "=" if a == b else "→"
        yield f"{name.replace('_', ' ')} {_number(name, a)} {sign} {_number(name, b)}"


def _number(name: str, value: Any) -> str:
    if value is None:
        return "-"
    if name == "seconds":
        return text.duration(value)
    if name == "cost":
        return f"${value:.4f}"
    return text.number(value)
