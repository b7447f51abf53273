"""`hud.run_scenario_chat`, its interactive sibling, and `hud.run_chat`."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import sys
from collections.abc import AsyncGenerator, Coroutine, Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, NoReturn, overload

from hudtrace.chat.clients import ModelClient
from hudtrace.chat.conversation import MAX_STEPS, Conversation, ModelSettings
from hudtrace.chat.events import ChatEvent, ChatReply, Done, Emit
from hudtrace.context import EvalContext, OnError
from hudtrace.errors import EvalFinished
from hudtrace.evaluation import Variant, check_options, eval
from hudtrace.result import EvalResult, Limits
from hudtrace.sync_eval import SyncEvalContext
from hudtrace.task import Task

if TYPE_CHECKING:
    from hudtrace.environment import Environment

ApiName = Literal["auto", "chat_completions", "responses", "anthropic", "gemini"]


async def run_scenario_chat(
    *,
    client: Any,
    model: str,
    task: Task | None = None,
    env: Environment | None = None,
    scenario: str | None = None,
    args: Mapping[str, Any] | None = None,
    api: ApiName = "auto",
    max_steps: int = MAX_STEPS,
    limits: Limits | None = None,
    system_prompt: str | None = None,
    request: Mapping[str, Any] | None = None,
    name: str | None = None,
    agent: str | None = None,
    variant: Variant | None = None,
    job: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_error: OnError = "record",
) -> EvalResult:
    """Have a model work on a task until it answers, and return the graded result.

    *client* is one of openai, anthropic or google-genai, sync or async; *api*
    chooses where it speaks several (`auto` takes Chat Completions for openai).
    The task is given whole, or as *env*, *scenario* and *args*. *system_prompt*
    goes before the scenario's prompt. *request* holds further options of the
    API's own, for example `{"temperature": 0}`. After *max_steps* turns the
    last text is graded, with `stopped_by="turns"`.

    What the client raises is the outcome `provider_error`, in `result.error`;
    with `on_error="raise"` it is raised. Other errors likewise; those of the
    scenario's set-up are always raised. Raises ValueError or TypeError for
    arguments that do not go together. Inside an eval of your own, and for jobs
    of many tasks, use `run_chat`.

    A sync client's call cannot be stopped: after a time limit its span comes
    late, and what it used is not in the result.
    """
    check_options({"limits": limits})
    limits = limits or Limits()
    settings = ModelSettings(
        ModelClient(client, api), model, system_prompt, request or {}, max_steps
    )
    turns = max_steps if limits.turns is None else min(max_steps, limits.turns)
    context = eval(
        _task_of(task, env, scenario, args),
        name=name,
        agent=agent,
        model=model,
        variant=variant,
        limits=dataclasses.replace(limits, turns=turns),
        job=job,
        metadata=metadata,
        on_error=on_error,
    )
    async with context:
        # The limit on turns stops it, and is then noted in the result.
        await _answer(context, dataclasses.replace(settings, max_steps=None))
    return context.result


@overload
def run_chat(
    ctx: EvalContext,
    *,
    client: Any,
    model: str,
    api: ApiName = "auto",
    max_steps: int | None = MAX_STEPS,
    system_prompt: str | None = None,
    request: Mapping[str, Any] | None = None,
) -> Coroutine[Any, Any, ChatReply]: ...
@overload
def run_chat(
    ctx: SyncEvalContext,
    *,
    client: Any,
    model: str,
    api: ApiName = "auto",
    max_steps: int | None = MAX_STEPS,
    system_prompt: str | None = None,
    request: Mapping[str, Any] | None = None,
) -> ChatReply: ...
def run_chat(
    ctx: EvalContext | SyncEvalContext,
    *,
    client: Any,
    model: str,
    api: ApiName = "auto",
    max_steps: int | None = MAX_STEPS,
    system_prompt: str | None = None,
    request: Mapping[str, Any] | None = None,
) -> Coroutine[Any, Any, ChatReply] | ChatReply:
    """Have a model work on the task of an open eval, and hand in its answer.

    For the body of `hud.eval` and of `@hud.traced_eval(tasks)`: in async code
    `await hud.run_chat(ctx, ...)`, in sync code the same without `await`.
    Arguments are those of `run_scenario_chat`. Raises what the client raises; the
    eval then ends as `provider_error`.
    """
    if not isinstance(ctx, EvalContext | SyncEvalContext):
        raise TypeError(
            f"run_chat({ctx!r:.80}) takes the context of an open eval, the ctx of "
            f"'async with hud.eval(task) as ctx'; a task alone has "
            f"hud.run_scenario_chat(task=task, client=client, model=model)"
        )
    settings = ModelSettings(
        ModelClient(client, api), model, system_prompt, request or {}, max_steps
    )
    if isinstance(ctx, SyncEvalContext):
        start = functools.partial(_answer, ctx._context, settings)
        return ctx._go_on("run_chat").run_sync(start)
    return _answer(ctx, settings)


def run_scenario_chat_interactive(
    *,
    client: Any,
    model: str,
    task: Task | None = None,
    env: Environment | None = None,
    scenario: str | None = None,
    args: Mapping[str, Any] | None = None,
    api: ApiName = "auto",
    max_steps: int | None = MAX_STEPS,
    limits: Limits | None = None,
    system_prompt: str | None = None,
    request: Mapping[str, Any] | None = None,
    name: str | None = None,
    agent: str | None = None,
    variant: Variant | None = None,
    job: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_error: OnError = "raise",
) -> ScenarioChat:
    """Open a chat about a task: `async with ... as chat`, then `await chat.send(text)`.

    Takes what `run_scenario_chat` takes; *max_steps* is for each message.
    Leaving the block hands in the last answer and grades it, unless
    `await chat.finish()` has done so before.
    """
    settings = ModelSettings(
        ModelClient(client, api), model, system_prompt, request or {}, max_steps
    )
    context = eval(
        _task_of(task, env, scenario, args),
        name=name,
        agent=agent,
        model=model,
        variant=variant,
        limits=limits,
        job=job,
        metadata=metadata,
        on_error=on_error,
    )
    return ScenarioChat(context, settings)


class ScenarioChat:
    """A chat with a model about one task; made by `run_scenario_chat_interactive`.

    The scenario's prompt and the first message go to the model as one.
    """

    def __init__(self, context: EvalContext, settings: ModelSettings) -> None:
        self.context = context
        self._settings = settings
        self._conversation: Conversation | None = None

    @property
    def trace_id(self) -> str:
        """The trace's id, 32 hexadecimal digits."""
        return self.context.trace_id

    @property
    def trace_url(self) -> str:
        """Where the trace can be opened."""
        return self.context.trace_url

    @property
    def result(self) -> EvalResult:
        """The result; raises `EvalNotFinished` while the chat goes on."""
        return self.context.result

    async def send(
        self,
        text: str | None = None,
        *,
        model: str | None = None,
        request: Mapping[str, Any] | None = None,
        max_steps: int | None = None,
    ) -> ChatReply:
        """Send a message and return the answer; tools are called on the way.

        Without *text* the model gets the scenario's prompt alone, which can
        only come first. *model*, *request* and *max_steps* hold for this message
        alone. Raises what the client raises; the message then counts
        as not sent. Raises `EvalFinished` after `finish`.
        """
        return await self._send(
            text, None, model=model, request=request, max_steps=max_steps
        )

    async def send_stream(
        self,
        text: str | None = None,
        *,
        model: str | None = None,
        request: Mapping[str, Any] | None = None,
        max_steps: int | None = None,
    ) -> AsyncGenerator[ChatEvent, None]:
        """Send a message and yield what comes back, as it comes; takes what `send` takes.

        Yields `TextDelta`, `ToolCalled` and `ToolReturned`, and `Done` with the
        reply at the end. Closing the generator stops the model; the message
        then counts as not sent.
        """
        events: asyncio.Queue[ChatEvent | None] = asyncio.Queue()
        # A task of its own, since nothing may stay current across a yield.
        changes = {"model": model, "request": request, "max_steps": max_steps}
        answering = asyncio.create_task(self._send(text, events.put_nowait, **changes))
        answering.add_done_callback(lambda _: events.put_nowait(None))
        try:
            while (event := await events.get()) is not None:
                yield event
            yield Done(await answering)
        finally:
            answering.cancel()
            await asyncio.wait([answering])

    async def finish(self, answer: Any = None) -> EvalResult:
        """Hand in *answer*, or else the model's last one, and return the result.

        Calling it again returns the same result.
        """
        if not self.context.has_result:
            await self._submit(answer)
        return await self.context.finish()

    async def __aenter__(self) -> ScenarioChat:
        """Open the trace and run the scenario to its prompt."""
        await self.context.__aenter__()
        try:
            self._conversation = Conversation(self.context, self._settings)
        except BaseException:
            await self.context.__aexit__(*sys.exc_info())
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> bool | None:
        """Hand in the last answer if nothing was, and grade it."""
        if not self.context.has_result:
            await self._submit(None)
        return await self.context.__aexit__(kind, error, trace)

    def __enter__(self) -> NoReturn:
        """Refuse sync code: its form is `hud.run_chat` in an eval."""
        raise TypeError(
            "a chat is for async code: 'async with "
            "hud.run_scenario_chat_interactive(...) as chat'; sync code has "
            "'with hud.eval(task) as ctx: hud.run_chat(ctx, client=client, model=model)'"
        )

    def __exit__(self, *exc_info: object) -> None:
        """Do nothing; `__enter__` has refused."""

    async def _send(
        self, text: str | None, emit: Emit | None, **changes: Any
    ) -> ChatReply:
        said: object = text
        if said is not None and (not isinstance(said, str) or not said):
            raise TypeError(f"send({said!r:.80}): a message is a text, and not empty")
        if self._conversation is None:
            raise EvalFinished(
                "this chat is not open: use it as "
                "'async with hud.run_scenario_chat_interactive(...) as chat'"
            )
        if self.context.has_result:
            raise EvalFinished(
                f"send came after the end of the chat (trace {self.trace_id}); open a "
                f"new one"
            )
        return await self._conversation.answer(text, emit, **changes)

    async def _submit(self, answer: Any) -> None:
        if answer is None and self._conversation is not None:
            answer = self._conversation.last_text
        if answer is not None:
            await self.context.submit(answer)


