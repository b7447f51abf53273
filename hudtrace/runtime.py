"""What this process records with: settings, tracer and delivery, set up once."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hudtrace import semconv, settings
from hudtrace.backends import Backend, find_backends
from hudtrace.notices import internal_error, notify_once
from hudtrace.settings import Content, Settings
from hudtrace.store.viewers import viewer_of
from hudtrace.tracing.provider import (
    HandOver,
    join_global_provider,
    make_resource,
    use_tracer,
)
from hudtrace.tracing.spans import Tracer

if TYPE_CHECKING:
    from hudtrace.delivery.ledger import DeliveryReport
    from hudtrace.delivery.pipeline import Pipeline
    from hudtrace.delivery.processor import ForeignSpans

_VIEWER = "http://127.0.0.1:7680"

_runtime: Runtime | None = None
_foreign: ForeignSpans | None = None
_lock = threading.RLock()


def viewer_trace_url(store: Path | None) -> str:
    """Return the template of addresses in the viewer of *store*.

    It is the one that runs, else that on the port which it has if nobody says another.
    """
    return f"{viewer_of(store) or _VIEWER}/trace/{{trace_id}}"


class Runtime:
    """The settings, the tracer and the delivery pipeline of this process."""

    def __init__(self, chosen: Settings) -> None:
        from hudtrace.delivery.pipeline import Pipeline

        self.settings = chosen
        resource = make_resource(_describe_source(), settings.service_name())
        self.backends = chosen_backends(chosen)
        self.pipeline: Pipeline = Pipeline(chosen, self.backends)
        self.tracer = Tracer(self.pipeline, resource)
        self.pipeline.hand_over = _join(self.pipeline, resource)
        use_tracer(self.tracer)

    def trace_url(self, trace_id: str, span_id: str) -> str:
        """Return where a trace can be opened; hex ids."""
        urls = (backend.trace_url() for backend in self.backends)
        template = self.settings.trace_url or next(filter(None, urls), None)
        template = template or viewer_trace_url(self.settings.store)
        return template.replace("{trace_id}", trace_id).replace("{span_id}", span_id)

    def report(self, trace_id: str) -> DeliveryReport:
        """Return what has become of the spans of one trace."""
        return self.pipeline.report(trace_id)

    def span_count(self, trace_id: str) -> int:
        """Return how many spans of one trace have been started."""
        return self.pipeline.started_count(trace_id)

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until everything that ended is stored and exported."""
        return self.pipeline.flush(timeout)


def get_runtime() -> Runtime:
    """Return the process's runtime, set up with defaults if nobody configured."""
    runtime = _runtime
    if runtime is None:
        configure()
        runtime = _runtime
    assert runtime is not None
    return runtime


def configure(
    *,
    store: str | Path | None = None,
    exporters: Iterable[str | Backend] | None = None,
    content: Content | None = None,
    redact: Callable[[str], str] | None = None,
    trace_url: str | None = None,
    tool_threads: int | None = None,
    instrument: bool | Iterable[str] | None = None,
    exit_timeout: float | None = None,
    quiet: bool = False,
) -> None:
    """Set up recording for this process; later calls replace the settings.

    `store` is the path of the local store or `"off"`; `exporters` are names of
    backends that spans also go to, or backends themselves, `[]` for none; `content` is `"full"` or
    `"none"`; `redact` gets each text before it is written and returns what to
    keep; `trace_url` is a template with `{trace_id}` and `{span_id}`;
    `instrument` chooses provider clients by name, False for none; `exit_timeout`
    bounds the seconds that the end of the process waits for exporters. What is not
    given comes from the environment, pyproject.toml and defaults.

    Says once on stderr where spans go, unless `quiet`. Without a call, the
    first eval does this with defaults. Raises `ConfigurationError` for a value
    that cannot be used.
    """
    global _runtime
    chosen = settings.load(
        store=store,
        exporters=exporters,
        exit_timeout=exit_timeout,
        content=content,
        redact=redact,
        trace_url=trace_url,
        tool_threads=tool_threads,
        instrument=instrument,
    )
    with _lock:
        previous, _runtime = _runtime, None
        if previous is not None:
            previous.pipeline.close()
        _runtime = Runtime(chosen)
        _instrument(chosen)
    if not quiet:
        print(f"hudtrace: {_where(_runtime)}", file=sys.stderr)
    _warn_of_namesakes()


