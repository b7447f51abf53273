"""The contract that every framework keeps, whatever its agents look like.

A test module derives a class from `Contract`, named `Test…`, that says how to run an
agent; pytest runs the promises below on it. `framework` imports the framework.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any, Literal

import pydantic
import pytest

import hudtrace as hud
from hudtrace.testing import (
    CapturedSpan,
    ScriptedModel,
    ScriptedReply,
    call,
    captured_spans,
    say,
    span_tree,
    tool_results,
)

#: One pixel.
PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAA"
    "AABJRU5ErkJggg=="
)


def framework(module: str) -> Any:
    """Import a framework, or skip the test module that asks for it.

    Where `make frameworks` runs the tests, what is missing is an error.
    """
    if "HUDTRACE_FRAMEWORKS_SET" in os.environ:
        return import_module(module)
    return pytest.importorskip(
        module, reason=f"{module} is not here; make frameworks runs this"
    )


# The harder environment -------------------------------------------------------------


class Filters(pydantic.BaseModel):
    """What to look at."""

    role: Literal["ceo", "cto", "founder"]
    tags: list[str] = []
    min_age: int | None = pydantic.Field(None, ge=0, le=150)


class Query(pydantic.BaseModel):
    """What to look for."""

    name: str = pydantic.Field(description="The name, or a part of it")
    filters: Filters


class Home(pydantic.BaseModel):
    """An address at home."""

    kind: Literal["home"]
    street: str


class Work(pydantic.BaseModel):
    """An address at work."""

    kind: Literal["work"]
    company: str
    floors: list[int]


#: Arguments of `search` that use everything a schema may have.
HARD: dict[str, Any] = {
    "query": {"name": "Jay", "filters": {"role": "ceo", "tags": ["a", "b"]}},
    "ident": "x-1",
    "limit": 3,
    "sort": "desc",
    "meta": {"lang": "en", "Größe": "1,5 €"},
    "address": {"kind": "work", "company": "HUD", "floors": [1, 2]},
    "matrix": [[1.5, 2.0], [3.25]],
}
#: As few as can be, with the other branch of each union.
BARE: dict[str, Any] = {
    "query": {"name": "", "filters": {"role": "founder", "min_age": 7}},
    "ident": 12,
    "address": {"kind": "home", "street": 'Main St "1"'},
}


class People:
    """The harder environment, and what its tools received."""

    def __init__(self) -> None:
        self.received: list[dict[str, Any]] = []
        self.running = self.most_running = self.awaited = 0
        self.env = env = hud.Environment("people")

        @env.tool
        def search(
            query: Query,
            ident: int | str,
            address: Home | Work,
            limit: int = 5,
            sort: Literal["asc", "desc"] = "asc",
            meta: dict[str, str] | None = None,
            matrix: list[list[float]] | None = None,
        ) -> str:
            """Search people.

            Args:
                query: What to look for.
                limit: How many at most.
            """
            assert isinstance(query, Query)
            assert isinstance(address, Home | Work)
            self.received.append(
                {
                    "query": query.model_dump(exclude_unset=True),
                    "ident": ident,
                    "address": address.model_dump(),
                    "limit": limit,
                    "sort": sort,
                    "meta": meta,
                    "matrix": matrix,
                }
            )
            return f"found {query.name} by {ident}"

        @env.tool
        def photo(person: str) -> hud.Image:
            """Take a photo of a person."""
            return hud.Image(PNG)

        @env.tool
        def broken(reason: str) -> str:
            """Fail."""
            raise hud.ToolError(f"this tool is broken: {reason}")

        @env.tool
        def outage(why: str) -> str:
            """Fail as the environment does."""
            raise hud.EnvironmentFailure(why)

        @env.tool
        async def slow(label: str) -> str:
            """Take a while; or until as many run at once as a test waits for."""
            self.running += 1
            self.most_running = max(self.most_running, self.running)
            await asyncio.sleep(0.1)
            for _ in range(300):
                if self.most_running >= self.awaited:
                    break
                await asyncio.sleep(0.01)
            self.running -= 1
            return f"{label} is done"

        @env.scenario("errand")
        async def errand() -> Any:
            answer = yield "Do your errand."
            yield 1.0 if answer and "all done" in str(answer) else 0.0

        self.task = errand()


def tree(model: str, *turns: Sequence[str], env: str = "people:errand") -> str:
    """Draw the spans of an episode: for each turn the tools that it called."""
    lines = [f"eval {env} reward=1.0 outcome=scored", "├─ setup"]
    lines.append("├─ invoke_agent agent")
    for number, tools in enumerate(turns, 1):
        last = number == len(turns)
        lines.append(f"│  {'└─' if last else '├─'} turn {number}")
        below = [f"chat {model}", *(f"execute_tool {tool}" for tool in tools)]
        for at, name in enumerate(below):
            mark = "└─" if at == len(below) - 1 else "├─"
            lines.append(f"│  {' ' if last else '│'}  {mark} {name}")
    return "\n".join([*lines, "└─ reward score=1.0"])


def check_trace(
    spans: list[CapturedSpan], result: hud.EvalResult, expected: str
) -> None:
    """Reward 1.0, one trace, the expected tree: the right parent for every span."""
    assert result.reward == 1.0
    assert {span.trace_id for span in spans} == {result.trace_id}
    assert span_tree(spans) == expected


@pytest.mark.timeout(60)
class Contract:
    """What holds for every framework; a subclass says how to run an agent."""

    #: Whether one reply may ask for several calls, and whether they run together.
    several_calls = True
    together = True
    #: Whether a tool's image reaches the model as one.
    images = True
    #: What ends the agent where the model asks for a tool that there is not; None
    #: if the model is told.
    unknown_tool: type[Exception] | None = None

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        """Run an agent with the tools of *ctx*; return what goes to `ctx.submit`."""
        raise NotImplementedError

    def ask(self, *calls: tuple[str, Mapping[str, Any]]) -> ScriptedReply:
        """Make the model's reply that asks for tool calls."""
        return call(*calls)

    def answer(self, text: str) -> ScriptedReply:
        """Make the model's reply that ends the agent."""
        return say(text)

    def tree(self, model: str, *turns: Sequence[str]) -> str:
        """Draw the spans that an episode has."""
        return tree(model, *turns)

    async def episode(
        self, people: People, *replies: ScriptedReply
    ) -> tuple[hud.EvalContext, ScriptedModel, list[CapturedSpan]]:
        """Run one eval with a scripted model."""
        script = [*replies, self.answer("all done")]
        with ScriptedModel(script) as model, captured_spans() as spans:
            async with hud.eval(people.task) as ctx:
                await ctx.submit(await self.run(ctx, model))
        assert len(model.requests) == len(script)
        assert ctx.answer == "all done"
        return ctx, model, spans

    @pytest.mark.parametrize("arguments", [HARD, BARE], ids=["hard", "bare"])
    async def test_arguments(self, arguments: dict[str, Any]) -> None:
        """Arguments of every kind arrive exactly as the model sent them."""
        people = People()
        ctx, model, spans = await self.episode(people, self.ask(("search", arguments)))
        check_trace(spans, ctx.result, self.tree(model.model, ["search"], []))
        (record,) = ctx.tool_calls
        assert record.arguments == arguments
        assert json.dumps(record.arguments) == json.dumps(arguments)
        defaults = {"limit": 5, "sort": "asc", "meta": None, "matrix": None}
        assert people.received == [{**defaults, **arguments}]
        found = f"found {arguments['query']['name']} by {arguments['ident']}"
        assert found in self.results(model)[0]

    async def test_schema(self) -> None:
        """The model is told of every tool, its description and its whole schema."""
        people = People()
        _, model, _ = await self.episode(people)
        sent = json.dumps(model.requests[0])
        for word in ("search", "Search people.", "photo", "broken", "slow"):
            assert word in sent
        for word in ("founder", "min_age", "What to look for.", "street", "floors"):
            assert word in sent

    async def test_a_failing_tool(self) -> None:
        """What a tool raises is told to the model, and the agent goes on."""
        people = People()
        ctx, model, spans = await self.episode(
            people, self.ask(("broken", {"reason": "rust"}))
        )
        assert "this tool is broken: rust" in self.results(model)[0]
        assert ctx.result.reward == 1.0
        (tool,) = [span for span in spans if span.name == "execute_tool broken"]
        assert tool.status == 2
        expected = self.tree(
            model.model, ["broken error=hudtrace.errors.ToolError"], []
        )
        check_trace(spans, ctx.result, expected)

    async def test_wrong_arguments(self) -> None:
        """Arguments that do not fit are told to the model, field by field."""
        people = People()
        wrong = {**BARE, "query": {"name": "x", "filters": {"role": "king"}}}
        ctx, model, _ = await self.episode(people, self.ask(("search", wrong)))
        assert "role" in self.results(model)[0]
        assert people.received == []
        assert ctx.result.reward == 1.0

    async def test_parallel_calls(self) -> None:
        """Several calls of one reply are all answered, at the same time if may be."""
        if not self.several_calls:
            pytest.skip("one call at a time is all that there is")
        people = People()
        people.awaited = 3 if self.together else 0
        labels = ["one", "two", "three"]
        ctx, model, spans = await self.episode(
            people, self.ask(*(("slow", {"label": label}) for label in labels))
        )
        check_trace(spans, ctx.result, self.tree(model.model, ["slow"] * 3, []))
        results = self.results(model)
        assert len(results) == 3
        for label in labels:
            assert any(f"{label} is done" in result for result in results)
        assert (people.most_running == 3) is self.together

    async def test_an_image(self) -> None:
        """An image that a tool returns goes on to the model."""
        people = People()
        ctx, model, spans = await self.episode(
            people, self.ask(("photo", {"person": "Jay"}))
        )
        check_trace(spans, ctx.result, self.tree(model.model, ["photo"], []))
        encoded = base64.b64encode(PNG).decode()
        assert (encoded in json.dumps(model.requests[-1])) is self.images
        assert self.images or "[image: image/png" in self.results(model)[0]

    async def test_an_unknown_tool(self) -> None:
        """The model is told that there is no such tool, or the agent ends with it."""
        people = People()
        reply = self.ask(("serach", {"name": "x"}))
        if self.unknown_tool is None:
            ctx, _, _ = await self.episode(people, reply)
            assert ctx.result.reward == 1.0
            return
        with ScriptedModel([reply]) as model, pytest.raises(self.unknown_tool):
            async with hud.eval(people.task) as ctx:
                await self.run(ctx, model)
        assert ctx.result.outcome == "agent_error"

    async def test_a_failing_environment(self) -> None:
        """Where the environment fails, the episode says so and has no reward."""
        people = People()
        replies = [self.ask(("outage", {"why": "no power"})), self.answer("all done")]
        with ScriptedModel(replies) as model:
            async with hud.eval(people.task, on_error="record") as ctx:
                await ctx.submit(await self.run(ctx, model))
        assert ctx.result.outcome == "environment_error"
        assert ctx.result.reward is None

    async def test_many_turns(self) -> None:
        """Each turn has its model call and the tool calls that it asked for."""
        people = People()
        ctx, model, spans = await self.episode(
            people,
            self.ask(("slow", {"label": "one"})),
            self.ask(("search", BARE)),
            self.ask(("slow", {"label": "two"})),
        )
        expected = self.tree(model.model, ["slow"], ["search"], ["slow"], [])
        check_trace(spans, ctx.result, expected)

    async def test_evals_at_the_same_time(self) -> None:
        """Episodes side by side keep their spans apart."""
        people = [People() for _ in range(5)]
        script = [self.ask(("slow", {"label": "one"})), self.answer("all done")]
        models = [ScriptedModel(script).start() for _ in people]

        async def one(person: People, model: ScriptedModel) -> hud.EvalResult:
            async with hud.eval(person.task) as ctx:
                await ctx.submit(await self.run(ctx, model))
            return ctx.result

        with captured_spans() as spans:
            results = await asyncio.gather(*map(one, people, models))
        for model, result in zip(models, results, strict=True):
            model.close()
            own = [span for span in spans if span.trace_id == result.trace_id]
            check_trace(own, result, self.tree(model.model, ["slow"], []))

    def test_in_a_loop_of_its_own(self) -> None:
        """The agent runs in another loop than the eval's: a sync eval's body starts it."""
        people = People()
        script = [
            self.ask(("slow", {"label": "one"})),
            self.ask(("search", HARD)),
            self.answer("all done"),
        ]
        with ScriptedModel(script) as model, captured_spans() as spans:
            with hud.eval(people.task) as ctx:
                ctx.submit(asyncio.run(self.run(ctx, model)))  # type: ignore[arg-type]
        assert ctx.answer == "all done"
        check_trace(spans, ctx.result, self.tree(model.model, ["slow"], ["search"], []))

    def results(self, model: ScriptedModel) -> list[str]:
        """Return the tools' results as the last request has them."""
        return tool_results(model.requests[-1])  # type: ignore[arg-type]


