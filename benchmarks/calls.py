"""Model calls through the openai client, instrumented by us and by others.

Each contender has an environment of its own with the same client, kept in the
cache folder of the user; the others' export goes to a receiver on loopback, ours
to its durable store. Content is recorded by all of them.
"""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from http.server import ThreadingHTTPServer
from importlib.metadata import version
from pathlib import Path
from typing import Any

from benchmarks.model import TOOLS, client, model_server
from benchmarks.rounds import (
    Figures,
    cache_folder,
    environment,
    lower,
    print_rows,
    race,
    ratio,
    serve,
)
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
CALLS, STREAMS = 600, 150  # a round is longer than three commits
LONG = " ".join(f"word{n % 997}" for n in range(18_000))
WORK = {"call": (False, "hello"), "stream": (True, "hello"), "long": (False, LONG)}
GOALS = {"call": "<= 1.18", "stream": "<= 1.20", "long": "<= 1.3 (reach)"}


def python_of(peer: str) -> str:
    """Return the interpreter of a peer's environment, made where it is missing."""
    folder = cache_folder("peers") / f"{peer}-{version('openai')}"
    packages = [*PEERS[peer], f"openai=={version('openai')}"]
    return str(environment(folder, packages) / "python")


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


def calls(
    stream: bool,
    prompt: str,
    flush: Callable[[], object] = lambda: None,
    make: Any = None,
) -> Callable[[], Figures]:
    """Model calls one after another, through *make*'s client or openai's."""
    count = STREAMS if stream else CALLS
    numbers = iter(range(10**9))

    async def run() -> None:
        openai = client(make)
        for _ in range(count):
            text = f"{next(numbers)} {prompt}" if len(prompt) > 1000 else prompt
            messages: Any = [{"role": "user", "content": text}]
            answer = await openai.chat.completions.create(
                model="scripted-1", messages=messages, tools=TOOLS, stream=stream
            )
            if stream:
                async for _ in answer:
                    pass
        await openai.close()

    def measure() -> Figures:
        cpu = time.process_time()
        asyncio.run(run())
        flush()
        return {"cpu": (time.process_time() - cpu) / count}

    return measure


def ours(stream: bool, prompt: str) -> Callable[[], Figures]:
    """Model calls instrumented by hudtrace."""
    import hudtrace as hud

    folder = Path(tempfile.mkdtemp(prefix="hudtrace-bench-"))
    hud.configure(store=folder / "traces.db", quiet=True)
    return calls(stream, prompt, lambda: hud.flush(60))


def contender(name: str) -> Callable[[], Callable[[], Figures]]:
    """Return how to set up `peer/work`."""
    peer, _, work = name.partition("/")
    stream, prompt = WORK[work]
    if peer == "bare":
        return lambda: calls(stream, prompt)
    if peer == "hudtrace":
        return lambda: ours(stream, prompt)

    def setup() -> Callable[[], Figures]:
        flush = instrument(peer)
        make = None
        if peer == "Langfuse":
            from langfuse.openai import AsyncOpenAI as make
        return calls(stream, prompt, flush, make)

    return setup


def main(rounds: int = 12) -> None:
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
            results = race("benchmarks.calls", names, rounds, of)
            base = results.pop(f"bare/{work}")
            for name, figures in results.items():
                low, bare = lower(figures, "cpu"), lower(base, "cpu")
                figure = f"{ratio(figures, base, 'cpu')}; by lower quartiles "
                figure += f"{low / bare:.2f}, {(low - bare) * 1e6:.0f} µs added"
                goal = f"{GOALS[work]}, the least" if "hudtrace" in name else "-"
                rows.append((f"{work}: {name.partition('/')[0]}", figure, goal))
    print_rows("Model calls with content, to the bare client (CPU)", rows)


if __name__ == "__main__":
    if sys.argv[1:2] == ["contender"]:
        serve({sys.argv[2]: contender(sys.argv[2])})
    else:
        main()