def flush(timeout: float = 30.0) -> bool:
    """Wait up to *timeout* seconds until every ended span is stored and exported.

    Returns whether all of them are; spans still open do not count.
    """
    return True if _runtime is None else _runtime.flush(timeout)


def _join(pipeline: Pipeline, resource: Any) -> HandOver:
    """Bring foreign spans to *pipeline*; an SDK provider is joined only once."""
    global _foreign
    if _foreign is None:
        from hudtrace.delivery.processor import ForeignSpans

        _foreign = ForeignSpans(pipeline)
    _foreign.pipeline = pipeline
    return join_global_provider(_foreign, resource)


def _instrument(chosen: Settings) -> None:
    from hudtrace.instrumentation import instrument
    from hudtrace.threads import resize_tool_threads

    resize_tool_threads(chosen.tool_threads)
    if chosen.instrument is True:
        instrument()
    elif chosen.instrument:
        instrument(list(chosen.instrument))


def chosen_backends(chosen: Settings) -> list[Backend]:
    """Return where spans are sent: as chosen, and the environment's OTLP endpoint."""
    none_wanted = "exporters" in chosen.sources and not chosen.exporters
    if settings.export_is_off() or none_wanted:
        return []
    found = find_backends(chosen.exporters) if chosen.exporters else []
    endpoint = settings.otlp_endpoint()
    if endpoint is None:
        return found
    (otlp,) = find_backends(["otlp"])
    # A backend that was chosen may itself take that address from the environment.
    known = any(backend.endpoint == otlp.endpoint for backend in found)
    return found if known else [*found, otlp]


def _where(runtime: Runtime) -> str:
    store = runtime.settings.store
    place = "memory (HUDTRACE_STORE=off)" if store is None else str(store)
    content = "metadata only" if runtime.settings.content == "none" else "full content"
    line = f"spans go to {place} ({content})"
    others = [backend.label for backend in runtime.backends]
    return f"{line} and to {' and '.join(others)}" if others else line


def namesakes() -> list[str]:
    """Return the other distributions here that install a package `hud`."""
    from importlib.metadata import Distribution, PackageNotFoundError

    found = []
    for name in ("hud", "hud-python"):
        try:
            Distribution.from_name(name)
        except PackageNotFoundError:
            continue
        found.append(name)
    return found


def _warn_of_namesakes() -> None:
    for name in namesakes():
        notify_once(
            f"namesake-{name}",
            f"the distribution {name!r} is installed beside hudtrace, and both have a "
            f"package `hud`: the one installed last is what `import hud` gives. "
            f"`pip uninstall {name}` and install hudtrace again, or `import hudtrace`",
        )


def _describe_source() -> dict[str, Any]:
    """Return the revision of the code that runs, from git; empty without git."""
    try:
        answer = subprocess.run(
            ["git", "status", "--porcelain=v2", "--branch", "--untracked-files=no"],
            capture_output=True,
            text=True,
            timeout=2,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return {}
    except Exception as error:
        internal_error("reading the git revision", error)
        return {}
    head: dict[str, str] = {}
    for line in answer.splitlines():
        if line.startswith("# branch."):
            key, _, value = line.removeprefix("# branch.").partition(" ")
            head[key] = value
    dirty = any(not line.startswith("#") for line in answer.splitlines())
    return {
        semconv.VCS_REVISION: head.get("oid", ""),
        semconv.VCS_BRANCH: head.get("head", ""),
        semconv.VCS_DIRTY: dirty,
    }
