"""`hudtrace ls`: the newest episodes, a line each."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from hudtrace.cli import text
from hudtrace.cli.arguments import count
from hudtrace.cli.reading import opened
from hudtrace.store import queries

_HEAD = (
    "trace",
    "when",
    "eval",
    "variant",
    "outcome",
    "reward",
    "turns",
    "tokens",
    "took",
)


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("-n", "--limit", type=count, default=20, help="how many (20)")
    parser.add_argument("--job", help="only those of a job")
    parser.add_argument(
        "--outcome", help="only those with an outcome, e.g. agent_error, or running"
    )
    parser.add_argument("--store", help="path of the store")
    parser.add_argument("--json", action="store_true", help="print JSON, one per line")
    parser.set_defaults(
        run=lambda o: run(
            o.store, limit=o.limit, job=o.job, outcome=o.outcome, as_json=o.json
        )
    )


def run(
    store: str | None,
    *,
    limit: int,
    job: str | None,
    outcome: str | None,
    as_json: bool,
) -> int:
    """Print the list; return the exit code."""
    with opened(store) as db:
        found = queries.episodes(db, limit=limit, job=job, outcome=outcome)
        outcomes = {} if found else queries.outcomes(db)
    if not found:
        print(text.one_line(_nothing(outcomes, job, outcome)), file=sys.stderr)
        return 0
    if as_json:
        for episode in found:
            print(json.dumps(episode.to_dict()))
        return 0
    print(text.table(_HEAD, [_row(episode) for episode in found], "lllllrrrr"))
    return 0


def _nothing(outcomes: Mapping[str, int], job: str | None, outcome: str | None) -> str:
    """Say why the list is empty: there is nothing, or nothing that was asked for."""
    total = sum(outcomes.values())
    if not total:
        return f"no episodes yet; '{text.command('demo')}' makes some"
    filters = {"--job": job, "--outcome": outcome}
    asked = " ".join(f"{key} {value}" for key, value in filters.items() if value)
    if not asked:
        return f"none of {total} episodes: --limit is too small"
    there = ""
    if outcome and outcome not in outcomes:
        counted = (f"{name} {n}" for name, n in outcomes.items())
        there = f"; the outcomes there are: {', '.join(counted)}"
    return f"none of {total} episodes is of {asked}{there}"


def _outcome(episode: queries.Episode) -> str:
    if episode.outcome is None:
        return episode.state
    limit = f" ({episode.stopped_by} limit)" if episode.stopped_by else ""
    return episode.outcome + limit


def _row(episode: queries.Episode) -> tuple[str, ...]:
    tokens = episode.input_tokens
    if tokens is not None:
        tokens += episode.output_tokens or 0
    late = episode.reward != episode.first_reward and episode.end is not None
    return (
        episode.trace_id[:12],
        text.clock(episode.start),
        text.shorten(episode.label, 44),
        episode.variant or "-",
        _outcome(episode),
        text.number(episode.reward) + ("*" if late else ""),
        text.number(episode.turns),
        text.number(tokens),
        text.duration(episode.seconds),
    )
