"""What a span tells: texts to search in, and facts to filter by."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.messages import encodable, response_text
from hudtrace.store.decode import Decoded, decode_span
from hudtrace.transcript import foreign

SCOPES = ("messages", "tools", "errors", "reward")
LONGEST_TEXT = 64 * 1024  # of a longer one, as much from its beginning and its end
_LONGEST_FACT = 200
_ERROR = 2  # the status of a span
# What the snippets of SQLite are marked with, and a NUL.
_REMOVED = dict.fromkeys(range(3))
_READ_WHOLE = {
    semconv.OP_EVALUATE,
    semconv.OP_EXECUTE_TOOL,
    *foreign.OPERATIONS,
}
_MARKS = (
    semconv.EVALUATION_NAME.encode(),
    semconv.ERROR_TYPE.encode(),
    semconv.JOB_EPISODES.encode(),
    *(mark.encode() for mark in foreign.MARKS),
)
_TAGS = (semconv.METADATA_PREFIX, semconv.VARIANT_PREFIX)


class Text(NamedTuple):
    """A text, where it belongs, and who said it."""

    scope: str
    role: str | None
    text: str


class Job(NamedTuple):
    """What a span tells of the job that it is."""

    job_id: str
    name: str | None
    planned: int | None


@dataclass(slots=True)
class Told:
    """What one span tells.

    `judged` is the episode that a late verdict is about, `tool` the tool that was
    called, which may have `failed`.
    """

    texts: list[Text] = field(default_factory=list)
    facts: set[tuple[str, str]] = field(default_factory=set)
    judged: bytes | None = None
    tool: str | None = None
    failed: bool = False
    job: Job | None = None


NOTHING = Told()


def told_by(
    body: bytes, status: int, operation: str | None, *, has_conversation: bool
) -> Told:
    """Return what a span tells by its stored bytes, beside its conversation."""
    whole = operation in _READ_WHOLE and not (
        has_conversation and status != _ERROR and operation in foreign.OPERATIONS
    )
    if not whole and status != _ERROR and not any(mark in body for mark in _MARKS):
        return NOTHING
    span = decode_span(body)
    told = Told(judged=_judged(span.attributes), job=_job(span.attributes))
    _add_errors(told, span, status)
    _add_tool(told, span, status)
    _add_reward(told, span.attributes)
    if operation == semconv.OP_EVALUATE:
        _add_episode(told, span.attributes)
    if not has_conversation and foreign.is_call(span.attributes):
        _add_call(told, span)
    return told


def texts_of(message: Mapping[str, Any]) -> Iterator[Text]:
    """Yield the texts of a message: what was said, what tools were asked and answered."""
    role = message.get("role")
    parts = message.get("parts")
    for part in parts if isinstance(parts, list) else ():
        if not isinstance(part, Mapping):
            continue
        kind = part.get("type")
        if kind in ("text", "reasoning"):
            yield from _text("messages", role, part.get("content"))
        elif kind == "tool_call":
            asked = _asked(part.get("name"), part.get("arguments"))
            yield from _text("tools", "assistant", asked)
        elif kind == "tool_call_response":
            yield from _text("tools", "tool", response_text(part.get("response")))


def _text(scope: str, role: Any, text: Any) -> Iterator[Text]:
    if not isinstance(text, str):
        return
    if len(text) > LONGEST_TEXT:
        half = LONGEST_TEXT // 2
        text = f"{text[:half]}\n…\n{text[-half:]}"
    clean = text.translate(_REMOVED)
    if clean and not clean.isspace():
        yield Text(scope, role if isinstance(role, str) else None, clean)


def _asked(name: Any, arguments: Any) -> str:
    if not isinstance(arguments, str):
        arguments = json.dumps(arguments, ensure_ascii=False, default=str)
    return f"{name or ''} {arguments}"


def _judged(attributes: Mapping[str, Any]) -> bytes | None:
    try:
        return bytes.fromhex(str(attributes.get(semconv.EPISODE_TRACE_ID, ""))) or None
    except ValueError:
        return None


def _job(attributes: Mapping[str, Any]) -> Job | None:
    job_id, planned = (
        attributes.get(semconv.JOB_ID),
        attributes.get(semconv.JOB_EPISODES),
    )
    if job_id is None or planned is None:
        return None
    name = attributes.get(semconv.JOB_NAME)
    return Job(
        str(job_id),
        None if name is None else str(name),
        planned if isinstance(planned, int) else None,
    )


def _add_fact(told: Told, kind: str, value: Any) -> None:
    if value is not None and value != "":
        told.facts.add((kind, encodable(str(value)[:_LONGEST_FACT])))


def _add_errors(told: Told, span: Decoded, status: int) -> None:
    attributes = span.attributes
    for event in span.events:
        if event.name == semconv.EXCEPTION_EVENT:
            kind = event.attributes.get(semconv.EXCEPTION_TYPE)
            said = event.attributes.get(semconv.EXCEPTION_MESSAGE)
            _add_fact(told, "error", kind)
            told.texts.extend(_text("errors", None, f"{kind}: {said}"))
    if status == _ERROR or semconv.ERROR_TYPE in attributes:
        kind = attributes.get(semconv.ERROR_TYPE)
        _add_fact(told, "error", kind)
        said = ": ".join(str(x) for x in (kind, span.status_message) if x)
        told.texts.extend(_text("errors", None, said))


def _add_tool(told: Told, span: Decoded, status: int) -> None:
    tool = foreign.tool_of(span.attributes)
    if tool is None:
        return
    told.tool = encodable(tool.name[:_LONGEST_FACT])
    attributes = span.attributes
    told.failed = bool(attributes.get(semconv.TOOL_ERROR)) or status == _ERROR
    _add_fact(told, "tool", tool.name)
    if told.failed:
        _add_fact(told, "failed", tool.name)
    if tool.arguments is not None:
        asked = _asked(tool.name, tool.arguments)
        told.texts.extend(_text("tools", "assistant", asked))
    if tool.result is not None:
        told.texts.extend(_text("tools", "tool", response_text(tool.result)))


def _add_reward(told: Told, attributes: Mapping[str, Any]) -> None:
    name = attributes.get(semconv.EVALUATION_NAME)
    if name is None:
        return
    for key in (semconv.EVALUATION_EXPLANATION, semconv.GRADE_INFO):
        told.texts.extend(_text("reward", name, attributes.get(key)))


def _add_episode(told: Told, attributes: Mapping[str, Any]) -> None:
    for prefix in _TAGS:
        for key, value in attributes.items():
            if key.startswith(prefix) and key != semconv.VARIANT_ID:
                _add_fact(told, "tag", f"{key.removeprefix(prefix)}={value}")
    _add_fact(told, "model", attributes.get(semconv.MODEL))
    args = attributes.get(semconv.ARGS)
    if args not in (None, "{}"):
        task = f"{attributes.get(semconv.SCENARIO) or ''} {args}"
        told.texts.extend(_text("messages", "task", task))
    told.texts.extend(_text("messages", "answer", attributes.get(semconv.ANSWER)))


def _add_call(told: Told, span: Decoded) -> None:
    _add_fact(told, "model", foreign.model_of(span.attributes))
    said = foreign.messages_of(span.attributes, span.events)
    if said is not None:
        told.texts.extend(_texts_of_all([*said[0], *said[1]]))


def _texts_of_all(messages: Iterable[Mapping[str, Any]]) -> Iterator[Text]:
    for message in messages:
        yield from texts_of(message)
