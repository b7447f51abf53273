"""`hud.eval` runs an agent on a task; `hud.traced_eval` makes a function an eval."""

from __future__ import annotations

import difflib
import functools
import inspect
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, overload

from hudtrace.bare import BareEval, TracedMethod, case_of, is_method
from hudtrace.context import (
    EvalContext,
    OnError,
    RecordingEvalContext,
    current_eval,
)
from hudtrace.grading import SubScore
from hudtrace.loops import run_in_background
from hudtrace.record import Identity
from hudtrace.result import EvalResult, Limits
from hudtrace.runtime import get_runtime
from hudtrace.scenario import Scenario
from hudtrace.sync_eval import SyncEvalContext
from hudtrace.task import Task

if TYPE_CHECKING:
    from hudtrace.jobs import InJob, Job

Variant = str | Mapping[str, Any]


@overload
def eval(
    task: Task,
    /,
    *,
    name: str | None = None,
    agent: str | None = None,
    model: str | None = None,
    variant: Variant | None = None,
    limits: Limits | None = None,
    job: str | InJob | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_error: Literal["raise"] = "raise",
    grade_on_error: bool = False,
) -> EvalContext: ...
@overload
def eval(
    task: Task,
    /,
    *,
    name: str | None = None,
    agent: str | None = None,
    model: str | None = None,
    variant: Variant | None = None,
    limits: Limits | None = None,
    job: str | InJob | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_error: Literal["record"],
    grade_on_error: bool = False,
) -> RecordingEvalContext: ...
@overload
def eval(
    task: Task,
    /,
    *,
    name: str | None = None,
    agent: str | None = None,
    model: str | None = None,
    variant: Variant | None = None,
    limits: Limits | None = None,
    job: str | InJob | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_error: OnError,
    grade_on_error: bool = False,
) -> EvalContext: ...
def eval(  # the name that users know; it never shadows the builtin by a star import
    task: Task,
    /,
    *,
    name: str | None = None,
    agent: str | None = None,
    model: str | None = None,
    variant: Variant | None = None,
    limits: Limits | None = None,
    job: str | InJob | None = None,
    metadata: Mapping[str, Any] | None = None,
    on_error: OnError = "raise",
    grade_on_error: bool = False,
) -> EvalContext:
    """Run one task: `async with hud.eval(task) as ctx`, in sync code `with`.

    Entering opens a new trace and runs the scenario up to its prompt; the body
    is the agent; leaving grades what was submitted and fills `ctx.result`.

    `agent` (`"name"` or `"name@version"`), `model` and `variant` (a word or a
    mapping) say what is compared; `job` groups evals; `metadata` is recorded
    as it is. What the body raises is passed on unwrapped and not graded,
    unless `grade_on_error`. With `on_error="record"`, errors of the body and
    of the grader stay in `result.error`; those of the set-up are always raised.

    Raises TypeError if *task* is not a `Task`, `TaskError` on entry if its
    environment or scenario cannot be found.
    """
    if not isinstance(task, Task):
        raise TypeError(_not_a_task(task))
    check_options(
        {
            "name": name,
            "agent": agent,
            "model": model,
            "variant": variant,
            "limits": limits,
            "job": job,
            "metadata": metadata,
            "on_error": on_error,
        }
    )
    job_id, place = (job, None) if isinstance(job, str) else (None, job)
    environment, scenario = task.resolve()
    identity = Identity(
        name=name or f"{task.environment}:{task.scenario}",
        task=task,
        task_id=task.id,
        agent=agent or "agent",
        model=model,
        variant=variant,
        job=place.id if place else job_id,
        job_start=place.start if place else None,
        attempt=place.attempt if place else 1,
        env=task.environment,
        scenario=task.scenario,
        env_digest=environment.digest,
        grader_digest=scenario.grader_digest,
        args=json.dumps(task.args, ensure_ascii=False),
        metadata={**task.metadata, **(metadata or {})},
    )
    kind = RecordingEvalContext if on_error == "record" else EvalContext
    return kind(
        task,
        identity,
        limits or Limits(),
        on_error=on_error,
        grade_on_error=grade_on_error,
    )