async def _answer(context: EvalContext, settings: ModelSettings) -> ChatReply:
    """Answer the prompt, and hand in what was said last, also if a limit stops it."""
    conversation = Conversation(context, settings)
    try:
        return await conversation.answer(None)
    finally:
        if conversation.last_text is not None:
            await context.submit(conversation.last_text)


def _task_of(
    task: Task | None,
    env: Environment | None,
    scenario: str | None,
    args: Mapping[str, Any] | None,
) -> Task:
    if task is not None:
        if not isinstance(task, Task):
            raise TypeError(
                f"task={task!r:.80}: make it by calling an environment: "
                f"task=env('name', arg=value)"
            )
        if (env, scenario, args) != (None, None, None):
            raise ValueError(
                "a chat takes task=..., or env=..., scenario=... and args=...; not "
                "both. A task has its arguments already: task=env('name', arg=value)"
            )
        return task
    if env is None or scenario is None:
        raise ValueError(
            "a chat needs a task: task=env('name', arg=value), or env=env, "
            "scenario='name' and args={'arg': value}"
        )
    given: object = args
    if given is not None and not isinstance(given, Mapping):
        raise TypeError(
            f"args={given!r:.80}: it is a mapping of the scenario's arguments, for "
            f"example {{'company': 'HUD'}}"
        )
    return env(scenario, **(args or {}))
