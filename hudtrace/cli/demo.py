"""`hudtrace demo`: two agent variants, twelve tasks, and what came of them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
from collections.abc import Iterator, Sequence
from typing import Any

from hudtrace import settings
from hudtrace.cli import text
from hudtrace.cli.addresses import where_to_look
from hudtrace.cli.timeline import tree_text
from hudtrace.comparison import Difference, Summary, difference, summarize
from hudtrace.errors import ConfigurationError, MissingExtra
from hudtrace.evaluation import eval as hud_eval
from hudtrace.progress import Progress
from hudtrace.result import EvalResult, Limits
from hudtrace.runtime import get_runtime
from hudtrace.store import queries

Results = dict[str, list[EvalResult]]

_KEY = "OPENAI_API_KEY"
_CONCURRENT = 6


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Run two agent variants on twelve tasks, through the real openai "
        "client: against a scripted model on this machine, or with --model and "
        "OPENAI_API_KEY against a real one."
    )
    parser.add_argument("--model", help="a real model, for example gpt-4o-mini")
    parser.add_argument("--base-url", help="another OpenAI-compatible endpoint")
    parser.add_argument("--json", action="store_true", help="print the results as JSON")
    parser.set_defaults(run=lambda o: run(o.model, o.base_url, as_json=o.json))


def run(model: str | None, base_url: str | None, *, as_json: bool) -> int:
    """Run the demo and print its report; return the exit code."""
    with _client(model, base_url) as (client, name):
        results = asyncio.run(_run_all(client, name))
    runtime = get_runtime()
    runtime.flush()
    every = [result for group in results.values() for result in group]
    if as_json:
        for result in every:
            print(json.dumps(result.to_dict(), default=str))
    else:
        print(text.visible(_report(results, scripted=model is None)))
    failure = _only_failures(every)
    if failure is not None:
        print(text.visible(f"no call has succeeded: {failure}"), file=sys.stderr)
        return 1
    return 0 if all(_stored(result) for result in every) else 1


def _only_failures(results: Sequence[EvalResult]) -> str | None:
    """Return the first error where errors have ended all episodes, else None."""
    first = results[0].error
    if first is None or any(result.error is None for result in results):
        return None
    causes = [first]
    while (cause := causes[-1].__cause__) is not None and len(causes) < 10:
        causes.append(cause)
    return "; from ".join(f"{type(each).__name__}: {each}" for each in causes)


@contextlib.contextmanager
def _client(model: str | None, base_url: str | None) -> Iterator[tuple[Any, str]]:
    try:
        from openai import AsyncOpenAI
    except ImportError as error:
        raise MissingExtra(
            "the demo talks through the openai client: pip install 'hudtrace[openai]'"
        ) from error
    if model is not None:
        key = settings.provider_key(_KEY)
        if key is None and base_url is None:
            raise ConfigurationError(
                f"--model {model} needs {_KEY} in the environment; without --model the "
                f"demo uses a scripted model and needs no key"
            )
        yield AsyncOpenAI(base_url=base_url, api_key=key or "none"), model
        return
    from hudtrace.cli.trivia import scripted_answer
    from hudtrace.testing.scripted import ScriptedModel

    with ScriptedModel(scripted_answer) as scripted:
        key = "scripted"
        yield (
            AsyncOpenAI(base_url=scripted.url, api_key=key, max_retries=0),
            scripted.model,
        )


async def _run_all(client: Any, model: str) -> Results:
    from hudtrace.cli.trivia import TASKS, VARIANTS

    get_runtime()
    progress = Progress(len(TASKS) * len(VARIANTS), "episodes")
    slots = asyncio.Semaphore(_CONCURRENT)

    async def one(task: Any, variant: str) -> EvalResult:
        async with slots:
            result = await _episode(client, model, task, variant)
            progress.advance()
            return result

    results = {
        variant: list(await asyncio.gather(*(one(task, variant) for task in TASKS)))
        for variant in VARIANTS
    }
    await client.close()
    progress.close()
    return results


async def _episode(client: Any, model: str, task: Any, variant: str) -> EvalResult:
    from hudtrace.cli.trivia import run_agent

    context = hud_eval(task, variant=variant, limits=Limits(turns=4), on_error="record")
    async with context:
        await run_agent(context, client, model, variant)
    return context.result


def _report(results: Results, *, scripted: bool) -> str:
    groups = list(results.values())
    summaries = [summarize(name, group) for name, group in results.items()]
    lines = []
    if scripted:
        lines += [
            "A scripted model answered, so the figures show the harness, no model."
        ]
    lines += ["", _side_by_side(summaries), "", _verdict(summaries, groups), ""]
    every = [result for group in groups for result in group]
    failing = _failing(every)
    if failing is not None:
        lines += [f"One that failed: {failing.name}, variant {failing.variant}", ""]
        with get_runtime().pipeline.reading() as db:
            lines += [tree_text(queries.spans(db, failing.trace_id)), ""]
    lines += [_delivery(every), "", *_next(failing or every[0])]
    return "\n".join(lines)


def _side_by_side(summaries: Sequence[Summary]) -> str:
    outcomes = sorted({o for summary in summaries for o in summary.outcomes})
    rows = [
        ("reward", [_plus_minus(s) for s in summaries]),
        ("passed", [_percent(s.pass_rate) for s in summaries]),
        ("graded", [f"{s.graded} of {s.episodes}" for s in summaries]),
        *(
            (f"  {outcome}", [str(s.outcomes.get(outcome, 0)) for s in summaries])
            for outcome in outcomes
        ),
        ("  stopped by a limit", [str(s.stopped) for s in summaries]),
        ("tool errors", [str(s.tool_errors) for s in summaries]),
        ("tokens in", [str(s.usage.input_tokens) for s in summaries]),
        ("tokens out", [str(s.usage.output_tokens) for s in summaries]),
        ("cost", [_cost(s.usage.cost) for s in summaries]),
        (
            "time per episode",
            [text.duration(s.seconds / s.episodes) for s in summaries],
        ),
    ]
    head = ("", *(summary.name for summary in summaries))
    return text.table(head, [(label, *cells) for label, cells in rows], "lrr")


def _verdict(summaries: Sequence[Summary], groups: Sequence[list[EvalResult]]) -> str:
    first, second = summaries
    found = difference(groups[0], groups[1])
    if found is None:
        return "Too few tasks were graded in both variants to compare them."
    line = (
        f"{second.name} - {first.name}: {found.mean:+.2f} "
        f"(95 % interval {found.low:+.2f} to {found.high:+.2f}, {found.tasks} tasks "
        f"graded in both)"
    )
    return f"{line}\n{_enough(found)}"


def _enough(found: Difference) -> str:
    if found.clear:
        return (
            "The interval leaves out zero: these tasks show a difference. It says "
            "nothing of other tasks."
        )
    if found.needed is None:
        return "No difference on these tasks; more of them could still show one."
    return (
        f"The interval includes zero: {found.tasks} tasks do not show a difference. If "
        f"it is real, about {found.needed} tasks would."
    )


def _failing(results: Sequence[EvalResult]) -> EvalResult | None:
    wrong = [r for r in results if r.reward == 0.0 and r.tool_calls and r.answer]
    wrong.sort(key=lambda result: result.tool_errors)
    return wrong[0] if wrong else next((r for r in results if r.reward == 0.0), None)


def _delivery(results: Sequence[EvalResult]) -> str:
    reports = [r.delivery for r in results if r.delivery is not None]
    started = sum(report.started for report in reports)
    stored = sum(report.stored for report in reports)
    dropped = sum(report.dropped for report in reports)
    sign = "=" if started == stored else "≠"
    place = get_runtime().settings.store or "memory"
    return f"delivery: {started} spans started {sign} {stored} stored, {dropped} dropped ({place})"


def _next(result: EvalResult) -> list[str]:
    steps = {
        text.command("ls"): "the episodes of this run",
        text.command(f"show {result.trace_id[:12]}"): "this one, with its conversation",
        text.command("view"): "all of it in the browser, at the address below",
        f"OPENAI_API_KEY=… {text.command('demo --model gpt-4o-mini')}": "a real model",
    }
    width = max(map(len, steps))
    return [
        "Next:",
        *(f"  {step.ljust(width)}  {what}" for step, what in steps.items()),
        where_to_look(result.trace_id),
    ]


def _stored(result: EvalResult) -> bool:
    report = result.delivery
    return report is not None and report.started == report.stored


def _plus_minus(summary: Summary) -> str:
    if summary.reward is None:
        return "-"
    error = "" if summary.error is None else f" ± {summary.error:.2f}"
    return f"{summary.reward:.2f}{error}"


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{share:.0%}"


def _cost(cost: float | None) -> str:
    return "-" if cost is None else f"${cost:.4f}"


__all__ = ["run"]
