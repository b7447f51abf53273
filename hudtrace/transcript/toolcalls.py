"""What models asked of tools, joined with the spans and the messages that answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.messages import tool_calls_of
from hudtrace.transcript.calls import Call, Messages
from hudtrace.transcript.rows import Row

_LATER = 2  # calls of a thread after which an answer may still come
_RESPONSE = "tool_call_response"


class Answer(NamedTuple):
    """A tool's response in a message: the message, its number, and its part in it."""

    message: bytes
    n: int
    place: int
    part: Any


class Keys:
    """Names the tool calls and the responses of one call, also those without an id.

    Gemini and some servers give none: the first response of a tool then answers the
    first call of it, and so on.
    """

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def of(self, part: Mapping[str, Any]) -> str:
        """Return the name of the next tool call or response."""
        if part.get("id"):
            return str(part["id"])
        name = str(part.get("name"))
        kind = str(part.get("type")), name
        self._counts[kind] += 1
        return f"{name}#{self._counts[kind]}"


@dataclass(slots=True)
class _Asked:
    names: dict[str, str] = field(default_factory=dict)  # of tools, by call id
    spans: dict[str, Row] = field(default_factory=dict)  # by call id


class ToolCalls:
    """Who asked for which tool call of an episode, and what answers it."""

    def __init__(
        self, source: Messages, calls: Sequence[Call], tools: Sequence[Row]
    ) -> None:
        self._source = source
        self._asked = {call.row.span_id: _Asked() for call in calls}
        self._threads: dict[int, list[Call]] = {}
        self._place: dict[str, int] = {}
        for call in calls:
            thread = self._threads.setdefault(call.thread, [])
            self._place[call.row.span_id] = len(thread)
            thread.append(call)
        self._read_requests(calls)
        taken = self._match(calls, tools)
        self.unasked = [row for row in tools if row.span_id not in taken]

    def span_of(self, call: Call, call_id: str) -> Row | None:
        """Return the span in which a tool call of *call* was done."""
        return self._asked[call.row.span_id].spans.get(call_id)

    def spans_of(self, call: Call) -> list[str]:
        """Return the ids of the spans in which the tool calls of *call* were done."""
        return [row.span_id for row in self._asked[call.row.span_id].spans.values()]

    def answers(self, call: Call) -> dict[str, Answer]:
        """Return what the messages after it, or with it, answer to its tool calls."""
        wanted = self._asked[call.row.span_id].names
        found: dict[str, Answer] = {}
        for later in self._around(call, 0, _LATER) if wanted else ():
            read, keys = self._source.read(later.new), Keys()
            for n, key in enumerate(later.new, later.first):
                for place, part in enumerate(read[key]["parts"] if key in read else ()):
                    if part.get("type") == _RESPONSE:
                        answers = keys.of(part)
                        if answers in wanted:
                            found.setdefault(answers, Answer(key, n, place, part))
            if len(found) == len(wanted):
                break
        return found

    def asker(self, call: Call, answers: str) -> Call | None:
        """Return the call that asked for what a response in *call* answers.

        The response is shown there. None if it answers nothing that is near.
        """
        for earlier in reversed(self._around(call, -_LATER, 0)):
            if answers in self._asked[earlier.row.span_id].names:
                return earlier
        return None

    def asker_of(self, call: Call, n: int) -> Call | None:
        """Return the call that asked for what message *n*, of *call*, answers."""
        read, keys = self._source.read(call.new), Keys()
        for number, key in enumerate(call.new, call.first):
            for part in read[key]["parts"] if key in read else ():
                if part.get("type") == _RESPONSE:
                    asker = self.asker(call, keys.of(part))
                    if number == n:
                        return asker
        return None

    def _around(self, call: Call, first: int, last: int) -> list[Call]:
        thread = self._threads[call.thread]
        place = self._place[call.row.span_id]
        return thread[max(0, place + first) : place + last + 1]

    def _read_requests(self, calls: Sequence[Call]) -> None:
        requests = self._source.asking([key for call in calls for key in call.new])
        for call in calls:
            names, keys = self._asked[call.row.span_id].names, Keys()
            for key in call.new:
                for part in tool_calls_of(requests[key]) if key in requests else ():
                    names[keys.of(part)] = str(part.get("name"))

    def _match(self, calls: Sequence[Call], tools: Sequence[Row]) -> set[str]:
        """Give each tool call its span; return the spans that are given.

        That is the first with its id that began after the model call did; where a span
        has none, the first of that name.
        """
        by_key: dict[tuple[str | None, str | None], list[Row]] = {}
        for row in sorted(tools, key=lambda row: row.start):
            key = (row.call_id, None) if row.call_id else (None, tool_name(row))
            by_key.setdefault(key, []).append(row)
        taken: set[str] = set()
        for call in calls:
            asked = self._asked[call.row.span_id]
            for call_id, name in asked.names.items():
                with_id = by_key.get((call_id, None), ())
                found = (
                    _first(with_id, call, taken)
                    or _first(by_key.get((None, name), ()), call, taken)
                    or _first(with_id, call, ())
                )
                if found is not None:
                    taken.add(found.span_id)
                    asked.spans[call_id] = found
        return taken


def tool_name(row: Row) -> str:
    """Return which tool a span is of."""
    return row.name.removeprefix(f"{semconv.OP_EXECUTE_TOOL} ")


def _first(rows: Iterable[Row], call: Call, taken: Iterable[str]) -> Row | None:
    since = call.row.start
    for row in rows:
        if row.start >= since and row.span_id not in taken:
            return row
    return None
