"""Questions to the store; the answers are immutable objects, never rows."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from hudtrace.messages import Message
from hudtrace.store.decode import Decoded, DecodedEvent, DecodedLink, decode_span
from hudtrace.store.so_far import Used, so_far
from hudtrace.store.writers import Writer

State = Literal["done", "running", "interrupted"]
JUST_BEGUN_NS = 3 * 10**9  # in which a span that is open may not be known as such
OPEN_STATES = ("running", "interrupted")


class Episode(NamedTuple):
    """One row of the list of evals; times in unix ns, cost in US dollars.

    `reward` is the effective one, `first_reward` what the root says. `end` and
    `outcome` are None while it runs or if it was interrupted; what it has used is then
    that of its ended spans.
    """

    trace_id: str
    name: str | None
    start: int
    end: int | None
    env: str | None
    scenario: str | None
    args: str | None
    task_id: str | None
    job_id: str | None
    group_id: str | None
    model: str | None
    agent: str | None
    variant: str | None
    attempt: int | None
    outcome: str | None
    failure: str | None
    stopped_by: str | None
    first_reward: float | None
    reward: float | None
    input_tokens: int | None
    output_tokens: int | None
    cost: float | None
    turns: int | None
    tool_calls: int | None
    tool_errors: int | None
    span_count: int | None
    env_digest: str | None
    state: State = "done"

    @property
    def label(self) -> str:
        """What ran, in a few words: `trivia:initials(company=HUD)`."""
        name = self.name or f"{self.env}:{self.scenario}"
        try:
            args = json.loads(self.args or "{}")
        except ValueError:
            args = {}
        if not isinstance(args, dict) or not args:
            return name
        return f"{name}({', '.join(f'{k}={v}' for k, v in args.items())})"

    @property
    def seconds(self) -> float | None:
        """How long it took, None if it has not ended."""
        return None if self.end is None else (self.end - self.start) / 1e9

    @property
    def elapsed(self) -> float | None:
        """How long it took, or has been running; None for one that was cut off."""
        if self.state != "running":
            return self.seconds
        return max(0, time.time_ns() - self.start) / 1e9

    def to_dict(self) -> dict[str, Any]:
        """Return the episode as plain data."""
        return self._asdict()


EPISODE_COLUMNS = Episode._fields[:-1]  # the state is no column
_SELECT_EPISODE = f"SELECT {', '.join(EPISODE_COLUMNS)} FROM episodes"


class _SpanRow(NamedTuple):
    trace_id: str
    span_id: str
    parent_id: str | None
    name: str
    start: int
    end: int | None
    status: int
    node: bytes | None
    replies: int | None
    tools: bytes | None
    body: bytes
    state: State = "done"


class StoredSpan(_SpanRow):
    """A span as it is in the store; `end` is None for one without its end.

    What is only in its `body` is read when it is asked for.
    """

    @cached_property
    def _decoded(self) -> Decoded:
        return decode_span(self.body)

    @property
    def attributes(self) -> dict[str, Any]:
        """The attributes, without the conversation of a model call."""
        return self._decoded.attributes

    @property
    def events(self) -> Sequence[DecodedEvent]:
        """What happened during the span, oldest first."""
        return self._decoded.events

    @property
    def links(self) -> Sequence[DecodedLink]:
        """The spans that this one points to."""
        return self._decoded.links

    @property
    def status_message(self) -> str:
        """What the status says beside its code; empty for nothing."""
        return self._decoded.status_message

    def to_dict(self) -> dict[str, Any]:
        """Return the span as plain data, without what is the store's own."""
        shown = {key: getattr(self, key) for key in _SPAN_FACTS}
        return {**shown, **asdict(self._decoded), "state": self.state}


_SPAN_FACTS = _SpanRow._fields[:7]