class SyncContract(Contract):
    """What holds besides where an agent is run by a sync function.

    The promises of `Contract` are kept in the thread of the eval's own loop, which
    that function blocks.
    """

    def run_sync(self, ctx: Any, model: ScriptedModel) -> Any:
        """Run an agent with the tools of *ctx*; return what goes to `ctx.submit`."""
        raise NotImplementedError

    async def run(self, ctx: hud.EvalContext, model: ScriptedModel) -> Any:
        """Run an agent, and block the loop meanwhile."""
        return self.run_sync(ctx, model)

    def test_a_sync_eval(self) -> None:
        """The same agent in `with hud.eval(task)`, where no loop runs."""
        people = People()
        script = [
            self.ask(("slow", {"label": "one"})),
            self.ask(("search", HARD)),
            self.answer("all done"),
        ]
        with ScriptedModel(script) as model, captured_spans() as spans:
            with hud.eval(people.task) as ctx:
                ctx.submit(self.run_sync(ctx, model))
        assert ctx.answer == "all done"
        check_trace(spans, ctx.result, self.tree(model.model, ["slow"], ["search"], []))

    def test_sync_evals_in_threads(self) -> None:
        """Sync evals side by side in threads all come to their end."""
        people = [People() for _ in range(8)]
        script = [self.ask(("slow", {"label": "one"})), self.answer("all done")]
        models = [ScriptedModel(script).start() for _ in people]

        def one(person: People, model: ScriptedModel) -> hud.EvalResult:
            with hud.eval(person.task) as ctx:
                ctx.submit(self.run_sync(ctx, model))
            return ctx.result

        with captured_spans() as spans, ThreadPoolExecutor(len(people)) as threads:
            results = list(threads.map(one, people, models))
        for model, result in zip(models, results, strict=True):
            model.close()
            own = [span for span in spans if span.trace_id == result.trace_id]
            check_trace(own, result, self.tree(model.model, ["slow"], []))
