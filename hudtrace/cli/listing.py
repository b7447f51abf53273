"""`hudtrace ls`: the newest episodes, jobs or traces, a line each."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence

from hudtrace.cli import text
from hudtrace.cli.arguments import count
from hudtrace.cli.filtering import WrongFilter, indexed, read_filter
from hudtrace.cli.reading import opened
from hudtrace.index import Index, filters, jobs, listing, traces
from hudtrace.index.jobs import JobView
from hudtrace.index.traces import TraceRow
from hudtrace.store import queries

_EPISODES = [
    "trace",
    "when",
    "eval",
    "variant",
    "outcome",
    "reward",
    "turns",
    "tokens",
    "took",
]
_JOBS = [
    "job",
    "started",
    "episodes",
    "state",
    "errors",
    "reward",
    "±",
    "tokens",
    "cost",
    "models",
]
_TRACES = ["trace", "when", "service", "name", "state", "spans", "errors", "took"]
_SHORT = 12  # digits of a trace id


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument(
        "what",
        nargs="?",
        choices=("episodes", "jobs", "traces"),
        default="episodes",
        help="of what (episodes)",
    )
    parser.add_argument(
        "--filter",
        metavar="EXPR",
        help="only those of a filter, e.g. 'reward<1 tool:bash errors>0 \"time out\"'",
    )
    parser.add_argument("-n", "--limit", type=count, default=20, help="how many (20)")
    parser.add_argument("--job", help="only those of a job")
    parser.add_argument(
        "--outcome", help="only those with an outcome, e.g. agent_error, or running"
    )
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help="episodes in this order, e.g. reward, or --sort=-cost for the largest first",
    )
    parser.add_argument("--store", help="path of the store")
    parser.add_argument("--json", action="store_true", help="print JSON, one per line")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the list; return the exit code."""
    plain = options.filter is None and options.sort is None
    if options.what == "episodes" and plain:
        return _newest(options)
    try:
        state = options.outcome if options.outcome in queries.OPEN_STATES else None
        outcome = None if state else options.outcome
        filter_ = read_filter(
            options.filter, job=options.job, outcome=outcome, status=state
        )
        return _LISTS[options.what](options, filter_)
    except WrongFilter as error:
        print(text.visible(str(error)), file=sys.stderr)
        return 2


def _newest(options: argparse.Namespace) -> int:
    """Print the newest episodes, for which the store is enough."""
    job, outcome = options.job, options.outcome
    with opened(options.store) as db:
        found = queries.episodes(db, limit=options.limit, job=job, outcome=outcome)
        total = queries.count_episodes(db, job=job, outcome=outcome)
        outcomes = {} if found else queries.outcomes(db)
    if not found:
        print(text.one_line(_nothing(outcomes, job, outcome)), file=sys.stderr)
        return 0
    _print_episodes(found, as_json=options.json)
    _tell_of_more(len(found), total)
    return 0


def _list_episodes(options: argparse.Namespace, filter_: filters.Filter) -> int:
    sort = options.sort or "-started"
    try:
        listing.Order.of(sort)
    except ValueError as error:
        print(text.one_line(f"hudtrace: {error}"), file=sys.stderr)
        return 2
    with indexed(options.store) as index:
        page = listing.episodes(index, filter_, sort, limit=options.limit)
        if not page.rows:
            print(_none_left(index, filter_), file=sys.stderr)
            return 0
    _print_episodes(page.rows, as_json=options.json)
    _tell_of_more(len(page.rows), page.total)
    return 0


def _tell_of_more(shown: int, total: int) -> None:
    """Say on stderr, where it is in no program's way, what the limit has left out."""
    if total > shown:
        print(f"… and {total - shown} more (-n {total})", file=sys.stderr)


def _none_left(index: Index, filter_: filters.Filter) -> str:
    """Say how many episodes there are, and which term to leave out to see some."""
    total = listing.episodes(index, filters.parse(""), limit=1).total
    line = f"none of {total} episodes is of {filter_.text}"
    for number, term in enumerate(filter_.terms):
        others = filters.parse(filter_.without(number))
        left = listing.episodes(index, others, limit=1).total
        if left and len(filter_.terms) > 1:
            line += f"; without {term.text} there are {left}"
    return text.one_line(line)


