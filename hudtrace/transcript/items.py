"""The items of a conversation as plain data, with the content of those that are shown."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from hudtrace import semconv
from hudtrace.store.decode import Decoded
from hudtrace.store.queries import Verdict
from hudtrace.transcript import foreign, loose
from hudtrace.transcript.calls import Call, Messages
from hudtrace.transcript.late import late_trace
from hudtrace.transcript.parts import API, SHORT, Parts, Plain
from hudtrace.transcript.rows import Row, detail
from hudtrace.transcript.toolcalls import Answer, Keys, ToolCalls, tool_name


class Items:
    """Makes items of one trace; reads what it needs for each."""

    def __init__(
        self, source: Messages, tools: ToolCalls, parts: Parts = SHORT
    ) -> None:
        self._source = source
        self._tools = tools
        self._parts = parts

    def item(self, kind: str, about: Any) -> Plain:
        """Return one item, without its kind and number."""
        if kind == "call":
            return self._call(about)
        if kind == "tool":
            return self._tool(about)
        if kind == "reward":
            return self._reward(about)
        return {"span_id": about.span_id, **self._of_root(kind, about)}

    # Model calls -------------------------------------------------------------

    def _call(self, call: Call) -> Plain:
        row = call.row
        known = self._detail(row.span_id)
        attributes = known.attributes
        return {
            **_span(row),
            "model": row.model,
            "error": self._error(row, known),
            "input_tokens": _number(attributes.get(semconv.USAGE_INPUT)),
            "output_tokens": _number(attributes.get(semconv.USAGE_OUTPUT)),
            "cost": _number(attributes.get(semconv.COST_CALL)),
            "finish_reasons": self._parts.data(
                loose.listed(attributes.get(semconv.RESPONSE_FINISH_REASONS))
            ),
            "thread": call.thread,
            "history": call.history,
            "added": len(call.new),
            "rewritten_at": call.rewritten_at,
            "incomplete": self._parts.data(attributes.get(semconv.RESPONSE_INCOMPLETE)),
            "new": self._messages(call),
        }

    def _messages(self, call: Call) -> list[Plain]:
        read = self._source.read(call.new)
        answers = self._tools.answers(call)
        keys = Keys()
        shown = []
        for n, key in enumerate(call.new, call.first):
            message = read.get(key)
            if message is None:
                continue
            href = self._source.href(key)
            output = n >= call.first + len(call.input)
            made = [
                self._part(call, part, href, str(place), keys, answers)
                for place, part in enumerate(message["parts"])
            ]
            listed = [part for part in made if part is not None]
            if listed or not message["parts"]:
                role = self._parts.data(message["role"])
                shown.append({"n": n, "role": role, "output": output, "parts": listed})
        return shown

    def _part(
        self,
        call: Call,
        part: Mapping[str, Any],
        href: str,
        place: str,
        keys: Keys,
        answers: Mapping[str, Answer],
    ) -> Plain | None:
        """Return a part, None for a response that is shown where it was asked for."""
        if part.get("type") == "tool_call_response":
            if self._tools.asker(call, keys.of(part)) is not None:
                return None
            return self._parts.tool_response(part, href, place)
        if part.get("type") != "tool_call":
            return self._parts.part(part, href, place)
        key = keys.of(part)
        made = self._parts.tool_call(part, href)
        row = self._tools.span_of(call, key)
        if row is not None:
            made |= _done(row)
            if row.status == 2:  # what the model was told may not say what it was
                made["raised"] = self._error(row, self._detail(row.span_id))
        answer = answers.get(key)
        if answer is not None:
            where = self._source.href(answer.message)
            inner = self._parts.response(
                answer.part.get("response"), where, str(answer.place)
            )
            made["result"] = {"parts": inner, "n": answer.n}
        elif row is not None:
            made["result"] = self._result(row, self._detail(row.span_id))
        return made

    # Tools -------------------------------------------------------------------

    def _tool(self, row: Row) -> Plain:
        known = self._detail(row.span_id)
        tool = foreign.tool_of(known.attributes)
        name, given = (tool.name, tool.arguments) if tool else (tool_name(row), None)
        asked = {"id": row.call_id, "name": name, "arguments": given}
        part = self._parts.tool_call(asked, self._span_href(row.span_id))
        part |= {**_done(row), "result": self._result(row, known)}
        return {**_span(row), "error": self._error(row, known), "part": part}

    def _result(self, row: Row, known: Decoded) -> Plain | None:
        tool = foreign.tool_of(known.attributes)
        result = None if tool is None else tool.result
        if result is None and row.status == 2:
            result = (self._error(row, known) or {}).get("message")
        if result is None:
            return None
        href = self._span_href(row.span_id)
        return {"parts": self._parts.response(result, href, ""), "n": None}

    # The episode -------------------------------------------------------------

    def _reward(self, verdict: Verdict) -> Plain:
        trace_id = self._source.trace_id
        if verdict.late:
            found = late_trace(self._source.db, verdict.span_id, verdict.at)
            trace_id = found or trace_id
        known = detail(self._source.db, trace_id, verdict.span_id)
        explanation = known.attributes.get(semconv.EVALUATION_EXPLANATION)
        read = [
            link.span_id
            for link in known.links
            if link.attributes.get(semconv.LINK_KIND) == "read"
        ]
        return {
            "span_id": verdict.span_id,
            "trace_id": trace_id,
            "name": verdict.name,
            "value": _number(verdict.value),
            "label": verdict.label,
            "explanation": self._parts.data(explanation),
            "evaluator": verdict.evaluator,
            "kind_of": verdict.kind,
            "late": verdict.late,
            "effective": verdict.effective,
            "read": read,
        }

    def _of_root(self, kind: str, root: Row) -> Plain:
        known = self._detail(root.span_id)
        if kind == "error":
            return self._error(root, known) or {}
        href = self._span_href(root.span_id)
        if kind == "answer":
            answer = str(known.attributes.get(semconv.ANSWER))
            return {"parts": [self._parts.text(answer, href)]}
        where = f"{href.partition('?')[0]}/message/0"
        given = foreign.prompt_of(known.attributes)["parts"]
        return {
            "parts": [
                self._parts.part(part, where, str(place))
                for place, part in enumerate(given)
            ]
        }

    def _error(self, row: Row, known: Decoded) -> Plain | None:
        """Return what went wrong in a span, None if nothing did."""
        if row.status != 2:
            return None
        events = [e for e in known.events if e.name == semconv.EXCEPTION_EVENT]
        raised = events[-1].attributes if events else {}
        kind = raised.get(semconv.EXCEPTION_TYPE) or known.attributes.get(
            semconv.ERROR_TYPE
        )
        message = raised.get(semconv.EXCEPTION_MESSAGE) or known.status_message
        return {
            "type": self._parts.data(kind),
            "message": self._parts.data(message),
            "stacktrace": self._parts.data(raised.get(semconv.EXCEPTION_STACKTRACE)),
        }

    def _detail(self, span_id: str) -> Decoded:
        return detail(self._source.db, self._source.trace_id, span_id)

    def _span_href(self, span_id: str) -> str:
        return f"{API}/trace/{self._source.trace_id}/span/{span_id}?full=1"


def _span(row: Row) -> Plain:
    return {
        "span_id": row.span_id,
        "name": row.name,
        "phase": row.phase,
        "turn": row.turn,
        "start": str(row.start),
        "duration": None if row.end is None else row.end - row.start,
        "status": row.status,
        "state": row.state,
    }


def _done(row: Row) -> Plain:
    duration = None if row.end is None else row.end - row.start
    return {"span_id": row.span_id, "duration": duration, "error": row.status == 2}


def _number(value: Any) -> int | float | None:
    """Return a number that JSON has; None for what a span of others says in its place."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else None