@dataclass(frozen=True, slots=True)
class Conversation:
    """What one model call was given and what it answered."""

    input: list[Message]
    output: list[Message]
    tools: list[Any] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Verdict:
    """One reward, early or late; `effective` if nothing newer of its name counts."""

    span_id: str
    name: str
    value: float | None
    label: str | None
    kind: str | None
    evaluator: str | None
    version: str | None
    supersedes: str | None
    at: int
    late: bool
    effective: bool


def episodes(
    db: sqlite3.Connection,
    *,
    limit: int = 50,
    job: str | None = None,
    outcome: str | None = None,
    model: str | None = None,
    below: float | None = None,
) -> list[Episode]:
    """Return the newest episodes, newest first; *below* bounds their reward.

    For one that has none yet, *outcome* is its state: `running` or `interrupted`.
    """
    where, values = _narrowed(db, job, outcome, model, below)
    rows = db.execute(
        f"{_SELECT_EPISODE} {where} ORDER BY start DESC LIMIT ?",
        (*values, limit),
    ).fetchall()
    found = [Episode(row[0].hex(), *row[1:]) for row in rows]
    if any(each.end is None for each in found):
        running = running_traces(db)
        found = [_with_use(db, _with_state(each, running)) for each in found]
    return found


def count_episodes(
    db: sqlite3.Connection, *, job: str | None = None, outcome: str | None = None
) -> int:
    """Return how many episodes there are of those that `episodes` returns."""
    where, values = _narrowed(db, job, outcome)
    (found,) = db.execute(f"SELECT count(*) FROM episodes {where}", values).fetchone()
    return int(found)


def outcomes(db: sqlite3.Connection) -> dict[str, int]:
    """Return how many episodes came to each outcome, or to which state without one."""
    rows = db.execute(
        "SELECT outcome, count(*) FROM episodes "
        "WHERE outcome IS NOT NULL GROUP BY outcome"
    )
    found = dict(rows.fetchall())
    running = running_traces(db)
    for trace_id, end in db.execute(
        'SELECT trace_id, "end" FROM episodes WHERE outcome IS NULL'
    ):
        state: State = "done"
        if end is None:
            state = "running" if trace_id.hex() in running else "interrupted"
        found[state] = found.get(state, 0) + 1
    return found


def episodes_of(db: sqlite3.Connection, trace_ids: Sequence[str]) -> list[Episode]:
    """Return the episodes of *trace_ids*, in that order, without those that are gone.

    What those that have not ended use is for the caller to add, by `used`.
    """
    rows = db.execute(
        f"{_SELECT_EPISODE} WHERE trace_id IN ({','.join('?' * len(trace_ids))})",
        [bytes.fromhex(trace_id) for trace_id in trace_ids],
    ).fetchall()
    running = running_traces(db) if any(row[3] is None for row in rows) else set()
    found = {
        row[0]: _with_state(Episode(row[0].hex(), *row[1:]), running) for row in rows
    }
    keys = map(bytes.fromhex, trace_ids)
    return [found[key] for key in keys if key in found]


def find_traces(db: sqlite3.Connection, prefix: str, limit: int = 10) -> list[str]:
    """Return the ids of traces that begin with *prefix* (hex), at most *limit*."""
    clean = prefix.strip().lower()
    if not clean or len(clean) > 32 or set(clean) - set("0123456789abcdef"):
        return []
    low = bytes.fromhex(clean.ljust(32, "0"))
    high = bytes.fromhex(clean.ljust(32, "f"))
    rows = db.execute(
        "SELECT trace_id FROM episodes WHERE trace_id BETWEEN ?1 AND ?2 "
        "UNION SELECT trace_id FROM spans WHERE trace_id BETWEEN ?1 AND ?2 "
        "UNION SELECT trace_id FROM open_spans WHERE trace_id BETWEEN ?1 AND ?2 "
        "LIMIT ?3",
        (low, high, limit),
    ).fetchall()
    return [trace_id.hex() for (trace_id,) in rows]


