"""The conversation of a model call that another instrumentor has recorded.

Read are the GenAI conventions of OpenTelemetry, old and new, in attributes and in
events; OpenInference; OpenLLMetry (Traceloop); Logfire and Pydantic AI; the AI SDK of
Vercel.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from hudtrace import semconv
from hudtrace.messages import Message, parts_in
from hudtrace.store.decode import DecodedEvent
from hudtrace.transcript import loose, numbered
from hudtrace.transcript.rows import detail

Attributes = Mapping[str, Any]
Said = tuple[list[Message], list[Message], list[Any]]

_OPENINFERENCE_KIND = "openinference.span.kind"
_VERCEL_OPERATION = "ai.operationId"
_TRACELOOP_TYPE = "llm.request.type"
_LOGFIRE_REQUEST, _LOGFIRE_RESPONSE = "request_data", "response_data"
#: Of which a span has one in its bytes if it may be a model call or a tool of theirs.
MARKS = (
    _OPENINFERENCE_KIND,
    _VERCEL_OPERATION,
    _TRACELOOP_TYPE,
    _LOGFIRE_REQUEST,
    semconv.CHOICE_EVENT,
    semconv.COMPLETION_EVENT,
)
OPERATIONS = frozenset(
    {semconv.OP_CHAT, semconv.OP_TEXT_COMPLETION, semconv.OP_GENERATE_CONTENT}
)


class Tool(NamedTuple):
    """What another instrumentor recorded of a tool call."""

    name: str
    id: str | None
    arguments: Any
    result: Any


def is_call(attributes: Attributes) -> bool:
    """Say whether a span is one call of a model, not what is around one."""
    operation = attributes.get(semconv.OPERATION)
    if operation is not None:
        return operation in OPERATIONS
    if _OPENINFERENCE_KIND in attributes:
        return bool(attributes[_OPENINFERENCE_KIND] == "LLM")
    vercel = attributes.get(_VERCEL_OPERATION)
    if vercel is not None:
        return str(vercel).endswith((".doGenerate", ".doStream"))
    if _TRACELOOP_TYPE in attributes:
        return attributes[_TRACELOOP_TYPE] in ("chat", "completion")
    return semconv.REQUEST_MODEL in attributes or _LOGFIRE_RESPONSE in attributes


def model_of(attributes: Attributes) -> str | None:
    """Return which model was called, as each of them names it."""
    for key in (semconv.REQUEST_MODEL, "llm.model_name", "ai.model.id"):
        if key in attributes:
            return str(attributes[key])
    return None


def tool_of(attributes: Attributes) -> Tool | None:
    """Return the tool call that a span is, None for other spans."""
    if attributes.get(semconv.OPERATION) == semconv.OP_EXECUTE_TOOL:
        return Tool(
            str(attributes.get(semconv.TOOL_NAME)),
            attributes.get(semconv.TOOL_CALL_ID),
            loose.loaded(attributes.get(semconv.TOOL_CALL_ARGUMENTS)),
            attributes.get(semconv.TOOL_CALL_RESULT),
        )
    if attributes.get(_VERCEL_OPERATION) == "ai.toolCall":
        name, call_id, arguments, result = (
            attributes.get(f"ai.toolCall.{key}")
            for key in ("name", "id", "args", "result")
        )
        return Tool(str(name), call_id, loose.loaded(arguments), loose.loaded(result))
    if attributes.get(_OPENINFERENCE_KIND) == "TOOL":
        arguments = attributes.get("tool.parameters", attributes.get("input.value"))
        return Tool(
            str(attributes.get("tool.name")),
            attributes.get("tool_call.id"),
            loose.loaded(arguments),
            attributes.get("output.value"),
        )
    return None


def messages_of(attributes: Attributes, events: Sequence[DecodedEvent]) -> Said | None:
    """Return what a model was given, what it answered, and its tools; None for nothing."""
    for read in (
        _conventions,
        _openinference,
        _openllmetry,
        _vercel,
        _logfire,
        _old_logfire,
    ):
        said = read(attributes)
        if said is not None and (said[0] or said[1]):
            return said
    return _events(events)


def _conventions(attributes: Attributes) -> Said | None:
    given, answered, system = (
        loose.loaded(attributes.get(key))
        for key in (
            semconv.INPUT_MESSAGES,
            semconv.OUTPUT_MESSAGES,
            semconv.SYSTEM_INSTRUCTIONS,
        )
    )
    before = [loose.message({"role": "system", "parts": system})] if system else []
    return (
        [*before, *loose.messages(given)],
        loose.messages(answered, "assistant"),
        loose.listed(attributes.get(semconv.TOOL_DEFINITIONS)),
    )


def _openinference(attributes: Attributes) -> Said | None:
    nested = numbered.nested(attributes, "llm.")
    given, answered = (
        [_unwrapped(each) for each in numbered.in_order(nested.get(key))]
        for key in ("input_messages", "output_messages")
    )
    given += [
        numbered.below(each, "prompt", "text")
        for each in numbered.in_order(nested.get("prompts"))
    ]
    answered += [
        numbered.below(each, "completion", "text")
        for each in numbered.in_order(nested.get("choices"))
    ]
    if not given and not answered:
        return None
    tools = [
        loose.loaded(numbered.below(each, "tool", "json_schema"))
        for each in numbered.in_order(nested.get("tools"))
    ]
    return (
        [loose.message(each) for each in given],
        [loose.message(each, "assistant") for each in answered],
        tools,
    )


def _unwrapped(given: Any) -> Any:
    """Take OpenInference's extra level out of everything in a message."""
    message = given.get("message", given) if isinstance(given, Mapping) else given
    if not isinstance(message, Mapping):
        return message
    calls = [
        numbered.below(each, "tool_call")
        for each in numbered.in_order(message.get("tool_calls"))
    ]
    parts = [
        each.get("message_content", each)
        for each in numbered.in_order(message.get("contents"))
        if isinstance(each, Mapping) and "tool_call" not in each
    ]
    content = parts or message.get("content")
    return {**message, "content": content, "tool_calls": calls}


