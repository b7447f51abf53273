"""Model calls through the openai client, instrumented by us and by others.

Each contender has an environment of its own with the same client, kept in the
cache folder of the user; the others' export goes to a receiver on loopback, ours
to its durable store. Content is recorded by all of them.
"""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import venv
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.episodes import LONG, calls, model_server, plain_calls
from benchmarks.rounds import Figures, print_rows, race, ratio, serve
from benchmarks.spans import Sink

SINK = "HUDTRACE_BENCHMARK_SINK"
EXPORTER = "opentelemetry-exporter-otlp-proto-http==1.45.2"
PEERS = {
    "genai-openai": ["opentelemetry-instrumentation-genai-openai==1.3b0", EXPORTER],
    "OpenLLMetry": ["opentelemetry-instrumentation-openai==0.62.4", EXPORTER],
    "OpenInference": ["openinference-instrumentation-openai==0.1.66", EXPORTER],
    "Logfire": ["logfire==5.4.0", EXPORTER],
    "Langfuse": ["langfuse==5.0.4", EXPORTER],
}
WORK = {"call": (False, "hello"), "stream": (True, "hello"), "long": (False, LONG)}


def python_of(peer: str) -> str:
    """Return the interpreter of a peer's environment, made where it is missing."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    openai = f"openai=={version('openai')}"
    folder = cache / "hudtrace" / "peers" / f"{peer}-{version('openai')}"
    python = str(folder / "bin" / "python")
    if not (folder / "ready").exists():
        print(f"installing {peer} …", file=sys.stderr)
        venv.create(folder, with_pip=True, clear=True)
        command = [python, "-m", "pip", "install", "-q", openai, *PEERS[peer]]
        subprocess.run([*command, "--disable-pip-version-check"], check=True)
        (folder / "ready").touch()
    return python


def provider() -> Any:
    """Return a provider of the SDK with its batch processor, set for the process."""
    from opentelemetry import trace
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = TracerProvider(shutdown_on_exit=False)
    endpoint = f"{os.environ[SINK]}/v1/traces"
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint)))
    trace.set_tracer_provider(made)
    return made


def instrument(peer: str) -> Callable[[], object]:
    """Have *peer* trace the openai client; return its flush."""
    os.environ["OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"] = "SPAN_ONLY"
    os.environ["OTEL_SEMCONV_STABILITY_OPT_IN"] = "gen_ai_latest_experimental"
    if peer == "Logfire":
        import logfire
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import (
            OTLPSpanExporter,
        )
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        exporter = OTLPSpanExporter(f"{os.environ[SINK]}/v1/traces")
        logfire.configure(
            send_to_logfire=False,
            console=False,
            additional_span_processors=[BatchSpanProcessor(exporter)],
        )
        logfire.instrument_openai()
        return logfire.force_flush
    if peer == "Langfuse":
        from langfuse import Langfuse

        client = Langfuse(public_key="pk", secret_key="sk", base_url=os.environ[SINK])
        return client.flush
    made = provider()
    if peer == "genai-openai":
        from opentelemetry.instrumentation.genai.openai import OpenAIInstrumentor
    elif peer == "OpenLLMetry":
        from opentelemetry.instrumentation.openai import OpenAIInstrumentor
    else:
        from openinference.instrumentation.openai import OpenAIInstrumentor
    OpenAIInstrumentor().instrument(tracer_provider=made)
    return made.force_flush


def contender(name: str) -> Callable[[], Callable[[], Figures]]:
    """Return how to set up `peer/work`."""
    peer, _, work = name.partition("/")
    stream, prompt = WORK[work]
    if peer in ("bare", "hudtrace"):
        return lambda: calls(peer == "hudtrace", stream, prompt)

    def setup() -> Callable[[], Figures]:
        flush = instrument(peer)
        client = None
        if peer == "Langfuse":
            from langfuse.openai import AsyncOpenAI as client
        return plain_calls(stream, prompt, flush, client)

    return setup


def main(rounds: int = 7) -> None:
    """Print the table."""
    sink = ThreadingHTTPServer(("127.0.0.1", 0), Sink)
    threading.Thread(target=sink.serve_forever, daemon=True).start()
    os.environ[SINK] = f"http://127.0.0.1:{sink.server_address[1]}"
    pythons = {peer: python_of(peer) for peer in PEERS}
    rows = []
    with model_server():
        for work in WORK:
            names = [f"{each}/{work}" for each in ("bare", "hudtrace", *PEERS)]
            of = {f"{peer}/{work}": python for peer, python in pythons.items()}
            results = race("benchmarks.peers", names, rounds, of)
            for name in names[1:]:
                figure = ratio(results[name], results[names[0]], "cpu")
                goal = "below every other" if name.startswith("hudtrace") else "-"
                rows.append((f"{work}: {name.partition('/')[0]}", figure, goal))
    print_rows("Model calls with content, to the bare client (CPU)", rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["contender"]:
        serve({sys.argv[2]: contender(sys.argv[2])})
    else:
        main()