def episode(db: sqlite3.Connection, trace_id: str) -> Episode | None:
    """Return one episode, None if the trace is none."""
    row = db.execute(
        f"{_SELECT_EPISODE} WHERE trace_id = ?",
        (bytes.fromhex(trace_id),),
    ).fetchone()
    if row is None:
        return None
    found = Episode(row[0].hex(), *row[1:])
    if found.end is not None:
        return found
    return _with_use(db, _with_state(found, running_traces(db)))


def spans(db: sqlite3.Connection, trace_id: str) -> list[StoredSpan]:
    """Return the spans of a trace by start time, open ones included."""
    key = bytes.fromhex(trace_id)
    rows = db.execute(
        "SELECT span_id, parent_id, name, start, end, status, node, replies, tools, body "
        "FROM spans WHERE trace_id = ? ORDER BY start, id",
        (key,),
    ).fetchall()
    found = [
        StoredSpan(trace_id, span_id.hex(), parent.hex() if parent else None, *rest)
        for span_id, parent, *rest in rows
    ]
    still_open = open_spans(db, trace_id)
    if still_open:
        found = sorted([*found, *still_open], key=lambda span: span.start)
    return found


def open_spans(db: sqlite3.Connection, trace_id: str) -> list[StoredSpan]:
    """Return the spans of a trace that have begun but not ended."""
    rows = db.execute(
        "SELECT span_id, parent_id, name, start, writer, body FROM open_spans "
        "WHERE trace_id = ? ORDER BY start",
        (bytes.fromhex(trace_id),),
    ).fetchall()
    if not rows:
        return []
    alive = {writer.id for writer in writers(db) if writer.alive}
    return [
        StoredSpan(
            trace_id,
            span_id.hex(),
            parent.hex() if parent else None,
            name,
            start,
            end=None,
            status=0,
            node=None,
            replies=None,
            tools=None,
            body=body,
            state="running" if writer in alive else "interrupted",
        )
        for span_id, parent, name, start, writer, body in rows
    ]


def writers(db: sqlite3.Connection) -> list[Writer]:
    """Return the processes that have written to this store."""
    rows = db.execute(
        "SELECT id, host, boot_id, pid, process_start, heartbeat, closed FROM writers"
    ).fetchall()
    return [Writer(*row) for row in rows]


def conversation(db: sqlite3.Connection, span: StoredSpan) -> Conversation | None:
    """Return the messages of a model call, None if the span has none."""
    if span.node is None:
        return None
    messages = [json.loads(body) for body in message_chain(db, span.node)]
    split = len(messages) - (span.replies or 0)
    return Conversation(messages[:split], messages[split:], _tools(db, span.tools))


_CHAIN = (
    "WITH RECURSIVE chain(hash, parent, message, depth) AS ("
    " SELECT hash, parent, message, 0 FROM nodes WHERE hash = ?"
    " UNION ALL SELECT n.hash, n.parent, n.message, depth + 1"
    " FROM nodes AS n JOIN chain ON n.hash = chain.parent) "
)


def message_chain(db: sqlite3.Connection, node: bytes) -> list[bytes]:
    """Return what a conversation has come to at *node*: UTF-8 JSON, oldest first."""
    rows = db.execute(
        f"{_CHAIN} SELECT m.body FROM chain JOIN messages AS m "
        "ON m.hash = chain.message ORDER BY depth DESC",
        (node,),
    ).fetchall()
    return [body for (body,) in rows]


def message_hashes(db: sqlite3.Connection, node: bytes) -> list[bytes]:
    """Return the hashes of the messages that lead to *node*, oldest first."""
    rows = db.execute(
        f"{_CHAIN} SELECT message FROM chain ORDER BY depth DESC", (node,)
    ).fetchall()
    return [message for (message,) in rows]