def _openllmetry(attributes: Attributes) -> Said | None:
    given = numbered.in_order(numbered.nested(attributes, f"{semconv.OLD_PROMPT}."))
    answered = numbered.in_order(
        numbered.nested(attributes, f"{semconv.OLD_COMPLETION}.")
    )
    if not given and not answered:
        return None
    tools = numbered.in_order(numbered.nested(attributes, f"{semconv.OLD_FUNCTIONS}."))
    return (
        [loose.message(_with_calls(each)) for each in given],
        [loose.message(_with_calls(each), "assistant") for each in answered],
        tools,
    )


def _with_calls(given: Any) -> Any:
    if not isinstance(given, Mapping):
        return given
    return {**given, "tool_calls": numbered.in_order(given.get("tool_calls"))}


def _vercel(attributes: Attributes) -> Said | None:
    prompt = loose.loaded(attributes.get("ai.prompt"))
    given = loose.messages(attributes.get("ai.prompt.messages"))
    if not given and isinstance(prompt, Mapping):
        system = (
            [loose.message(prompt["system"], "system")] if "system" in prompt else []
        )
        given = [*system, *loose.messages(prompt.get("messages"))]
        given += loose.messages(prompt.get("prompt"))
    text, thought, calls, data = (
        attributes.get(f"ai.response.{key}", attributes.get(f"ai.result.{key}"))
        for key in ("text", "reasoning", "toolCalls", "object")
    )
    if not given and text is None and calls is None and data is None:
        return None
    answer = loose.message(
        {
            "role": "assistant",
            "content": text if text is not None else data,
            "reasoning": thought,
            "tool_calls": loose.loaded(calls),
        }
    )
    tools = loose.listed(attributes.get("ai.prompt.tools"))
    return given, [answer] if answer["parts"] else [], tools


def _logfire(attributes: Attributes) -> Said | None:
    """Read Pydantic AI's list of events, in the form before messages had parts."""
    events = loose.loaded(attributes.get("events"))
    if not isinstance(events, list):
        return None
    return _said_in([each for each in events if isinstance(each, Mapping)])


def _old_logfire(attributes: Attributes) -> Said | None:
    request = loose.loaded(attributes.get(_LOGFIRE_REQUEST))
    answer = loose.loaded(attributes.get(_LOGFIRE_RESPONSE))
    if not isinstance(request, Mapping):
        return None
    said = answer.get("message") if isinstance(answer, Mapping) else None
    system = [loose.message(request["system"], "system")] if "system" in request else []
    return (
        [*system, *loose.messages(request.get("messages"))],
        [loose.message(said, "assistant")] if said is not None else [],
        loose.listed(request.get("tools")),
    )


def _events(events: Iterable[DecodedEvent]) -> Said | None:
    plain = []
    for event in events:
        if event.name == semconv.OPERATION_DETAILS:
            return _conventions(event.attributes)
        whole = loose.loaded(event.attributes.get(semconv.EVENT_CONTENT))
        body = whole if isinstance(whole, Mapping) else event.attributes
        plain.append({**body, "event.name": event.name})
    return _said_in(plain)


def _said_in(events: Iterable[Mapping[str, Any]]) -> Said | None:
    """Read one event for each message, or one for all of them."""
    given: list[Message] = []
    answered: list[Message] = []
    for event in events:
        name = event.get("event.name")
        if name == semconv.PROMPT_EVENT:
            given += loose.messages(event.get(semconv.OLD_PROMPT))
        elif name == semconv.COMPLETION_EVENT:
            answered += loose.messages(event.get(semconv.OLD_COMPLETION), "assistant")
        elif name == semconv.CHOICE_EVENT:
            said = loose.loaded(event.get("message", event))
            answered.append(loose.message(said, "assistant"))
        elif name in semconv.MESSAGE_EVENTS:
            role = semconv.MESSAGE_EVENTS[str(name)]
            given.append(loose.message({**event, "role": event.get("role") or role}))
    return (given, answered, []) if given or answered else None


def message(
    db: sqlite3.Connection, trace_id: str, span_id: str, number: int
) -> Message | None:
    """Return one message of a span's own attributes, None if there is none."""
    known = detail(db, trace_id, span_id)
    said = messages_of(known.attributes, known.events)
    every = [*said[0], *said[1]] if said else [prompt_of(known.attributes)]
    return every[number] if number < len(every) else None


def prompt_of(attributes: Attributes) -> Message:
    """Return what a span was given, which need not be a model's: text, or parts."""
    given = attributes.get(semconv.INPUT_VALUE)
    parts = parts_in(loose.loaded(given))
    if parts is None:
        parts = [{"type": "text", "content": "" if given is None else str(given)}]
    return {"role": "user", "parts": parts}
