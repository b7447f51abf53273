"""The `hudtrace` command: results on stdout, progress and notices on stderr."""

from __future__ import annotations

import argparse
import math
import os
import sqlite3
import sys
from collections.abc import Sequence

from hudtrace.errors import HudtraceError
from hudtrace.terminal import tolerate_encodings, visible

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


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line; return 0, 1 for a failure, 2 for wrong usage."""
    tolerate_encodings()
    options = _parser().parse_args(argv)
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


def _failed(why: str) -> int:
    print(visible(f"hudtrace: {why}"), file=sys.stderr)
    return 1


def _drop_output() -> None:
    """Let what stdout cannot take go nowhere, not fail again at the exit."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _count(text: str) -> int:
    count = int(text)
    if not 1 <= count < 2**63:
        raise argparse.ArgumentTypeError(f"{text} is not 1 or more")
    return count


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"{text} is not more than 0")
    return value


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text} is no port: they go from 0 to 65535")
    return port


# What argparse calls them where a text is no number at all.
_count.__name__, _positive.__name__, _port.__name__ = "count", "number", "port"


def _parser() -> argparse.ArgumentParser:
    from hudtrace import __version__

    parser = argparse.ArgumentParser(
        prog="hudtrace",
        description="Evals of AI agents, traced down to the reward.",
        epilog="The store is a file: HUDTRACE_STORE, or one in your data directory.",
    )
    parser.add_argument(
        "--version", action="version", version=f"hudtrace {__version__}"
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_demo(commands)
    _add_ls(commands)
    _add_show(commands)
    _add_forward(commands)
    _add_store(commands)
    _add_stack(commands)
    _add_doctor(commands)
    _add_serve(commands)
    _add_model_server(commands)
    return parser


def _add_demo(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    demo = commands.add_parser(
        "demo",
        help="run a small eval of two agents, offline unless you choose a model",
        description="Run two agent variants on twelve tasks, through the real openai "
        "client: against a scripted model on this machine, or with --model and "
        "OPENAI_API_KEY against a real one.",
    )
    demo.add_argument("--model", help="a real model, for example gpt-4o-mini")
    demo.add_argument("--base-url", help="another OpenAI-compatible endpoint")
    demo.add_argument("--json", action="store_true", help="print the results as JSON")
    demo.set_defaults(run=_run_demo)


def _add_ls(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    ls = commands.add_parser("ls", help="list the newest episodes")
    ls.add_argument("-n", "--limit", type=_count, default=20, help="how many (20)")
    ls.add_argument("--job", help="only those of a job")
    ls.add_argument(
        "--outcome", help="only those with an outcome, e.g. agent_error, or running"
    )
    ls.add_argument("--store", help="path of the store")
    ls.add_argument("--json", action="store_true", help="print JSON, one per line")
    ls.set_defaults(run=_run_ls)


def _add_forward(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    forward = commands.add_parser(
        "forward",
        help="send what waits in the store to its backends",
        description="Send the spans that an outage or a crash has left in the store, to "
        "the configured exporters or those of --to. With --since, spans are sent that "
        "were never meant for the backend too.",
    )
    forward.add_argument(
        "--to",
        action="append",
        default=[],
        metavar="NAME",
        help="an exporter, e.g. otlp",
    )
    forward.add_argument("--since", help="also spans since then: 2h, 7d, 2026-11-24")
    forward.add_argument(
        "--again", action="store_true", help="also what the backend has refused"
    )
    forward.add_argument(
        "--timeout",
        type=float,
        default=30.0,
        help="give up after so many seconds without progress (30)",
    )
    forward.add_argument(
        "--list", action="store_true", help="only list what waits, and where for"
    )
    forward.add_argument("--store", help="path of the store")
    forward.add_argument("--json", action="store_true", help="print the list as JSON")
    forward.set_defaults(run=_run_forward)


def _add_store(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    store = commands.add_parser("store", help="look after the store")
    actions = store.add_subparsers(dest="action", required=True, metavar="ACTION")
    texts = {
        "info": "what it holds",
        "gc": "delete old traces, and what nothing refers to",
        "check": "look for damage",
        "migrate": "bring it to this version of hudtrace",
    }
    for name, help_text in texts.items():
        action = actions.add_parser(name, help=help_text)
        action.add_argument("--store", help="path of the store")
        if name == "info":
            action.add_argument("--json", action="store_true", help="print JSON")
        if name == "gc":
            action.add_argument("--days", type=_positive, help="keep so many (90)")
            action.add_argument(
                "--megabytes", type=_positive, help="keep so many (5000)"
            )
            action.add_argument(
                "--dry-run", action="store_true", help="only say what would go"
            )
    store.set_defaults(run=_run_store)


def _add_stack(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    texts = {
        "up": "start a collector and a Jaeger on this machine, in Docker",
        "down": "stop them; what they have stored stays",
        "status": "say whether they are healthy",
    }
    for name, help_text in texts.items():
        commands.add_parser(name, help=help_text).set_defaults(run=_run_stack)


def _add_doctor(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="say what is installed, configured and reachable, and what is not",
    )
    doctor.add_argument("--json", action="store_true", help="print JSON")
    doctor.set_defaults(run=_run_doctor)


def _add_serve(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    serve = commands.add_parser(
        "serve",
        help="serve the scenarios of an environment over HTTP and MCP",
        description="Let any OpenAI or MCP client run the scenarios of an environment, "
        "each session one eval. With --model, that is the agent, and its key is in the "
        "variable that its provider names. Without, MCP clients are the agent: they "
        "get a scenario's prompt, call the tools, and submit. With HUDTRACE_TOKEN set, "
        "clients must send that as their key.",
    )
    serve.add_argument(
        "environment", metavar="MODULE:ENV", help="for example trivia:env"
    )
    serve.add_argument("--model", help="the model that answers (none: the client)")
    serve.add_argument(
        "--stdio",
        action="store_true",
        help="serve one MCP client, which is the agent, over stdin and stdout",
    )
    serve.add_argument(
        "--client",
        choices=("openai", "anthropic", "gemini"),
        default="openai",
        help="whose client asks it (openai)",
    )
    serve.add_argument("--base-url", help="another endpoint for that client")
    serve.add_argument(
        "--api",
        choices=("auto", "chat_completions", "responses"),
        default="auto",
        help="which API of openai (chat_completions)",
    )
    serve.add_argument("--host", default="127.0.0.1", help="address (127.0.0.1)")
    serve.add_argument("--port", type=_port, default=8321, help="port (8321; 0: any)")
    serve.add_argument(
        "--session-ttl",
        type=float,
        default=1800,
        help="seconds after which an idle session is closed (1800)",
    )
    serve.add_argument(
        "--max-steps",
        type=int,
        default=20,
        help="model calls that one message may take (20)",
    )
    serve.set_defaults(run=_run_serve)


def _add_model_server(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    server = commands.add_parser(
        "model-server",
        help="serve a scripted model on this machine, to try clients offline",
        description="Serve a model that echoes, or that says what a script says, in the "
        "wire formats of OpenAI, Anthropic and Gemini. It checks requests about as "
        "strictly as they do.",
        epilog=_SCRIPT,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    server.add_argument(
        "--script",
        metavar="FILE",
        help="a JSON list of replies, given again and again; see below",
    )
    server.add_argument("--port", type=_port, default=8330, help="port (8330; 0: any)")
    server.set_defaults(run=_run_model_server)


def _add_show(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    show = commands.add_parser(
        "show", help="show an episode: its span tree and its conversation"
    )
    show.add_argument(
        "trace", help="trace id, or its first digits; 'last' for the newest"
    )
    show.add_argument("--full", action="store_true", help="do not shorten texts")
    show.add_argument("--store", help="path of the store")
    show.add_argument("--json", action="store_true", help="print JSON")
    show.set_defaults(run=_run_show)


def _run_demo(options: argparse.Namespace) -> int:
    from hudtrace.cli.demo import run

    return run(options.model, options.base_url, as_json=options.json)


def _run_ls(options: argparse.Namespace) -> int:
    from hudtrace.cli.listing import run

    return run(
        options.store,
        limit=options.limit,
        job=options.job,
        outcome=options.outcome,
        as_json=options.json,
    )


def _run_show(options: argparse.Namespace) -> int:
    from hudtrace.cli.show import run

    return run(options.store, options.trace, full=options.full, as_json=options.json)


def _run_forward(options: argparse.Namespace) -> int:
    from hudtrace.cli import forward

    if options.list:
        return forward.show_list(options.store, as_json=options.json)
    return forward.run(
        options.store,
        to=options.to,
        since=options.since,
        again=options.again,
        timeout=options.timeout,
    )


def _run_store(options: argparse.Namespace) -> int:
    from hudtrace.cli import maintenance

    if options.action == "info":
        return maintenance.info(options.store, as_json=options.json)
    if options.action == "gc":
        return maintenance.collect(
            options.store,
            days=options.days,
            megabytes=options.megabytes,
            dry_run=options.dry_run,
        )
    if options.action == "check":
        return maintenance.check(options.store)
    return maintenance.migrate(options.store)


def _run_stack(options: argparse.Namespace) -> int:
    from hudtrace.cli import stack

    return int(
        {"up": stack.up, "down": stack.down, "status": stack.status}[options.command]()
    )


def _run_serve(options: argparse.Namespace) -> int:
    from hudtrace.cli import serve

    return serve.run(
        options.environment,
        model=options.model,
        stdio=options.stdio,
        client=options.client,
        base_url=options.base_url,
        api=options.api,
        host=options.host,
        port=options.port,
        session_ttl=options.session_ttl,
        max_steps=options.max_steps,
    )


def _run_model_server(options: argparse.Namespace) -> int:
    from hudtrace.cli import model_server

    return model_server.run(options.script, options.port)


def _run_doctor(options: argparse.Namespace) -> int:
    from hudtrace.cli import doctor

    return doctor.run(as_json=options.json)
