"""Episodes of any length, written to a store as they are: no eval has to run for them."""

from __future__ import annotations

import hashlib
import json
import random
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from hudtrace import semconv
from hudtrace.store import fold
from hudtrace.store.rows import Batch, Source
from hudtrace.store.store import Store

START = 1_795_629_600_000_000_000
SECOND = 1_000_000_000
Message = dict[str, Any]


def text(role: str, content: str) -> Message:
    """Return a message of one text."""
    return {"role": role, "parts": [{"type": "text", "content": content}]}


def tool_call(call_id: str, name: str, arguments: Any, said: str = "") -> Message:
    """Return an answer that asks for a tool."""
    part = {"type": "tool_call", "id": call_id, "name": name, "arguments": arguments}
    first = [{"type": "text", "content": said}] if said else []
    return {"role": "assistant", "parts": [*first, part]}


def tool_result(call_id: str, result: Any) -> Message:
    """Return a tool's answer."""
    part = {"type": "tool_call_response", "id": call_id, "response": result}
    return {"role": "tool", "parts": [part]}


@dataclass
class Made:
    """An episode as it is being made; `write` puts it into a store."""

    seed: int = 0
    model: str = "gpt-5"
    scenario: str = "initials"
    reward: float | None = 1.0
    chain: list[Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self.trace_id = self._random.randbytes(16)
        self.root, self.agent = self._id(), self._id()
        self.at, self.turns, self.tools, self.errors = START + SECOND, 0, 0, 0
        self.tokens = [0, 0]
        source = Source(b"made" * 4, b"\n\x00", b"\n\x00", None)
        self._batch = Batch(sources={source.key: source})
        self._source = source.key
        self._span("setup", self.root, START + 1000, SECOND // 2, phase="setup")

    @property
    def trace(self) -> str:
        """The id in hex."""
        return self.trace_id.hex()

    def turn(self, *new: Message, answer: Message, kept: int | None = None) -> str:
        """Add a turn with a call of the model; return the call's span id.

        *kept* says how many messages of the history are left in the call.
        """
        self.turns += 1
        if kept is not None:
            self.chain = self.chain[:kept]
        self.chain += [*new, answer]
        began, took = self.at, self._random.randrange(SECOND // 4, 3 * SECOND)
        turn, call = self._id(), self._id()
        self._turn = turn
        given, written = 400 + 40 * self.turns, self._random.randrange(20, 200)
        self.tokens = [self.tokens[0] + given, self.tokens[1] + written]
        facts = {semconv.USAGE_INPUT: given, semconv.USAGE_OUTPUT: written}
        self._span(
            f"chat {self.model}",
            turn,
            began + 1000,
            took,
            span_id=call,
            operation=semconv.OP_CHAT,
            model=self.model,
            node=self._node(self.chain),
            attributes={semconv.REQUEST_MODEL: self.model, **facts},
        )
        self.at += took + 50_000
        for part in answer["parts"]:
            if part["type"] == "tool_call":
                self._tool(part)
        self._span("turn", self.agent, began, self.at - began, span_id=turn)
        self.at += 80_000
        return call.hex()

    def _tool(self, part: dict[str, Any]) -> None:
        took = self._random.randrange(SECOND // 500, SECOND // 2)
        failed = part["name"] == "broken"
        self.tools += 1
        self.errors += failed
        said = {
            semconv.TOOL_NAME: part["name"],
            semconv.TOOL_CALL_ID: part["id"],
            semconv.TOOL_CALL_ARGUMENTS: json.dumps(part["arguments"]),
            semconv.TOOL_ERROR: float(failed),
        }
        self._span(
            f"execute_tool {part['name']}",
            self._turn,
            self.at,
            took,
            operation=semconv.OP_EXECUTE_TOOL,
            attributes=said,
            status=2 if failed else 0,
        )
        self.at += took + 60_000

    def lose(self, name: str) -> None:
        """Add a span whose parent never comes."""
        self._span(name, self._id(), self.at, SECOND // 10)

    def write(self, path: Path, explanation: str = "as wanted") -> str:
        """Put the episode into the store at *path*; return its id."""
        begin = START + SECOND
        self._span(
            "invoke_agent made",
            self.root,
            begin,
            self.at - begin,
            span_id=self.agent,
            operation=semconv.OP_INVOKE_AGENT,
        )
        if self.reward is not None:
            self._verdict(explanation)
        self._end()
        store = Store(path)
        store.write(self._batch)
        store.close()
        return self.trace

    def _verdict(self, explanation: str) -> None:
        reward = self._id()
        said = {
            semconv.EVALUATION_NAME: "reward",
            semconv.EVALUATION_SCORE: self.reward,
            semconv.EVALUATION_LABEL: "pass" if self.reward == 1.0 else "fail",
            semconv.EVALUATION_EXPLANATION: explanation,
            semconv.EVALUATOR_KIND: "code",
            semconv.EVALUATOR_ID: self.scenario,
        }
        read = [row[1] for row in self._batch.spans if row[7] == semconv.OP_CHAT][-1:]
        self._span(
            "reward",
            self.root,
            self.at,
            1000,
            "grade",
            reward,
            attributes=said,
            read=read,
        )
        verdict = fold.verdict_of(self.trace_id, reward, self.at, said)
        if verdict is not None:
            self._batch.verdicts.append(tuple(verdict))

    def _end(self) -> None:
        self.at += 5000
        said = {
            semconv.OPERATION: semconv.OP_EVALUATE,
            semconv.ENV_NAME: "made",
            semconv.SCENARIO: self.scenario,
            semconv.MODEL: self.model,
            semconv.OUTCOME: "scored",
            semconv.REWARD: self.reward,
            semconv.TURNS: self.turns,
            semconv.TOOL_CALLS: self.tools,
            semconv.TOOL_ERRORS: self.errors,
            semconv.HUD_USAGE_INPUT: self.tokens[0],
            semconv.HUD_USAGE_OUTPUT: self.tokens[1],
            semconv.EVAL_SPAN_COUNT: len(self._batch.spans) + 1,
            semconv.INPUT_VALUE: "What are the initials?",
            semconv.ANSWER: "JR",
        }
        name = f"eval made:{self.scenario}"
        self._span(
            name,
            None,
            START,
            self.at - START,
            span_id=self.root,
            operation=semconv.OP_EVALUATE,
            attributes=said,
            phase=None,
        )
        row = fold.episode_of(
            self.trace_id, self.root, None, name, START, self.at, said
        )
        assert row is not None
        self._batch.episodes[self.trace_id] = row

    def _node(self, messages: list[Message]) -> bytes:
        """Store a chain of messages; only what is new at its end is worked on."""
        node = b""
        start = 0
        if (
            messages[:-2]
            and self._last
            and messages[: len(self._last[0])] == self._last[0]
        ):
            start, node = len(self._last[0]), self._last[1]
        for message in messages[start:]:
            body = json.dumps(message, ensure_ascii=False).encode("utf-8", "replace")
            digest = hashlib.sha256(body).digest()[:16]
            self._batch.messages[digest] = body
            parent, node = node, hashlib.sha256(node + digest).digest()[:16]
            self._batch.nodes[node] = (parent or None, digest)
        self._last = (list(messages), node)
        return node

    _last: tuple[list[Message], bytes] | None = None

    def _id(self) -> bytes:
        return self._random.randbytes(8)

    def _span(
        self,
        name: str,
        parent: bytes | None,
        start: int,
        took: int,
        phase: str | None = "agent",
        span_id: bytes | None = None,
        *,
        operation: str | None = None,
        model: str | None = None,
        node: bytes | None = None,
        attributes: dict[str, Any] | None = None,
        status: int = 0,
        read: list[bytes] | None = None,
    ) -> None:
        """Add a row of the table of spans, with the span as OTLP beside it."""
        span_id = span_id or self._id()
        turn = self.turns if phase == "agent" and self.turns else None
        said = {
            semconv.OPERATION: operation,
            semconv.PHASE: phase,
            **(attributes or {}),
        }
        if turn is not None and name != "invoke_agent made":
            said[semconv.TURN_INDEX] = turn
        body = Span(name=name, start_time_unix_nano=start)
        body.end_time_unix_nano = start + took
        body.trace_id, body.span_id, body.parent_span_id = (
            self.trace_id,
            span_id,
            parent or b"",
        )
        for key, value in said.items():
            _put(body.attributes, key, value)
        for each in read or ():
            _put(
                body.links.add(trace_id=self.trace_id, span_id=each).attributes,
                semconv.LINK_KIND,
                "read",
            )
        if status:
            body.status.code, body.status.message = status, "the tool failed"
        self._batch.spans.append(
            (
                *(self.trace_id, span_id, parent, name, start, start + took, status),
                *(operation, model, phase, said.get(semconv.TURN_INDEX), node),
                *(1 if node else None, None, self._source, body.SerializeToString()),
            )
        )


def _put(pairs: Any, key: str, value: Any) -> None:
    if value is None:
        return
    kind = {bool: "bool_value", int: "int_value", float: "double_value"}
    pair = pairs.add(key=key)
    setattr(pair.value, kind.get(type(value), "string_value"), value)


def short(seed: int = 0, **options: Any) -> Made:
    """Return an episode of three turns, with a tool in two of them."""
    made = Made(seed, **options)
    ask = text("user", "What are the initials of the CEO of HUD?")
    made.turn(
        text("system", "Be careful."),
        ask,
        answer=tool_call("c1", "lookup_ceo", {"company": "HUD"}, "I look it up."),
    )
    made.turn(
        tool_result("c1", "Jay Ram"),
        answer=tool_call("c2", "broken", {"command": "wc -l *\nls", "timeout": 3}),
    )
    made.turn(
        tool_result("c2", "it is broken"), answer=text("assistant", "**JR**, I think")
    )
    return made


def long(turns: int, seed: int = 1000) -> Made:
    """Return an episode of as many turns, each with a call of a tool: 3 spans a turn."""
    made = Made(seed)
    new = [text("user", "Go on until you are done.")]
    for n in range(1, turns + 1):
        name = ("bash", "click", "lookup")[n % 3]
        name = "broken" if n % 50 == 0 else name
        said = f"step {n} of the plan" if n % 4 == 0 else ""
        answer = tool_call(f"c{n}", name, {"n": n, "what": f"thing {n}"}, said)
        made.turn(*new, answer=answer)
        needle = " needle" if n % 100 == 7 else ""
        new = [tool_result(f"c{n}", f"result {n}{needle}: " + "some words of it " * 6)]
    made.turn(*new, answer=text("assistant", "done"))
    return made
