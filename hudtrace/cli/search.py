"""`hudtrace search`: where a text was said, asked of a tool, or raised."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from hudtrace import terminal
from hudtrace.cli import text
from hudtrace.cli.arguments import count
from hudtrace.cli.filtering import WrongFilter, indexed, read_filter
from hudtrace.index import content, search
from hudtrace.index.search import Group, Hit
from hudtrace.store.queries import Episode


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("text", help='words, all of which; or a "phrase" in quotes')
    parser.add_argument(
        "--scope",
        choices=("all", *content.SCOPES),
        default="all",
        help="in which texts (all)",
    )
    parser.add_argument(
        "--filter", metavar="EXPR", help="only in episodes of a filter, e.g. 'reward<1'"
    )
    parser.add_argument(
        "-n", "--limit", type=count, default=20, help="how many traces (20)"
    )
    parser.add_argument("--store", help="path of the store")
    parser.add_argument(
        "--json", action="store_true", help="print JSON, a trace on each line"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the hits; return the exit code."""
    if not search.match_of_all(options.text):
        why = f"hudtrace: there are no letters or digits to search for in {options.text!r}"
        print(terminal.one_line(why), file=sys.stderr)
        return 2
    try:
        filter_ = read_filter(options.filter) if options.filter is not None else None
    except WrongFilter as error:
        print(text.visible(str(error)), file=sys.stderr)
        return 2
    with indexed(options.store) as index:
        found = search.search(
            index, options.text, options.scope, filter_, options.limit
        )
    for group in found.groups:
        print(json.dumps(_data(group)) if options.json else _shown(group))
    print(_count(found), file=sys.stderr)
    return 0


def _count(found: search.Hits) -> str:
    if not found.total:
        return "nothing found (of texts of more than 64 KB the middle is not searched)"
    least = "at least " if found.capped else ""
    more = ", the newest traces of them; -n shows more" if found.cursor else ""
    many = "hit" if found.total == 1 else "hits"
    return f"{least}{found.total} {many}{more}"


def _shown(group: Group) -> str:
    subject = group.subject
    what = subject.label if isinstance(subject, Episode) else subject.name or "-"
    reward = ""
    if isinstance(subject, Episode) and subject.reward is not None:
        reward = f"  reward {text.number(subject.reward)}"
    lines = [
        f"{subject.trace_id[:12]}  {text.clock(subject.start)}  "
        f"{text.shorten(what, 60)}{reward}"
    ]
    lines += [_hit(hit) for hit in group.hits]
    left = group.total - len(group.hits)
    if left:
        lines.append(f"  … and {left} more")
    return "\n".join(lines)


def _hit(hit: Hit) -> str:
    said = "".join(f"«{piece}»" if match else piece for piece, match in hit.snippet)
    where = f"{hit.scope} {hit.role or ''}".strip()
    return f"  {terminal.one_line(where)[:20]:<20}  {text.shorten(said, 200)}"


def _data(group: Group) -> dict[str, Any]:
    subject = group.subject
    hits = [hit._asdict() for hit in group.hits]
    return {
        "trace_id": subject.trace_id,
        "episode": subject.to_dict() if isinstance(subject, Episode) else None,
        "total": group.total,
        "hits": hits,
    }
