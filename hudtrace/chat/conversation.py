"""The turns of a model with the tools of an eval, the same for every API."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
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
    user_message,
)
from hudtrace.toolbox import run_together
from hudtrace.tools import ToolCall

Json = dict[str, Any]
MAX_STEPS = 20
_GOES_ON = "pause_turn"  # the model's server wants the conversation back as it is


@dataclass(frozen=True)
class ModelSettings:
    """Which model answers, and how it is asked.

    Raises TypeError or ValueError naming the argument that cannot be used.
    """

    client: ModelClient
    model: str
    system_prompt: str | None = None
    request: Mapping[str, Any] = field(default_factory=dict)
    max_steps: int | None = MAX_STEPS

    def __post_init__(self) -> None:
        model: object = self.model
        if not isinstance(model, str) or not model:
            raise TypeError(f"model={model!r:.80}: it is the model's name")
        if self.system_prompt is not None and not isinstance(self.system_prompt, str):
            raise TypeError(
                f"system_prompt={self.system_prompt!r:.80}: it is a text, or None"
            )
        steps = self.max_steps
        if steps is not None and (type(steps) is not int or steps < 1):
            raise ValueError(
                f"max_steps={steps!r}: it is a whole number of turns, at least 1"
            )
        self._check_request()

    def body(self, tools: Mapping[str, Any]) -> Json:
        """Return the JSON body of a request without messages, the tools in it.

        Tools of the user's own come on top.
        """
        dialect = self.client.dialect
        system = [text_message("system", self.system_prompt or "")]
        first = system if self.system_prompt else []
        body: Json = dialect.write_request(self.model, first, tools.values())
        body.setdefault(dialect.HISTORY, [])
        offered = [*body.get("tools", ()), *self.request.get("tools", ())]
        merged = {**body, **self.request}
        return {**merged, "tools": offered} if offered else merged

    def _check_request(self) -> None:
        request, dialect = self.request, self.client.dialect
        if not isinstance(request, Mapping):
            raise TypeError(
                f"request={request!r:.80}: it is a mapping of further options of the "
                f"API, for example {{'temperature': 0}}"
            )
        taken = {"model": "model=", "stream": "send_stream()"}
        taken[dialect.HISTORY] = "the task's prompt and send()"
        if self.system_prompt:
            said = dialect.write_request("", [text_message("system", "s")])
            for key in said.keys() - dialect.write_request("", []).keys():
                taken[key] = "system_prompt="
        for key in request:
            # Google's options are spelt in two ways.
            same = [k for k in taken if _folded(k) == _folded(key)]
            if same:
                raise ValueError(
                    f"request={{{key!r}: …}}: a chat sets this itself; use "
                    f"{taken[same[0]]} instead"
                )
        tools = request.get("tools", [])
        if not isinstance(tools, list | tuple):
            raise TypeError(
                f"request={{'tools': {tools!r:.80}}}: it is a list of tools in the "
                f"form of the API"
            )


class Conversation:
    """One conversation; each answer takes as many turns as the model needs.

    The first message holds the scenario's prompt. A message that fails (the
    provider's error, cancellation) leaves the conversation as it was before.
    Messages sent at the same time wait for each other. `last_text` is the
    model's last text, also of an answer that a limit has stopped.
    """

    def __init__(self, context: EvalContext, settings: ModelSettings) -> None:
        self.last_text: str | None = None
        self._context = context
        self._client = settings.client
        self._settings = settings
        self._body = settings.body(context.tools)
        self._begun = False
        self._lock = asyncio.Lock()

    async def answer(
        self, text: str | None, emit: Emit | None = None, **changes: Any
    ) -> ChatReply:
        """Return the model's answer to a message, its tools called on the way.

        With *emit* the answer is streamed and each piece handed on at once.
        *changes* are fields of `ModelSettings` that hold for this message alone;
        a `request` comes on top of the chat's own.
        Raises what the client raises, and ValueError without anything to say.
        """
        async with self._lock:
            settings = self._changed(changes)
            body = self._body
            if settings is not self._settings:
                body = settings.body(self._context.tools)
            written = self._client.dialect.write_messages([self._message(text)])
            with self._unless_it_fails() as history:
                history += written
                body = {**body, self._client.dialect.HISTORY: history}
                reply = await self._turns(body, settings.max_steps, emit)
            self._begun = True
            return reply

    def _changed(self, changes: Json) -> ModelSettings:
        given = {key: value for key, value in changes.items() if value is not None}
        if not given:
            return self._settings
        if "request" in given:
            given["request"] = {**self._settings.request, **given["request"]}
        return dataclasses.replace(self._settings, **given)

    def _message(self, text: str | None) -> Message:
        if not self._begun:
            return user_message(self._context.prompt, text)
        if text is None:
            raise ValueError(
                "send() without a text gives the model the scenario's prompt, which it "
                "has already; say something: send('...')"
            )
        return text_message("user", text)

    @contextmanager
    def _unless_it_fails(self) -> Iterator[list[Any]]:
        history: list[Any] = self._body[self._client.dialect.HISTORY]
        before, said = len(history), self.last_text
        try:
            yield history
        except BaseException as error:
            del history[before:]
            if isinstance(error, Exception) or self._context.stopped_by is None:
                self.last_text = said
            raise

    async def _turns(
        self, body: Json, max_steps: int | None, emit: Emit | None
    ) -> ChatReply:
        history: list[Any] = body[self._client.dialect.HISTORY]
        usage, text = Usage(), ""
        called = len(self._context.tool_calls)
        steps = 0
        while True:
            steps += 1
            async with self._context.turn():
                reply = await self._ask(body, emit)
                history += self._client.dialect.write_messages(reply.messages)
                usage += reply.usage or Usage()
                text = _said(reply) or text
                self.last_text = text or self.last_text
                calls = [_read_call(part) for part in reply.tool_calls]
                if calls:
                    history += await self._results(calls, emit)
            reason = reply.finish_reasons[0] if reply.finish_reasons else None
            goes_on = bool(calls) or reason == _GOES_ON
            if not goes_on or steps == max_steps:
                records = self._context.tool_calls[called:]
                records.sort(key=lambda record: record.span.start_time)
                stopped = "turns" if goes_on else None
                return ChatReply(text, records, reason, usage, stopped)

    async def _ask(self, body: Json, emit: Emit | None) -> ModelReply:
        if emit is None:
            return await self._client.ask(body)
        return await self._client.stream(body, lambda piece: emit(TextDelta(piece)))

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


def _folded(key: object) -> str:
    return str(key).replace("_", "").lower()


def _read_call(part: Part) -> ToolCall:
    arguments, problem = read_arguments(part.get("arguments"))
    return ToolCall(part.get("name") or "", arguments, part.get("id"), problem, part)


def _said(reply: ModelReply) -> str:
    """Return the text of an answer, or the words with which it was refused."""
    for message in reply.messages[:1]:
        refusals = [p for p in message["parts"] if p.get("type") == "refusal"]
        return text_of(message) or "\n".join(str(p.get("content")) for p in refusals)
    return ""