def verdicts(db: sqlite3.Connection, trace_id: str) -> list[Verdict]:
    """Return every reward of an episode, oldest first, late ones included."""
    rows = db.execute(
        "SELECT span_id, name, value, label, kind, evaluator, version, supersedes, at, "
        "late FROM verdicts WHERE trace_id = ? ORDER BY at, span_id",
        (bytes.fromhex(trace_id),),
    ).fetchall()
    superseded = {row[7] for row in rows if row[7]}
    newest = {row[1]: row[0] for row in rows if row[0] not in superseded}
    return [
        Verdict(
            span_id=row[0].hex(),
            name=row[1],
            value=row[2],
            label=row[3],
            kind=row[4],
            evaluator=row[5],
            version=row[6],
            supersedes=row[7].hex() if row[7] else None,
            at=row[8],
            late=bool(row[9]),
            effective=newest.get(row[1]) == row[0],
        )
        for row in rows
    ]


def _where(filters: dict[str, Any]) -> tuple[str, list[Any]]:
    chosen = {column: value for column, value in filters.items() if value is not None}
    if not chosen:
        return "", []
    conditions = " AND ".join(f"{column} = ?" for column in chosen)
    return f"WHERE {conditions}", list(chosen.values())


def running_traces(db: sqlite3.Connection) -> set[str]:
    """Return the traces with open spans of processes that are alive.

    While a process is, episodes that have just begun are taken to be of it: that
    spans are open is written only after a second.
    """
    alive = [writer.id for writer in writers(db) if writer.alive]
    if not alive:
        return set()
    marks = ",".join("?" * len(alive))
    rows = db.execute(
        f"SELECT trace_id FROM open_spans WHERE writer IN ({marks}) UNION "
        'SELECT trace_id FROM episodes AS e WHERE start > ? AND "end" IS NULL '
        "AND NOT EXISTS (SELECT 1 FROM open_spans AS o WHERE o.trace_id = e.trace_id)",
        (*alive, time.time_ns() - JUST_BEGUN_NS),
    )
    return {trace_id.hex() for (trace_id,) in rows}


def _narrowed(
    db: sqlite3.Connection,
    job: str | None,
    outcome: str | None,
    model: str | None = None,
    below: float | None = None,
) -> tuple[str, list[Any]]:
    filters = {"job_id": job, "model": model}
    if outcome not in OPEN_STATES:
        filters["outcome"] = outcome
    where, values = _where(filters)
    more: list[str] = []
    if outcome in OPEN_STATES:
        negated = "" if outcome == "running" else "NOT"
        more.append(
            f'"end" IS NULL AND lower(hex(trace_id)) {negated} IN '
            f"(SELECT value FROM json_each(?))"
        )
        values.append(json.dumps(sorted(running_traces(db))))
    if below is not None:
        more.append("reward < ?")
        values.append(below)
    for condition in more:
        where = f"{where} AND {condition}" if where else f"WHERE {condition}"
    return where, values


def _with_state(episode: Episode, running: set[str]) -> Episode:
    if episode.end is not None:
        return episode
    state: State = "running" if episode.trace_id in running else "interrupted"
    return episode._replace(state=state)


def _with_use(db: sqlite3.Connection, episode: Episode) -> Episode:
    """Add what it has used so far to an episode that has not ended."""
    return (
        episode
        if episode.end is not None
        else used(episode, so_far(db, episode.trace_id))
    )


def used(episode: Episode, use: Used) -> Episode:
    """Return the episode with *use* where it does not say so itself."""
    more = {k: v for k, v in use._asdict().items() if getattr(episode, k) is None}
    return episode._replace(**more)


def _tools(db: sqlite3.Connection, key: bytes | None) -> list[Any]:
    if key is None:
        return []
    row = db.execute("SELECT body FROM messages WHERE hash = ?", (key,)).fetchone()
    tools = json.loads(row[0]) if row else []
    return tools if isinstance(tools, list) else [tools]
