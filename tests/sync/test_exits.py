"""What ends the process reaches the caller of a sync eval, and nobody else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

import hudtrace as hud

pytestmark = [pytest.mark.usefixtures("store"), pytest.mark.timeout(60)]
EXITS = [SystemExit, KeyboardInterrupt]


@pytest.fixture(params=EXITS, ids=lambda kind: kind.__name__)
def kind(request: pytest.FixtureRequest) -> type[BaseException]:
    """What is raised."""
    found: type[BaseException] = request.param
    return found


@pytest.fixture
def env(kind: type[BaseException]) -> hud.Environment:
    """An environment whose parts end the process."""
    env = hud.Environment("exits")

    @env.tool
    async def leave() -> None:
        """End the process."""
        await asyncio.sleep(0)
        raise kind("tool")

    @env.tool
    async def stay() -> str:
        """Do nothing."""
        return "here"

    @env.scenario("fine")
    async def fine() -> AsyncIterator[object]:
        yield "Go."
        yield 1.0

    @env.scenario("set-up")
    async def set_up() -> AsyncIterator[object]:
        raise kind("set-up")
        yield

    @env.scenario("set-up-sync")
    def set_up_sync() -> Iterator[object]:
        raise kind("set-up")
        yield

    @env.scenario("grade")
    async def grade() -> AsyncIterator[object]:
        yield "Go."
        raise kind("grade")

    @env.scenario("grade-sync")
    def grade_sync() -> Iterator[object]:
        yield "Go."
        raise kind("grade")

    return env


@pytest.fixture(autouse=True)
def still_works(env: hud.Environment) -> Iterator[None]:
    """Other evals, before and after, find a loop that works."""
    with hud.eval(env("fine")) as before:
        before.submit("x")
        yield
        assert str(before.call_tool("stay")) == "here"
    assert before.reward == 1.0
    with hud.eval(env("fine")) as after:
        after.submit("x")
    assert after.reward == 1.0


@pytest.mark.parametrize("scenario", ["set-up", "set-up-sync"])
def test_in_the_set_up(
    env: hud.Environment, kind: type[BaseException], scenario: str
) -> None:
    """A scenario that exits in its set-up ends the block before it begins."""
    context = hud.eval(env(scenario))
    with pytest.raises(kind, match="set-up"), context:
        pytest.fail("the body must not run")
    assert context.result.reward is None


@pytest.mark.parametrize("scenario", ["grade", "grade-sync"])
def test_after_the_prompt(
    env: hud.Environment, kind: type[BaseException], scenario: str
) -> None:
    """A scenario that exits after its prompt ends the block at its end."""
    context = hud.eval(env(scenario))
    with pytest.raises(kind, match="grade"), context as ctx:
        ctx.submit("x")
    assert context.result.reward is None


@pytest.mark.parametrize("times", [1, 2])
def test_in_a_tool(env: hud.Environment, kind: type[BaseException], times: int) -> None:
    """An async tool that exits does so where it was called, alone or beside others."""
    with hud.eval(env("fine"), on_error="record") as ctx:
        with pytest.raises(kind, match="tool"):
            ctx.call_tools([{"name": "leave", "arguments": {}}] * times)
        ctx.submit("x")
    assert ctx.reward == 1.0


@pytest.mark.parametrize("group", [1, 3])
def test_in_the_body_of_a_job(
    env: hud.Environment, kind: type[BaseException], group: int
) -> None:
    """A body that exits ends its job."""

    @hud.traced_eval([env("fine")], group=group)
    def job(ctx: hud.SyncEvalContext) -> None:
        raise kind("body")

    with pytest.raises(kind, match="body"):
        job()


def test_in_a_loop_of_ones_own(env: hud.Environment, kind: type[BaseException]) -> None:
    """A thread whose eval's loop has been ended by an exit waits for nothing."""
    raised: list[BaseException] = []

    async def main() -> None:
        async with hud.eval(env("fine")) as ctx:

            def agent() -> None:
                try:
                    asyncio.run(ctx.call_tool("leave"))
                except BaseException as error:
                    raised.append(error)

            await asyncio.to_thread(agent)
            raise kind("body")

    with pytest.raises(kind, match="body"):
        asyncio.run(main())
    assert len(raised) == 1
