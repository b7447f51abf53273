"""Jobs: how each went, with each of its tasks, and what those that passed have more of."""

from __future__ import annotations

from hudtrace.index import filters, jobs
from hudtrace.index.jobs import JobView, ToolView
from hudtrace.index.lift import lift
from hudtrace.index.tasks import TaskView
from hudtrace.viewer import addresses
from hudtrace.viewer.api.episodes import FILTER
from hudtrace.viewer.desk import Desk
from hudtrace.viewer.endpoints import CURSOR, Endpoint, Json, Number, Text
from hudtrace.viewer.problems import Problem

JOB_ID = Text("job_id", "the id of a job", longest=500)


def listed(desk: Desk, cursor: str | None, limit: int) -> Json:
    """Return the newest jobs, a page of them."""
    try:
        found = jobs.jobs(desk.index, limit, cursor)
    except ValueError as error:
        raise Problem(400, str(error)) from error
    return {"rows": [_figures(view) for view in found.rows], "cursor": found.cursor}


def whole(desk: Desk, job_id: str) -> Json:
    """Return one job with its tasks and their repeats, its tools, and its errors."""
    view = jobs.job(desk.index, job_id)
    if view is None:
        raise Problem(404, f"there are no episodes of a job {job_id[:200]!r} (yet)")
    return {
        **_figures(view),
        "outcomes": view.figures.outcomes,
        "graded": view.figures.graded,
        "pass_rate": view.figures.pass_rate,
        "k": view.k,
        "pass_at_1": view.pass_1,
        "pass_at_k": view.pass_k,
        "tasks": [_task(job_id, task) for task in view.tasks],
        "tools": [_tool(tool) for tool in view.tools],
        "error_kinds": [
            {"type": kind, "episodes": many} for kind, many in view.error_kinds.items()
        ],
    }


def differing(desk: Desk, job_id: str, q: str) -> Json:
    """Return what episodes with a reward of 1 have more often, or less, than others."""
    text = f"job:{filters.quoted(job_id)} {q}".strip()
    found = lift(desk.index, filters.parse(text))
    return {
        "passed": found.passed,
        "failed": found.failed,
        "rows": [
            {
                "what": row.what,
                "passed_share": row.passed_share,
                "failed_share": row.failed_share,
                "difference": row.difference,
                "q": row.filter_text,
            }
            for row in found.rows
        ],
    }


def _figures(view: JobView) -> Json:
    figures = view.figures
    used = [n for n in (figures.input_tokens, figures.output_tokens) if n is not None]
    trace = view.trace_id
    return {
        "job_id": view.job_id,
        "url": addresses.job(view.job_id),
        "name": view.name,
        "trace_id": trace,
        "trace_url": None if trace is None else addresses.trace(trace),
        "started": str(view.started),
        "ended": None if view.ended is None else str(view.ended),
        "episodes": view.episodes,
        "done": view.done,
        "running": view.running,
        "state": view.state,
        "interrupted": view.interrupted,
        "unbegun": view.unbegun,
        "errors": view.errors,
        "reward_mean": view.reward_mean,
        "reward_stderr": view.reward_stderr,
        "histogram": figures.histogram,
        "tokens": sum(used) if used else None,
        "cost": figures.cost,
        "unpriced": figures.unpriced,
        "envs": view.envs,
        "models": view.models,
    }


def _task(job_id: str, task: TaskView) -> Json:
    return {
        "task_id": task.task_id,
        "label": task.label,
        "url": addresses.job(job_id, f"task:{filters.quoted(task.task_id)}"),
        "n": task.n,
        "graded": task.graded,
        "mean": task.mean,
        "stderr": task.stderr,
        "min": task.min,
        "max": task.max,
        "k": task.k,
        "pass_at_1": task.pass_1,
        "pass_at_k": task.pass_k,
        "rewards": task.rewards,
        "trace_ids": task.trace_ids,
    }


def _tool(tool: ToolView) -> Json:
    """Return the figures of a tool; times in seconds."""
    return {
        "name": tool.name,
        "calls": tool.calls,
        "errors": tool.failed,
        "mean": tool.seconds / tool.calls if tool.calls else None,
        "max": tool.slowest,
        "total": tool.seconds,
    }


ENDPOINTS = (
    Endpoint(
        "/jobs",
        listed,
        parameters=(
            CURSOR,
            Number("limit", "jobs at most", default=50, least=1, most=200),
        ),
    ),
    Endpoint("/job/{job_id}/lift", differing, (JOB_ID,), (FILTER,)),
    Endpoint("/job/{job_id}", whole, (JOB_ID,)),
)
