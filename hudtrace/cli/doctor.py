"""`hudtrace doctor`: what is installed, configured and reachable, and what is wrong."""

from __future__ import annotations

import argparse
import json
import platform
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, entry_points, version
from typing import Any, Literal

from hudtrace import settings
from hudtrace.backends import Misconfigured, Parcel, Undelivered, backend_names
from hudtrace.cli import text
from hudtrace.errors import HudtraceError
from hudtrace.instrumentation import CLIENTS
from hudtrace.runtime import chosen_backends, namesakes
from hudtrace.settings import Settings
from hudtrace.store.store import Store, bytes_on_disk

State = Literal["ok", "note", "problem"]
_MARKS = {"ok": "✓", "note": "·", "problem": "✗"}
_PACKAGES = ("opentelemetry-sdk", "opentelemetry-exporter-otlp", "pydantic")
_PING_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report; *state* problem makes the command fail."""

    topic: str
    state: State
    text: str


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(run=lambda o: run(as_json=o.json))


def run(*, as_json: bool) -> int:
    """Print the findings; return 1 if there is a problem, else 0."""
    findings = []
    for finding in _examine():
        findings.append(finding)
        if not as_json:
            line = f"{_MARKS[finding.state]} {finding.topic:<11} {finding.text}"
            print(text.visible(line))
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    problems = sum(finding.state == "problem" for finding in findings)
    if not as_json:
        found = (
            f"{problems} problem{'s' * (problems != 1)}" if problems else "all is well"
        )
        print(found, file=sys.stderr)
    return 1 if problems else 0


def _examine() -> Iterator[Finding]:
    yield from _versions()
    try:
        chosen = settings.load()
    except HudtraceError as error:
        yield Finding("settings", "problem", str(error))
        return
    yield from _settings(chosen)
    yield _store(chosen)
    yield from _exporters(chosen)
    yield from _clients()
    yield from _others()


def _versions() -> Iterator[Finding]:
    found = [f"{name} {version(name)}" for name in ("hudtrace", *_PACKAGES)]
    python = platform.python_version()
    yield Finding("versions", "ok", f"Python {python}, {', '.join(found)}")


def _settings(chosen: Settings) -> Iterator[Finding]:
    for name, source in chosen.sources.items():
        value = getattr(chosen, name)
        shown = "…" if name.endswith("token") else repr(value)
        unknown = name == "exporters" and set(value or ()) - set(backend_names())
        state: State = "note" if unknown else "ok"  # what is wrong comes below
        yield Finding("settings", state, f"{name} = {shown} (from {source})")
    if settings.export_is_off():
        why = "OTEL_SDK_DISABLED or OTEL_TRACES_EXPORTER=none"
        yield Finding("settings", "note", f"{why} turns exporters off")


def _store(chosen: Settings) -> Finding:
    if chosen.store is None:
        return Finding(
            "store", "note", "in memory: nothing is kept (HUDTRACE_STORE=off)"
        )
    try:
        store = Store(chosen.store)
        journal = store.journal
        store.close()
    except Exception as error:
        return Finding("store", "problem", f"{chosen.store} cannot be used: {error}")
    line = f"{chosen.store}, {bytes_on_disk(chosen.store) / 1e6:.1f} MB"
    if journal != "wal":
        return Finding("store", "note", f"{line}, on a file system without WAL: slower")
    return Finding("store", "ok", line)


def _exporters(chosen: Settings) -> Iterator[Finding]:
    try:
        backends = chosen_backends(chosen)
    except HudtraceError as error:
        yield Finding("exporter", "problem", str(error))
        return
    if not backends:
        names = ", ".join(backend_names())
        yield Finding("exporter", "note", f"none configured (there are: {names})")
    for backend in backends:
        yield _reached(backend)


def _reached(backend: Any) -> Finding:
    """Send a request without spans, which every OTLP receiver takes."""
    try:
        sender = backend.open()
        try:
            sender.send(Parcel(b"", 0), _PING_SECONDS)
        finally:
            sender.close()
    except Misconfigured as error:
        return Finding("exporter", "problem", f"{backend.label} refuses us: {error}")
    except Undelivered as error:
        why = f"{backend.label} does not answer: {error}"
        return Finding("exporter", "problem", why)
    except Exception as error:
        why = f"{backend.label} fails: {type(error).__name__}: {error}"
        return Finding("exporter", "problem", why)
    return Finding("exporter", "ok", f"{backend.label} takes spans")


def _clients() -> Iterator[Finding]:
    for name in CLIENTS:
        try:
            installed = version(name)
        except PackageNotFoundError:
            yield Finding("client", "note", f"{name} is not installed")
            continue
        try:
            count = _spans_of_a_call(name)
        except Exception as error:
            why = f"{name} {installed}: the mock call failed: {error!r:.200}"
            yield Finding("client", "problem", why)
            continue
        state: State = "ok" if count == 1 else "problem"
        yield Finding(
            "client", state, f"{name} {installed}: {count} span per mock call"
        )


def _spans_of_a_call(name: str) -> int:
    """Call a scripted model through the real client; return how many spans it made."""
    import hudtrace
    from hudtrace.testing import ScriptedModel, captured_spans, say

    hudtrace.configure(store="off", exporters=[], quiet=True)
    with ScriptedModel([say("hello")]) as model, captured_spans() as spans:
        _CALLS[name](model)
    return len(spans)


def _call_openai(model: Any) -> None:
    from openai import OpenAI

    with OpenAI(base_url=model.url, api_key="none", max_retries=0) as client:
        client.chat.completions.create(
            model=model.model, messages=[{"role": "user", "content": "hi"}]
        )


def _call_anthropic(model: Any) -> None:
    from anthropic import Anthropic

    with Anthropic(base_url=model.origin, api_key="none", max_retries=0) as client:
        client.messages.create(
            model=model.model,
            max_tokens=9,
            messages=[{"role": "user", "content": "hi"}],
        )


def _call_google_genai(model: Any) -> None:
    from google.genai import Client

    client = Client(api_key="none", http_options={"base_url": model.origin})
    client.models.generate_content(model=model.model, contents="hi")


def _call_google_generativeai(model: Any) -> None:
    from importlib import import_module

    generativeai = import_module("google.generativeai")
    options = {"api_endpoint": model.origin}
    generativeai.configure(api_key="none", transport="rest", client_options=options)
    generativeai.GenerativeModel(model.model).generate_content("hi")


_CALLS: dict[str, Callable[[Any], None]] = {
    "anthropic": _call_anthropic,
    "google.genai": _call_google_genai,
    "google.generativeai": _call_google_generativeai,
    "openai": _call_openai,
}


def _others() -> Iterator[Finding]:
    """Find what may trace the same calls, or shadow our names."""
    for point in entry_points(group="opentelemetry_instrumentor"):
        if any(client in point.name for client in CLIENTS):
            made_by = point.dist.name if point.dist else point.value
            why = (
                f"{made_by} traces {point.name} as well where it is switched on: in an "
                f"eval's trace our spans of the calls stand for its own"
            )
            yield Finding("others", "note", why)
    for name in namesakes():
        why = (
            f"{name} is installed, too, and has a package 'hud': '{text.command('')}' is "
            f"ours, but `import hud` may not be; uninstall it or `import hudtrace`"
        )
        yield Finding("others", "problem", why)