def _list_jobs(options: argparse.Namespace, filter_: filters.Filter) -> int:
    with indexed(options.store) as index:
        found = jobs.jobs(index, limit=options.limit, filter_=filter_).rows
        total = jobs.count(index, filter_)
    if not found:
        print("no jobs" + _of(filter_), file=sys.stderr)
    elif options.json:
        for job in found:
            print(json.dumps(dataclasses.asdict(job)))
    else:
        print(text.table(_JOBS, [_job_row(job) for job in found], "llrlrrrrrl"))
    _tell_of_more(len(found), total)
    return 0


def _list_traces(options: argparse.Namespace, filter_: filters.Filter) -> int:
    with indexed(options.store) as index:
        narrowed = filter_ if filter_.terms else None
        found = traces.traces(index, limit=options.limit, filter_=narrowed).rows
        total = traces.count(index, narrowed)
    if not found:
        print("no traces" + _of(filter_), file=sys.stderr)
    elif options.json:
        for trace in found:
            print(json.dumps(trace._asdict()))
    else:
        print(text.table(_TRACES, [_trace_row(trace) for trace in found], "lllllrrr"))
    _tell_of_more(len(found), total)
    return 0


_LISTS = {"episodes": _list_episodes, "jobs": _list_jobs, "traces": _list_traces}


def _of(filter_: filters.Filter) -> str:
    return text.one_line(f" of {filter_.text}") if filter_.text else " yet"


def _print_episodes(found: Sequence[queries.Episode], *, as_json: bool) -> int:
    if as_json:
        for episode in found:
            print(json.dumps(episode.to_dict()))
    else:
        rows = [_episode_row(episode) for episode in found]
        print(text.table(_EPISODES, rows, "lllllrrrr"))
    return 0


def _nothing(outcomes: Mapping[str, int], job: str | None, outcome: str | None) -> str:
    """Say why the list is empty: there is nothing, or nothing that was asked for."""
    total = sum(outcomes.values())
    if not total:
        return f"no episodes yet; '{text.command('demo')}' makes some"
    asked_for = {"--job": job, "--outcome": outcome}
    asked = " ".join(f"{key} {value}" for key, value in asked_for.items() if value)
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


def _episode_row(episode: queries.Episode) -> tuple[str, ...]:
    tokens = episode.input_tokens
    if tokens is not None:
        tokens += episode.output_tokens or 0
    late = episode.reward != episode.first_reward and episode.end is not None
    return (
        episode.trace_id[:_SHORT],
        text.clock(episode.start),
        text.shorten(episode.label, 44),
        episode.variant or "-",
        _outcome(episode),
        text.number(episode.reward) + ("*" if late else ""),
        text.number(episode.turns),
        text.number(tokens),
        text.duration(episode.elapsed),
    )


def _job_row(job: JobView) -> tuple[str, ...]:
    figures = job.figures
    tokens = (figures.input_tokens or 0) + (figures.output_tokens or 0)
    mean, error = job.reward_mean, job.reward_stderr
    return (
        job.job_id,
        text.clock(job.started),
        f"{job.done}/{job.episodes}",
        f"{job.running} running" if job.running else job.state,
        text.number(job.errors),
        "-" if mean is None else f"{mean:.3g}",
        "-" if error is None else f"{error:.2g}",
        text.number(tokens or None),
        "-" if figures.cost is None else f"${figures.cost:.4g}",
        text.shorten(", ".join(job.models) or "-", 30),
    )


def _trace_row(trace: TraceRow) -> tuple[str, ...]:
    return (
        trace.trace_id[:_SHORT],
        text.clock(trace.start),
        text.shorten(trace.service or "-", 20),
        text.shorten(trace.name or "-", 44),
        trace.state,
        text.number(trace.spans),
        text.number(trace.errors),
        text.duration(trace.seconds),
    )
