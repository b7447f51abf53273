"""A trace as Chrome trace events, which Perfetto and chrome://tracing open."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from hudtrace.messages import encodable_data, named_numbers
from hudtrace.store import queries
from hudtrace.store.queries import StoredSpan

_LONGEST = 1_000  # characters of an attribute
_PROCESS = 1


def trace_events(db: sqlite3.Connection, trace_id: str) -> dict[str, Any]:
    """Return a trace in the JSON format of Chrome trace events, times in microseconds.

    Spans that overlap without one being inside the other are on lanes of their own.
    """
    spans = queries.spans(db, trace_id)
    base = min((span.start for span in spans), default=0)
    last = max((span.end or span.start for span in spans), default=0)
    lanes = _lanes(spans, last)
    events = [_meta("process_name", 0, f"trace {trace_id}")]
    for lane in range(max(lanes.values(), default=0) + 1):
        events.append(_meta("thread_name", lane, "episode" if lane == 0 else f"{lane}"))
        events.append(_meta("thread_sort_index", lane, lane))
    for span in spans:
        events += _span(span, lanes[span.span_id], base, last)
    return {
        "traceEvents": events,
        "displayTimeUnit": "ms",
        "otherData": {"trace_id": trace_id, "start_unix_ns": str(base)},
    }


def _span(span: StoredSpan, lane: int, base: int, last: int) -> list[dict[str, Any]]:
    end = last if span.end is None else span.end
    place = {"pid": _PROCESS, "tid": lane}
    args = {key: _short(value) for key, value in span.attributes.items()}
    args |= {"span_id": span.span_id}
    if span.state != "done":
        args["state"] = span.state
    if span.status == 2:
        args["error"] = _short(span.status_message)
    made: list[dict[str, Any]] = [
        {
            "ph": "X",
            "name": _short(span.name),
            "cat": "error" if span.status == 2 else "span",
            "ts": (span.start - base) / 1000,
            "dur": (end - span.start) / 1000,
            "args": args,
            **place,
        }
    ]
    for event in span.events:
        facts = {key: _short(value) for key, value in event.attributes.items()}
        at = (event.timestamp - base) / 1000
        instant = {"ph": "i", "s": "t", "name": _short(event.name), "ts": at}
        made.append({**instant, "args": facts, **place})
    return made


def _lanes(spans: Sequence[StoredSpan], last: int) -> dict[str, int]:
    """Return a lane for each span, its parent's where it fits in there."""
    stacks: list[list[tuple[str, int]]] = []  # by lane: spans under way and their ends
    found: dict[str, int] = {}
    for span in sorted(spans, key=lambda s: (s.start, -(s.end or last))):
        end = last if span.end is None else span.end
        own = found.get(span.parent_id or "", 0)
        for lane in (own, *range(len(stacks) + 1)):
            if lane == len(stacks):
                stacks.append([])
            stack = stacks[lane]
            while stack and stack[-1][1] <= span.start:
                stack.pop()
            if not stack or (stack[-1][0] == span.parent_id and stack[-1][1] >= end):
                stack.append((span.span_id, end))
                found[span.span_id] = lane
                break
    return found


def _meta(name: str, lane: int, value: Any) -> dict[str, Any]:
    key = "sort_index" if name == "thread_sort_index" else "name"
    return {
        "ph": "M",
        "name": name,
        "pid": _PROCESS,
        "tid": lane,
        "args": {key: value},
    }


def _short(value: Any) -> Any:
    if isinstance(value, list | tuple):
        return [_short(each) for each in value[:100]]
    if isinstance(value, bytes):
        value = value.hex()
    if isinstance(value, str) and len(value) > _LONGEST:
        value = f"{value[:_LONGEST]}…"
    return encodable_data(named_numbers(value))
