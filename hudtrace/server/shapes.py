"""The JSON that clients get: OpenAI's shapes, and what is ours in `hud`."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hudtrace.dialects import openai_chat
from hudtrace.messages import encodable
from hudtrace.server.errors import shown
from hudtrace.tracing.spans import type_name

if TYPE_CHECKING:
    from hudtrace.chat.events import ChatReply
    from hudtrace.delivery.ledger import DeliveryReport
    from hudtrace.environment import Environment
    from hudtrace.result import EvalResult
    from hudtrace.scenario import Scenario
    from hudtrace.server.session import Session

Json = dict[str, Any]
_FINISH = ("stop", "length", "content_filter")


def encode(value: Any) -> bytes:
    """Return *value* as JSON; what JSON cannot say becomes null or text."""
    from pydantic_core import to_json

    try:
        return to_json(value, fallback=str, inf_nan_mode="null")
    except (ValueError, UnicodeError):
        import json

        return encodable(json.dumps(value, ensure_ascii=False, default=str)).encode()


def meta_of(session: Session) -> Json:
    """Return which session and which trace an answer belongs to."""
    return {
        **_ids(session.id),
        "trace_id": session.trace_id,
        "trace_url": session.trace_url,
    }


def calls_of(reply: ChatReply) -> list[Json]:
    """Return the tool calls that the server made for an answer."""
    return [
        {
            "id": record.id,
            "name": record.name,
            "arguments": record.arguments,
            "result": record.result.text,
            "is_error": record.result.is_error,
        }
        for record in reply.tool_calls
    ]


def completion(session: Session, reply: ChatReply, model: str) -> Json:
    """Return an answer as a `chat.completion`."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": reply.answer, "refusal": None},
        "logprobs": None,
        "finish_reason": finish_reason(reply),
    }
    return {
        **head(f"chatcmpl-{new_id()}", "chat.completion", model),
        "choices": [choice],
        "usage": openai_chat.write_usage(reply.usage),
        "hud": answer_meta(session, reply),
    }


def answer_meta(session: Session, reply: ChatReply) -> Json:
    """Return the `hud` object of an answer."""
    return {
        **meta_of(session),
        "tool_calls": calls_of(reply),
        "stopped_by": reply.stopped_by,
    }


def head(id: str, kind: str, model: str) -> Json:
    """Return what a completion and each of its chunks begin with."""
    return {"id": id, "object": kind, "created": int(time.time()), "model": model}


def finish_reason(reply: ChatReply) -> str:
    """Return why an answer ended, in OpenAI's words; tools were called by us."""
    if reply.stopped_by is not None:
        return "length"  # a limit has
    return reply.finish_reason if reply.finish_reason in _FINISH else "stop"


def report_of(id: str, result: EvalResult) -> Json:
    """Return what finishing a session answers."""
    grade, error = result.grade, result.error
    trace = {"trace_id": result.trace_id, "trace_url": result.trace_url}
    return {
        **_ids(id),
        "answer": result.answer,
        "reward": result.reward,
        "outcome": result.outcome,
        "stopped_by": result.stopped_by,
        "subscores": [dataclasses.asdict(s) for s in grade.subscores] if grade else [],
        "explanation": grade.explanation if grade else None,
        "error": None if error is None else _told(error, result.outcome),
        "usage": openai_chat.write_usage(result.usage),
        "turns": result.turns,
        "delivery": _delivery_of(result.delivery),
        **trace,
        "hud": {**_ids(id), **trace},
    }


def scenario_list(environment: Environment) -> list[Json]:
    """Return what can be begun, and with which arguments; never a grader's source."""
    return [
        _scenario(environment.name, scenario)
        for scenario in environment.scenarios.values()
    ]


def session_list(sessions: Sequence[Session], *, whole_ids: bool) -> list[Json]:
    """Return the open sessions; whoever has a whole id can send to it."""
    return [
        {
            **_ids(session.id if whole_ids else f"{session.id[:8]}…"),
            "trace_id": session.trace_id,
            "scenario": session.scenario,
            "idle_seconds": int(session.idle_seconds),
            "busy": session.busy,
        }
        for session in sessions
    ]


def new_id() -> str:
    """Return an id for an answer."""
    import secrets

    return secrets.token_hex(12)


def _told(error: BaseException, outcome: str) -> str:
    """Return the type of *error*: a grader's message could tell the answer."""
    named = type_name(error)
    return f"{named}: {shown(error)}" if outcome == "provider_error" else named


def _ids(id: str) -> Json:
    return {"session_id": id, "thread_id": id, "conversation_id": id}


def _scenario(environment: str, scenario: Scenario[Any]) -> Json:
    schema = scenario.parameters
    required = list(schema.get("required", ()))
    return {
        "name": f"{environment}:{scenario.name}",
        "short_name": scenario.name,
        "description": scenario.description or None,
        "required_args": required,
        "arguments": [
            {
                "name": name,
                "type": _type(each),
                "required": name in required,
                "description": each.get("description"),
                "default": each.get("default"),
            }
            for name, each in schema.get("properties", {}).items()
        ],
        "input_schema": schema,
        "reward_range": scenario.reward_range,
        "digest": scenario.grader_digest,
    }


def _type(schema: Mapping[str, Any]) -> Any:
    if "type" in schema:
        return schema["type"]
    options = [o.get("type") for o in schema.get("anyOf", ()) if o.get("type")]
    return options or None


def _delivery_of(report: DeliveryReport | None) -> Json | None:
    if report is None:
        return None
    return {
        "complete": report.complete,
        "durable": report.durable,
        "started": report.started,
        "stored": report.stored,
        "dropped": report.dropped,
        "pending": report.pending,
        "exporters": {k: dataclasses.asdict(v) for k, v in report.exporters.items()},
    }
