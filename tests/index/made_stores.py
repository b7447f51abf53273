"""Stores with episodes of a test's choice, written as the pipeline writes them."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hudtrace import semconv
from hudtrace.delivery.otlp import SpanEncoder
from hudtrace.store import fold
from hudtrace.store.rows import Batch, Source
from hudtrace.store.store import Store

MINUTE = 60 * 10**9
BEGIN = 1_800_000_000 * 10**9
_OURS = SpanEncoder()
_COUNTED_AT_THE_END = {
    semconv.HUD_USAGE_INPUT,
    semconv.HUD_USAGE_OUTPUT,
    semconv.COST_TOTAL,
    semconv.TURNS,
    semconv.TOOL_CALLS,
    semconv.TOOL_ERRORS,
}


def text(role: str, content: str) -> dict[str, Any]:
    """A message of one text."""
    return {"role": role, "parts": [{"type": "text", "content": content}]}


@dataclass
class Call:
    """A tool call of an episode."""

    tool: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    result: str = "ok"
    error: str | None = None
    took: int = 10**6


@dataclass
class Made:
    """One episode: what its root says, its conversations, tool calls and rewards."""

    root: dict[str, Any] = field(default_factory=dict)
    chats: Sequence[Sequence[Mapping[str, Any]]] = ()
    calls: Sequence[Call] = ()
    explanation: str | None = None
    start: int = BEGIN
    took: int = 10**9
    ended: bool = True
    model: str | None = "m"


class Filled:
    """A store at *path* that is being filled."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.store = Store(path)
        self._numbers = itertools.count(1)

    def add(self, episodes: Iterable[Made]) -> list[str]:
        """Write episodes in one transaction; return their trace ids."""
        batch = Batch()
        made = [self._add(batch, episode) for episode in episodes]
        self.store.write(batch)
        return made

    def add_span(
        self,
        trace_id: str,
        name: str,
        attributes: Mapping[str, Any],
        *,
        service: str = "hudtrace",
        parent: bytes | None = None,
        start: int = BEGIN,
        took: int = 1000,
        status: int = 0,
    ) -> bytes:
        """Write one span of any kind; return its id."""
        batch = Batch()
        span_id = self._span_id()
        self._span(
            batch, bytes.fromhex(trace_id), span_id, parent, name, start, start + took,
            attributes, status=status, service=service,
            operation=attributes.get(semconv.OPERATION),
            model=attributes.get(semconv.REQUEST_MODEL),
        )  # fmt: skip
        verdict = fold.verdict_of(
            bytes.fromhex(trace_id), span_id, start + took, attributes
        )
        if verdict is not None:
            batch.verdicts.append(verdict)
        self.store.write(batch)
        return span_id

    def delete(self, *trace_ids: str) -> None:
        """Delete traces as retention does."""
        self.store._delete([bytes.fromhex(trace_id) for trace_id in trace_ids])
        self.store._delete_unused_content()

    def _span_id(self) -> bytes:
        return next(self._numbers).to_bytes(8, "big")

    def _add(self, batch: Batch, made: Made) -> str:
        number = next(self._numbers)
        trace = hashlib.blake2b(number.to_bytes(8, "big"), digest_size=16).digest()
        root, end = self._span_id(), made.start + made.took
        facts = {
            semconv.OPERATION: semconv.OP_EVALUATE,
            semconv.ENV_NAME: "env",
            semconv.SCENARIO: "scenario",
            **made.root,
        }
        if not made.ended:  # nobody has counted yet
            facts = {key: facts[key] for key in facts.keys() - _COUNTED_AT_THE_END}
        row = fold.episode_of(
            trace, root, None, "eval env:scenario", made.start,
            end if made.ended else None, facts,
        )  # fmt: skip
        assert row is not None
        batch.episodes[trace] = row
        for call in made.calls:
            self._call(batch, trace, root, made.start, call)
        for chat in made.chats:
            self._chat(batch, trace, root, made, chat)
        if made.explanation is not None:
            said = {
                semconv.EVALUATION_NAME: "reward",
                semconv.EVALUATION_EXPLANATION: made.explanation,
            }
            self._span(
                batch, trace, self._span_id(), root, "reward", made.start, end, said
            )
        if made.ended:
            self._span(
                batch, trace, root, None, "eval env:scenario", made.start, end, facts,
                operation=semconv.OP_EVALUATE,
            )  # fmt: skip
        return trace.hex()

    def _call(
        self, batch: Batch, trace: bytes, root: bytes, start: int, call: Call
    ) -> None:
        facts = {
            semconv.OPERATION: semconv.OP_EXECUTE_TOOL,
            semconv.TOOL_NAME: call.tool,
            semconv.TOOL_CALL_ARGUMENTS: json.dumps(call.arguments),
            semconv.TOOL_CALL_RESULT: call.result,
            semconv.TOOL_ERROR: float(call.error is not None),
        }
        if call.error is not None:
            facts[semconv.ERROR_TYPE] = call.error
        self._span(
            batch, trace, self._span_id(), root, f"execute_tool {call.tool}", start,
            start + call.took, facts, operation=semconv.OP_EXECUTE_TOOL,
            status=2 if call.error else 0,
        )  # fmt: skip

    def _chat(
        self,
        batch: Batch,
        trace: bytes,
        root: bytes,
        made: Made,
        messages: Sequence[Mapping[str, Any]],
    ) -> None:
        node: bytes | None = None
        for message in messages:
            body = json.dumps(message).encode()
            key = hashlib.blake2b(body, digest_size=16).digest()
            batch.messages[key] = body
            above, node = (
                node,
                hashlib.blake2b((node or b"") + key, digest_size=16).digest(),
            )
            batch.nodes[node] = (above, key)
        self._span(
            batch, trace, self._span_id(), root, f"chat {made.model}", made.start,
            made.start + made.took, {semconv.OPERATION: semconv.OP_CHAT},
            operation=semconv.OP_CHAT, model=made.model, node=node,
        )  # fmt: skip

    def _span(
        self,
        batch: Batch,
        trace: bytes,
        span_id: bytes,
        parent: bytes | None,
        name: str,
        start: int,
        end: int,
        attributes: Mapping[str, Any],
        *,
        status: int = 0,
        operation: str | None = None,
        model: str | None = None,
        node: bytes | None = None,
        service: str = "hudtrace",
    ) -> None:
        key = hashlib.blake2b(service.encode(), digest_size=16).digest()
        if key not in batch.sources:
            batch.sources[key] = Source(key, resource_of(service), b"", None)
        own = operation in (semconv.OP_CHAT, semconv.OP_EXECUTE_TOOL)
        batch.spans.append(
            (
                trace, span_id, parent, name, start, end, status, operation, model,
                semconv.PHASE_AGENT if own else None, None, node, None, None, key, _OURS.attributes(dict(attributes)),
            )
        )  # fmt: skip


def resource_of(service: str) -> bytes:
    """The resource of a service as the store keeps it."""
    from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans

    made = ResourceSpans()
    if service:
        pair = made.resource.attributes.add(key=semconv.SERVICE_NAME)
        pair.value.string_value = service
    return bytes(made.SerializeToString())