def check_options(options: Mapping[str, Any]) -> None:
    """Raise TypeError or ValueError for an option of `hud.eval` that is none."""
    for name in ("name", "agent", "model"):
        text = options.get(name)
        if text is not None and not isinstance(text, str):
            raise TypeError(f"{name}={text!r:.80}: it is a text")
    job = options.get("job")
    if not (job is None or isinstance(job, str) or _is_place(job)):
        id_ = getattr(job, "id", None)
        instead = f", here {id_!r}" if isinstance(id_, str) else ""
        raise TypeError(
            f"job={job!r:.80}: it is the id of a job, a text{instead}; evals with the "
            f"same one belong together"
        )
    variant = options.get("variant")
    if variant is not None and not isinstance(variant, str | Mapping):
        raise TypeError(
            f"variant={variant!r:.80}: it is a word or a mapping, for example "
            f"variant={{'prompt': 2}}"
        )
    metadata = options.get("metadata")
    if metadata is not None and not isinstance(metadata, Mapping):
        raise TypeError(f"metadata={metadata!r:.80}: it is a mapping")
    for name, given in (("variant", variant), ("metadata", metadata)):
        for key in given if isinstance(given, Mapping) else ():
            if not isinstance(key, str):
                raise TypeError(
                    f"{name}={given!r:.80}: its keys are texts, and {key!r:.80} is none"
                )
    limits = options.get("limits")
    if limits is not None and not isinstance(limits, Limits):
        raise TypeError(
            f"limits={limits!r:.80}: it is a hud.Limits, for example "
            f"limits=hud.Limits(turns=8, time=60)"
        )
    on_error = options.get("on_error", "raise")
    if on_error not in ("raise", "record"):
        raise ValueError(f"on_error={on_error!r}: it is 'raise' or 'record'")


def _is_place(job: object) -> bool:
    from hudtrace.jobs import InJob

    return isinstance(job, InJob)


def _not_a_task(got: object, *, decorating: bool = False) -> str:
    line = "make one by calling an environment: task = env('initials', company='HUD')"
    if getattr(got, "__module__", None) == "builtins" and callable(got):
        what = f"the builtin {getattr(got, '__name__', got)}()"
    elif isinstance(got, Scenario):
        line = f"call it with its arguments: task = {got.name}(company='HUD')"
        what = f"the scenario {got.name!r} itself"
    else:
        what = f"{got!r:.80} of type {type(got).__name__}"
    if decorating:
        return (
            f"hud.traced_eval() takes a Task, but got {what}; {line}, then "
            f"'@hud.traced_eval(task)'"
        )
    return (
        f"hud.eval() takes a Task, but got {what}; {line}, then "
        f"'async with hud.eval(task) as ctx:'"
    )


def score(value: float, *, name: str = "score", explanation: str | None = None) -> None:
    """Give the current eval a score, in a traced function, an agent or a grader.

    In a traced function the scores make the reward (their mean, if there are
    several); in a scenario's eval they are sub-scores beside the reward.
    Raises `NoCurrentEval` outside an eval, ValueError if *value* is not finite.
    """
    current_eval().score(SubScore(name, float(value), explanation=explanation))


