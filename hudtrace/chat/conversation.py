"""The turns of a model with the tools of an eval, the same for every API."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from hudtrace.chat.clients import ModelClient
from hudtrace.chat.events import ChatReply, Emit, TextDelta, ToolCalled, ToolReturned
from hudtrace.context import EvalContext
from hudtrace.dialects.fields import read_arguments
from hudtrace.messages import (
    Message,
    ModelReply,
    Part,
    Usage,
    text_message,
    text_of,
)
from hudtrace.toolbox import run_together
from hudtrace.tools import ToolCall

Json = dict[str, Any]
_GOES_ON = "pause_turn"  # the model's server wants the conversation back as it is


class Conversation:
    """One conversation; each answer takes as many turns as the model needs.

    A message that fails (the provider's error, cancellation) leaves the
    conversation as it was before. Messages sent at the same time wait for
    each other.
    """

    def __init__(
        self,
        context: EvalContext,
        client: ModelClient,
        *,
        model: str,
        system_prompt: str | None = None,
        request: Mapping[str, Any] | None = None,
        max_steps: int | None = None,
    ) -> None:
        self.last_text: str | None = None
        self._context = context
        self._client = client
        self._max_steps = max_steps
        first = [text_message("system", system_prompt)] if system_prompt else []
        self._body = _with_options(
            client.dialect.write_request(model, first, context.tools.values()),
            request or {},
        )
        self._body.setdefault(client.dialect.HISTORY, [])
        self._lock = asyncio.Lock()

    async def answer(self, message: Message, emit: Emit | None = None) -> ChatReply:
        """Return the model's answer to *message*, its tools called on the way.

        With *emit* the answer is streamed and each piece handed on at once.
        Raises what the client raises.
        """
        async with self._lock:
            history = self._body[self._client.dialect.HISTORY]
            before = len(history)
            try:
                history += self._client.dialect.write_messages([message])
                return await self._turns(history, emit)
            except BaseException:
                del history[before:]
                raise

    async def _turns(self, history: list[Any], emit: Emit | None) -> ChatReply:
        usage, text = Usage(), ""
        called = len(self._context.tool_calls)
        steps = 0
        while True:
            steps += 1
            async with self._context.turn():
                reply = await self._ask(emit)
                history += self._client.dialect.write_messages(reply.messages)
                usage += reply.usage or Usage()
                text = _said(reply) or text
                self.last_text = text or self.last_text
                calls = [_read_call(part) for part in reply.tool_calls]
                if calls:
                    history += await self._results(calls, emit)
            reason = reply.finish_reasons[0] if reply.finish_reasons else None
            goes_on = bool(calls) or reason == _GOES_ON
            if not goes_on or steps == self._max_steps:
                tool_calls = self._context.tool_calls[called:]
                stopped = "turns" if goes_on else None
                return ChatReply(text, tool_calls, reason, usage, stopped)

    async def _ask(self, emit: Emit | None) -> ModelReply:
        if emit is None:
            return await self._client.ask(self._body)
        return await self._client.stream(
            self._body, lambda piece: emit(TextDelta(piece))
        )

    async def _results(self, calls: list[ToolCall], emit: Emit | None) -> list[Any]:
        dialect = self._client.dialect

        async def run(call: ToolCall) -> Any:
            if emit is not None:
                emit(ToolCalled(call.name, call.arguments, call.id))
            result = await self._context.call_tool(call)
            if emit is not None:
                emit(ToolReturned(call.name, result.text, result.is_error, call.id))
            return dialect.reply(call, result)

        results = await run_together(run(call) for call in calls)
        written: list[Any] = dialect.write_results(results)
        return written


def _read_call(part: Part) -> ToolCall:
    arguments, problem = read_arguments(part.get("arguments"))
    return ToolCall(part.get("name") or "", arguments, part.get("id"), problem, part)


def _said(reply: ModelReply) -> str:
    """Return the text of an answer, or the words with which it was refused."""
    for message in reply.messages[:1]:
        refusals = [p for p in message["parts"] if p.get("type") == "refusal"]
        return text_of(message) or "\n".join(str(p.get("content")) for p in refusals)
    return ""


def _with_options(body: Json, options: Mapping[str, Any]) -> Json:
    """Return *body* with the user's own options; tools of theirs come on top."""
    tools = [*body.get("tools", ()), *options.get("tools", ())]
    merged = {**body, **options}
    if tools:
        merged["tools"] = tools
    return merged
