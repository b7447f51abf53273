"""The `hudtrace` command: results on stdout, progress and notices on stderr."""

from __future__ import annotations

import argparse
import importlib
import os
import sqlite3
import sys
from collections.abc import Collection, Sequence

from hudtrace.errors import HudtraceError
from hudtrace.terminal import tolerate_encodings, visible

#: Each command: its module here, which is imported only for it, and what it does.
#: The module has `add(parser)`, which says what it takes and what runs it.
COMMANDS = {
    "demo": (
        "demo",
        "run a small eval of two agents, offline unless you choose a model",
    ),
    "ls": ("listing", "list episodes, jobs or traces, the newest first"),
    "search": ("search", "find texts of messages, tools, errors and rewards"),
    "show": ("show", "show an episode: its span tree and its conversation"),
    "diff": ("diffing", "show how two episodes differ"),
    "tail": ("tail", "print what evals do, a line each, while they do it"),
    "open": ("addresses", "open an episode or a job in the browser"),
    "url": ("addresses", "print the address of an episode or a job"),
    "view": ("view", "show every trace in the browser, live, and receive more"),
    "export": ("exporting", "write an episode or a job for other programs, or to read"),
    "import": ("importing", "add traces from files: OTLP, Jaeger, our own exports"),
    "forward": ("forward", "send what waits in the store to its backends"),
    "store": ("maintenance", "look after the store"),
    "up": ("stack", "start a collector and a Jaeger on this machine, in Docker"),
    "down": ("stack", "stop them; what they have stored stays"),
    "status": ("stack", "say whether they are healthy"),
    "doctor": (
        "doctor",
        "say what is installed, configured and reachable, and what is not",
    ),
    "completion": ("completion", "print what makes a shell complete these commands"),
    "serve": ("serve", "serve the scenarios of an environment over HTTP and MCP"),
    "model-server": (
        "model_server",
        "serve a scripted model on this machine, to try clients offline",
    ),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 for a failure, 2 for wrong usage."""
    tolerate_encodings()
    words = sys.argv[1:] if argv is None else argv
    options = parser(words).parse_args(words)
    try:
        code = int(options.run(options))
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        # The reader went away (`hudtrace ls | head`): nothing to complain about.
        _drop_output()
        return 0
    except sqlite3.Error as error:
        return _failed(f"cannot use the store: {error}")
    except HudtraceError as error:
        return _failed(str(error))
    except OSError as error:
        _drop_output()
        return _failed(str(error))
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def parser(words: Collection[str] = tuple(COMMANDS)) -> argparse.ArgumentParser:
    """Return the parser; of the commands that *words* name, with all they take."""
    from hudtrace import __version__

    made = argparse.ArgumentParser(
        prog="hudtrace",
        description="Evals of AI agents, traced down to the reward.",
        epilog="The store is a file: HUDTRACE_STORE, or one in your data directory.",
    )
    made.add_argument("--version", action="version", version=f"hudtrace {__version__}")
    commands = made.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, does) in COMMANDS.items():
        command = commands.add_parser(name, help=does)
        if name in words:
            importlib.import_module(f"{__name__}.{module}").add(command)
    return made


def _failed(why: str) -> int:
    print(visible(f"hudtrace: {why}"), file=sys.stderr)
    return 1


def _drop_output() -> None:
    """Let what stdout cannot take go nowhere, not fail again at the exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
