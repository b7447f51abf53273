"""Spans of an episode: types, identity, roll-ups, and verdicts that come later."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from typing import Any

import pytest

import hudtrace as hud
from hudtrace import runtime, semconv
from hudtrace.errors import EvalNotFinished
from hudtrace.store import queries
from hudtrace.verdicts import record_verdict

Stored = Callable[[str], list[queries.StoredSpan]]
pytestmark = pytest.mark.usefixtures("store")


def evaluate(task: hud.Task, answer: str = "JR", **options: Any) -> hud.EvalResult:
    """Run an eval that calls a tool and submits."""

    async def run() -> hud.EvalResult:
        async with hud.eval(task, **options) as ctx:
            await ctx.call_tool("lookup_ceo", company="HUD")
            await ctx.submit(answer)
        return ctx.result

    return asyncio.run(run())


def test_identity_and_roll_ups(task: hud.Task, stored: Stored) -> None:
    """The root says what ran and what came of it, with fixed types."""
    result = evaluate(
        task,
        agent="planner@1.2",
        model="m-1",
        variant={"id": "v2", "prompt": "short"},
        job="nightly",
        metadata={"seed": 7, "note": "x"},
    )
    root = stored(result.trace_id)[0]
    got = root.attributes
    env, scenario = task.resolve()
    expected: dict[str, Any] = {
        "gen_ai.operation.name": "evaluate",
        "hud.env.name": "trivia",
        "hud.scenario": "initials",
        "hud.task.id": task.id,
        "hud.job.id": "nightly",
        "hud.model": "m-1",
        "hud.variant.id": "v2",
        "hud.variant.prompt": "short",
        "hud.agent.name": "planner",
        "hud.agent.version": "1.2",
        "hud.env.digest": env.digest,
        "hud.grader.digest": scenario.grader_digest,
        "hud.group.id": task.id,
        "hud.attempt": 1,
        "hud.seed": 7,
        "hud.metadata.note": "x",
        "hud.reward": 1.0,
        "hud.reward_bucket": "1",
        "hud.outcome": "scored",
        "hud.failure.class": "none",
        "hud.failure.infra": 0.0,
        "test.case.name": task.id,
        "test.case.result.status": "pass",
        "hud.usage.input_tokens": 0,
        "hud.turns": 0,
        "hud.tool.calls": 1,
        "hud.tool.errors": 0,
        "hud.tool.exceptions": 0,
        "hud.tool.failed": False,
        "hud.eval.span_count": 5,
        "hud.eval.ended": True,
        "hud.submit.count": 1,
        "hud.answer": "JR",
        "input.value": "What are the initials of the CEO of HUD?",
        "output.value": '{"reward":1.0,"outcome":"scored","answer":"JR"}',
        "hud.scenario_args": '{"company": "HUD"}',
    }
    for key, value in expected.items():
        assert (got.get(key), type(got.get(key))) == (value, type(value)), key
    assert list(json.loads(got["output.value"])) == ["reward", "outcome", "answer"]
    assert not [key for key in got if key.startswith("gen_ai.") and "model" in key]
    assert not [key for key in got if key.startswith("hud.cost")]


@pytest.mark.parametrize("reward", [True, 1, 0, 0.5])
def test_rewards_are_doubles(reward: Any, stored: Stored) -> None:
    """Whatever number a grader yields, the attribute is a double."""
    env = hud.Environment("typed")

    @env.scenario("one")
    async def one() -> Any:
        yield "p"
        yield reward

    async def run() -> str:
        async with hud.eval(one()) as ctx:
            await ctx.submit("x")
        return ctx.trace_id

    spans = {s.name: s for s in stored(asyncio.run(run()))}
    for span, key in (
        ("eval typed:one", "hud.reward"),
        ("reward", "gen_ai.evaluation.score.value"),
    ):
        value = spans[span].attributes[key]
        assert (value, type(value)) == (float(reward), float)


def test_every_span_is_stamped(task: hud.Task, stored: Stored) -> None:
    """Job, task, environment, scenario and phase are on every span."""
    result = evaluate(task, job="j", model="m")
    phases = {}
    for span in stored(result.trace_id):
        assert span.attributes["hud.job.id"] == "j"
        assert span.attributes["hud.task.id"] == task.id
        assert span.attributes["hud.env.name"] == "trivia"
        assert span.attributes["hud.scenario"] == "initials"
        assert span.attributes["hud.model"] == "m"
        phases[span.name] = span.attributes.get("hud.phase")
    assert phases == {
        "eval trivia:initials": None,
        "setup": "setup",
        "invoke_agent agent": "agent",
        "execute_tool lookup_ceo": "agent",
        "reward": "grade",
    }


def test_every_reward_names_its_evaluator(task: hud.Task, stored: Stored) -> None:
    """A reward span says who judged and by which code."""
    result = evaluate(task)
    reward = next(s for s in stored(result.trace_id) if s.name == "reward")
    assert reward.attributes["hud.evaluator.kind"] == "code"
    assert reward.attributes["hud.evaluator.id"] == "trivia:initials"
    digest = reward.attributes["hud.grader.digest"]
    assert reward.attributes["hud.evaluator.version"] == digest


def test_names_do_not_contain_each_other() -> None:
    """No attribute name is both a leaf and the beginning of another."""
    names = {
        value
        for key, value in vars(semconv).items()
        if key.isupper() and not key.startswith("SPAN_")
        if isinstance(value, str) and "." in value
    }
    names = {name for name in names if not name.endswith(".")}
    for name in names:
        assert not [other for other in names if other.startswith(f"{name}.")], name


def test_a_late_verdict(task: hud.Task, stored: Stored) -> None:
    """A later verdict is a trace of its own, supersedes the first, and counts."""
    result = evaluate(task, "wrong", job="j")
    spans = stored(result.trace_id)
    first = next(s for s in spans if s.name == "reward")
    second = record_verdict(
        result.trace_id,
        hud.Grade(1.0, explanation="right after all"),
        evaluator="jane",
        kind="human",
    )
    third = record_verdict(result.trace_id, 0.5, evaluator="fixed", kind="code")
    with runtime.get_runtime().pipeline.reading() as db:
        verdicts = queries.verdicts(db, result.trace_id)
        episode = queries.episode(db, result.trace_id)
        row = db.execute(
            "SELECT trace_id FROM spans WHERE span_id = ?", (bytes.fromhex(third),)
        ).fetchone()
        (late,) = queries.spans(db, row[0].hex())
    assert [(v.value, v.effective, v.late) for v in verdicts] == [
        (0.0, False, False),
        (1.0, False, True),
        (0.5, True, True),
    ]
    assert episode is not None
    assert (episode.reward, episode.first_reward) == (0.5, 0.0)
    assert len(stored(result.trace_id)) == len(spans)
    assert late.trace_id != result.trace_id
    assert late.name == "reward"
    got = late.attributes
    assert got["hud.episode.trace_id"] == result.trace_id
    assert got["hud.reward_supersedes"] == second
    assert (got["hud.reward_previous"], got["hud.reward_delta"]) == (1.0, -0.5)
    assert got["hud.job.id"] == "j"
    assert got["hud.evaluator.id"] == "fixed"
    assert late.links[0].trace_id == result.trace_id
    assert verdicts[1].supersedes == first.span_id
    rewards = 0.0 + 1.0 - 0.5
    assert episode.first_reward + (1.0 - 0.0) + got["hud.reward_delta"] == rewards


def test_a_verdict_needs_an_ended_episode() -> None:
    """A verdict on a trace that is not there says so."""
    with pytest.raises(EvalNotFinished, match="no ended episode"):
        record_verdict("0" * 32, 1.0, evaluator="x", kind="human")


def test_resource(task: hud.Task, stored: Stored) -> None:
    """The resource names the service and the process; the user's name wins."""
    result = evaluate(task)
    resource = runtime.get_runtime().tracer.resource.attributes
    assert resource["service.name"] == "hudtrace"
    assert len(str(resource["service.instance.id"])) == 36
    assert result.trace_id
    assert "telemetry.sdk.version" in resource
    assert sys.version_info >= (3, 11)


def test_service_name_of_the_user(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES keep their meaning."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "mine")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "team=evals")
    hud.configure(store=tmp_path / "t.db", quiet=True)
    resource = runtime.get_runtime().tracer.resource.attributes
    assert (resource["service.name"], resource["team"]) == ("mine", "evals")