@overload
def traced_eval(target: Task, /, **options: Any) -> Callable[[Any], Any]: ...
@overload
def traced_eval(target: Iterable[Task], /, **options: Any) -> Callable[[Any], Any]: ...
@overload
def traced_eval(target: None = None, /, **options: Any) -> Callable[[Any], Any]: ...
@overload
def traced_eval(target: Callable[..., Any], /, **options: Any) -> Any: ...
def traced_eval(target: Any = None, /, **options: Any) -> Any:
    """Make a function an eval.

    Bound: `@hud.traced_eval(task)` on `async def f(ctx, ...)`. Calling
    `await f(...)` runs the body as an eval of that task, with the context as
    its first argument, and returns an `EvalResult`. Options are those of
    `hud.eval`. With a list of tasks, or with `group=N` for repeats, it returns a
    `Job`; `max_concurrent=M` bounds how many episodes run at once (20), and what an
    episode raises stays in its result. On a plain `def f(ctx, ...)`, `f(...)` does
    the same for sync code: the body runs in the caller's thread, those of a job in
    threads, and the context is a `SyncEvalContext`.

    Bare: `@hud.traced_eval` or `@hud.traced_eval(name=..., case=("x",),
    reward="return")` on any function, method or test. Each call is an eval in
    a trace of its own, and returns or raises what the function does; the grade
    comes from a returned `Grade`, from `hud.score`, or from the return value
    with `reward="return"`. An AssertionError is a reward of 0.0, a test that
    passes 1.0. `case` names the arguments to record; without it, those that
    are plain data are. `f.eval(...)` returns the `EvalResult` instead.

    Raises TypeError for generators and for functions that cannot be run so.
    """
    if isinstance(target, Scenario):
        raise TypeError(_not_a_task(target, decorating=True))
    if isinstance(target, Task):
        _check_known(options, {*_EVAL_OPTIONS, *_JOB_OPTIONS})
        if _JOB_OPTIONS & options.keys():
            return functools.partial(_bind_many, [target], options)
        return functools.partial(_bind, target, options)
    if isinstance(target, Iterable) and not isinstance(target, str | bytes):
        tasks = list(target)
        for task in tasks:
            if not isinstance(task, Task):
                raise TypeError(_not_a_task(task, decorating=True))
        _check_known(options, {*_EVAL_OPTIONS, *_JOB_OPTIONS})
        return functools.partial(_bind_many, tasks, options)
    if target is None:
        _check_known(options, _BARE_OPTIONS)
        return functools.partial(_trace, **options)
    if not callable(target):
        raise TypeError(
            f"traced_eval takes a Task or a function, but got {target!r:.80}; write "
            f"@hud.traced_eval(task) or @hud.traced_eval"
        )
    _check_known(options, _BARE_OPTIONS)
    return _trace(target, **options)


_JOB_OPTIONS = {"group", "max_concurrent"}


def _check_known(options: Mapping[str, Any], known: Iterable[str]) -> None:
    known = sorted(known)
    for name in options:
        if name not in known:
            near = difflib.get_close_matches(name, known, 1, 0.5)
            meant = f" (did you mean {near[0]!r}?)" if near else ""
            raise TypeError(
                f"traced_eval has no option {name!r} here{meant}; it has: "
                f"{', '.join(known)}"
            )
    check_options(options)
    for name in _JOB_OPTIONS & options.keys():
        value = options[name]
        if value is None and name == "max_concurrent":
            continue
        if not isinstance(value, int) or isinstance(value, bool):
            raise TypeError(f"{name}={value!r:.80}: it is a whole number, 1 or more")
        if value < 1:
            raise ValueError(f"{name}={value}: it is 1 or more")


def _bind(task: Task, options: Mapping[str, Any], body: Callable[..., Any]) -> Any:
    _refuse_generators(body)
    start = _context_second(body) if is_method(body) else body
    run: Any

    if inspect.iscoroutinefunction(body):

        @functools.wraps(body)
        async def run(*args: Any, **kwargs: Any) -> EvalResult:
            context: EvalContext = eval(task, **options)
            async with context:
                await start(context, *args, **kwargs)
            return context.result

    else:

        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> EvalResult:
            context: EvalContext = eval(task, **options)
            with context as ctx:
                _refuse_coroutine(body, start(ctx, *args, **kwargs))
            return context.result

    run.task = task
    return run


