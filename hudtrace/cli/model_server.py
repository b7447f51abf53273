"""`hudtrace model-server`: the scripted model by hand, for trying clients offline."""

from __future__ import annotations

import argparse
import sys
import threading
from pathlib import Path
from typing import Any

from hudtrace.cli.arguments import port
from hudtrace.errors import ConfigurationError
from hudtrace.testing.scripted import ScriptedModel
from hudtrace.testing.scripts import (
    ScriptedReply,
    ScriptedRequest,
    last_text,
    read_script,
    say,
)

_ADDRESSES = """\
OpenAI (Chat Completions, Responses)  base_url={url}
Anthropic                             base_url={origin}
Gemini (google-genai)                 http_options={{"base_url": "{origin}"}}
model                                 {model} (any name will do)"""


_SCRIPT = """\
a reply of the script is a text, or an object with any of these fields:
  text         what the model says
  calls        tools that it calls: [{"name": ..., "arguments": {...} or text}]
  reasoning    what it thinks before
  status       an HTTP status in place of an answer, such as 429 or 500
  message      the text of that error
  delay        seconds before the answer
  chunk_delay  seconds between the events of a stream
  cut_after    break the connection after so many events, or bytes of a body

for example:
  [{"calls": [{"name": "lookup_ceo", "arguments": {"company": "HUD"}}]}, "JR"]"""


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Serve a model that echoes, or that says what a script says, in the "
        "wire formats of OpenAI, Anthropic and Gemini. It checks requests about as "
        "strictly as they do."
    )
    parser.epilog = _SCRIPT
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument(
        "--script",
        metavar="FILE",
        help="a JSON list of replies, given again and again; see below",
    )
    parser.add_argument("--port", type=port, default=8330, help="port (8330; 0: any)")
    parser.set_defaults(run=lambda o: run(o.script, o.port))


def run(script: str | None, port: int) -> int:
    """Serve until interrupted: the replies of a JSON file, or an echo."""
    answers: Any = _echo if script is None else _repeat(_read(script))
    model = ScriptedModel(answers)
    try:
        model.start(port)
    except OSError as error:
        raise ConfigurationError(
            f"cannot serve on port {port}: {error.strerror}; choose another: --port 0"
        ) from error
    addresses = _ADDRESSES.format(url=model.url, origin=model.origin, model=model.model)
    print(addresses, flush=True)
    print("Ctrl-C stops it", file=sys.stderr)
    try:
        threading.Event().wait()
    finally:
        model.close()
    return 0


def _echo(request: ScriptedRequest) -> ScriptedReply:
    return say(f"You said: {last_text(request)}")


def _read(path: str) -> list[ScriptedReply]:
    try:
        return read_script(Path(path).read_text("utf-8"))
    except ValueError as error:
        raise ConfigurationError(f"the script {path}: {error}") from error


def _repeat(replies: list[ScriptedReply]) -> Any:
    """Return a script that begins again after the last reply."""
    count = iter(range(sys.maxsize))
    return lambda _: replies[next(count) % len(replies)]