def _bind_many(
    tasks: Sequence[Task], options: Mapping[str, Any], body: Callable[..., Any]
) -> Any:
    _refuse_generators(body)
    start = _context_second(body) if is_method(body) else body
    settings = dict(options)
    group = settings.pop("group", 1)
    max_concurrent = settings.pop("max_concurrent", None)
    job_id, name = settings.pop("job", None), body.__name__

    def open_eval(task: Task, job: InJob) -> EvalContext:
        context: EvalContext = eval(
            task, **{"on_error": "record", **settings, "job": job}
        )
        return context

    async def run_all(episodes: Callable[[EvalContext], Awaitable[EvalResult]]) -> Job:
        from hudtrace.jobs import MAX_CONCURRENT, run_job

        return await run_job(
            tasks,
            episodes,
            open_eval,
            name=name,
            job_id=job_id,
            group=group,
            max_concurrent=max_concurrent or MAX_CONCURRENT,
        )

    run: Any
    if inspect.iscoroutinefunction(body):

        @functools.wraps(body)
        async def run(*args: Any, **kwargs: Any) -> Job:
            from hudtrace.jobs import run_episode

            async def attempt(context: EvalContext) -> None:
                await start(context, *args, **kwargs)

            return await run_all(functools.partial(run_episode, attempt))

    else:

        @functools.wraps(body)
        def run(*args: Any, **kwargs: Any) -> Job:
            from hudtrace.jobs import MAX_CONCURRENT, SyncEpisodes

            def attempt(context: SyncEvalContext) -> None:
                _refuse_coroutine(body, start(context, *args, **kwargs))

            get_runtime()
            with SyncEpisodes(attempt, max_concurrent or MAX_CONCURRENT) as episodes:
                return run_in_background(functools.partial(run_all, episodes.run))

    run.tasks = tasks
    return run


def _context_second(body: Callable[..., Any]) -> Callable[..., Any]:
    """Return *body*, a method, as a function that gets its context before `self`."""

    def start(context: Any, owner: Any, /, *args: Any, **kwargs: Any) -> Any:
        return body(owner, context, *args, **kwargs)

    return start


def _refuse_coroutine(body: Callable[..., Any], returned: object) -> None:
    """Refuse an async function in the guise of a plain one: nobody awaits it."""
    if inspect.iscoroutine(returned):
        returned.close()
        name = getattr(body, "__qualname__", repr(body))
        raise TypeError(
            f"{name} is a plain function but returns a coroutine, which nobody awaits; "
            f"make it 'async def {getattr(body, '__name__', 'f')}(ctx)'"
        )


def _trace(
    function: Callable[..., Any],
    *,
    name: str | None = None,
    case: Sequence[str] = (),
    reward: Literal["return"] | None = None,
    agent: str | None = None,
    model: str | None = None,
    variant: Variant | None = None,
    job: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Any:
    _refuse_generators(function)
    label = name or function.__qualname__
    passes = function.__name__.startswith("test_")

    def open_eval(args: tuple[Any, ...], kwargs: dict[str, Any]) -> BareEval:
        recorded = case_of(function, args, kwargs, case)
        identity = Identity(
            name=label,
            task_id=recorded.task_id(label),
            agent=agent or "agent",
            model=model,
            variant=variant,
            job=job,
            args=recorded.text if recorded.arguments else None,
            metadata=metadata or {},
            function=f"{function.__module__}.{function.__qualname__}",
        )
        return BareEval(identity, recorded, reward=reward, passes=passes)

    if inspect.iscoroutinefunction(function):

        async def evaluate(*args: Any, **kwargs: Any) -> EvalResult:
            run = open_eval(args, kwargs)
            with run:
                run.returned(await function(*args, **kwargs))
            return run.result

        @functools.wraps(function)
        async def call(*args: Any, **kwargs: Any) -> Any:
            run = open_eval(args, kwargs)
            with run.transparent():
                return run.returned(await function(*args, **kwargs))

    else:

        def evaluate(*args: Any, **kwargs: Any) -> EvalResult:  # type: ignore[misc]
            run = open_eval(args, kwargs)
            with run:
                run.returned(function(*args, **kwargs))
            return run.result

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            run = open_eval(args, kwargs)
            with run.transparent():
                return run.returned(function(*args, **kwargs))

    call.eval = evaluate  # type: ignore[attr-defined]
    if is_method(function) and not passes:  # what collects tests wants functions
        return TracedMethod(call)
    return call


def _names_of(function: Callable[..., Any]) -> set[str]:
    parameters = inspect.signature(function).parameters.values()
    return {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}


_EVAL_OPTIONS = _names_of(eval)
_BARE_OPTIONS = _names_of(_trace)


def _refuse_generators(function: Callable[..., Any]) -> None:
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError(
            f"{function.__qualname__} is a generator, which cannot be one eval; make "
            f"it a scenario with @env.scenario(...), or return the values in a list"
        )
    if not hasattr(function, "__qualname__"):
        raise TypeError(
            f"traced_eval needs a function, but got {function!r:.80}; decorate the "
            f"function itself"
        )
