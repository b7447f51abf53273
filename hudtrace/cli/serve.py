"""`hudtrace serve`: the scenarios of an environment over HTTP and MCP."""

from __future__ import annotations

import argparse
import importlib
import sys
from pathlib import Path
from typing import Any

from hudtrace import settings
from hudtrace.cli.arguments import port
from hudtrace.cli.text import command
from hudtrace.environment import Environment
from hudtrace.errors import ConfigurationError, MissingExtra, UnknownEnvironment
from hudtrace.server import serve_as_agent
from hudtrace.server.options import is_loopback

CLIENTS = {"openai": "openai", "anthropic": "anthropic", "gemini": "google"}


def add(parser: argparse.ArgumentParser) -> None:
    """Say what the command takes."""
    parser.description = (
        "Let any OpenAI or MCP client run the scenarios of an environment, "
        "each session one eval. With --model, that is the agent, and its key is in the "
        "variable that its provider names. Without, MCP clients are the agent: they "
        "get a scenario's prompt, call the tools, and submit. With HUDTRACE_TOKEN set, "
        "clients must send that as their key."
    )
    parser.add_argument(
        "environment", metavar="MODULE:ENV", help="for example trivia:env"
    )
    parser.add_argument("--model", help="the model that answers (none: the client)")
    parser.add_argument(
        "--stdio",
        action="store_true",
        help="serve one MCP client, which is the agent, over stdin and stdout",
    )
    parser.add_argument(
        "--client",
        choices=("openai", "anthropic", "gemini"),
        default="openai",
        help="whose client asks it (openai)",
    )
    parser.add_argument("--base-url", help="another endpoint for that client")
    parser.add_argument(
        "--api",
        choices=("auto", "chat_completions", "responses"),
        default="auto",
        help="which API of openai (chat_completions)",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address (127.0.0.1)")
    parser.add_argument("--port", type=port, default=8321, help="port (8321; 0: any)")
    parser.add_argument(
        "--session-ttl",
        type=float,
        default=1800,
        help="seconds after which an idle session is closed (1800)",
    )
    parser.add_argument(
        "--max-steps",
        type=int,
        default=20,
        help="model calls that one message may take (20)",
    )
    parser.set_defaults(run=_chosen)


def _chosen(options: argparse.Namespace) -> int:
    return run(
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


def run(
    target: str,
    *,
    model: str | None,
    stdio: bool,
    client: str,
    base_url: str | None,
    api: str,
    host: str,
    port: int,
    session_ttl: float,
    max_steps: int,
) -> int:
    """Serve until interrupted; a key of `HUDTRACE_TOKEN` is asked of clients."""
    if model is None and base_url is not None:
        raise ConfigurationError(
            "--base-url is where a model answers: say --model, too"
        )
    if stdio:
        return _run_stdio(target, model, session_ttl)
    token = settings.load().token
    if token is None and not is_loopback(host):
        raise ConfigurationError(
            f"--host {host} can be reached from other machines, and clients need no key: "
            f"set HUDTRACE_TOKEN to one that they must send, or serve on 127.0.0.1"
        )
    environment = _load(target)
    made = None if model is None else _client(client, base_url)
    try:
        serve_as_agent(
            environment,
            client=made,
            model=model,
            api=api,
            host=host,
            port=port,
            api_key=token,
            session_ttl=session_ttl,
            max_steps=max_steps,
            allow_unauthenticated=False,
            grace=10,
            told=_tell if model is not None else _tell_agents,
        )
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    return 0


def _run_stdio(target: str, model: str | None, session_ttl: float) -> int:
    """Serve one client; nothing but the protocol is written to stdout."""
    from hudtrace.server.agent_stdio import serve_stdio, take_streams

    if model is not None:
        raise ConfigurationError(
            "--stdio is for a client that is the agent: no --model"
        )
    streams = take_streams()
    environment = _load(target)
    try:
        serve_stdio(environment, streams, session_ttl=session_ttl)
    except (TypeError, ValueError) as error:
        raise ConfigurationError(str(error)) from error
    return 0


def _tell(url: str) -> None:
    print(
        f"OpenAI     base_url={url}/v1\n"
        f"MCP        {url}/mcp\n"
        f"agents     {url}/mcp/env\n"
        f"scenarios  {url}/scenarios",
        flush=True,
    )
    _tell_rest()


def _tell_agents(url: str) -> None:
    print(f"MCP        {url}/mcp/env", flush=True)
    _tell_rest()


def _tell_rest() -> None:
    print(f"Ctrl-C stops it; {command('ls')} lists what was run", file=sys.stderr)


def _load(target: str) -> Environment:
    """Import `module:attribute`, from the current folder too."""
    name, _, attribute = target.partition(":")
    sys.path.insert(0, str(Path.cwd()))
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise UnknownEnvironment(
            f"cannot import {name!r}: {error}; say MODULE:ENV, for example "
            f"trivia:env for 'env' in trivia.py"
        ) from error
    found = getattr(module, attribute or "env", None)
    if not isinstance(found, Environment):
        known = [n for n, v in vars(module).items() if isinstance(v, Environment)]
        raise UnknownEnvironment(
            f"{target} is no hud.Environment (in {name}: "
            f"{', '.join(known) or 'there is none'})"
        )
    return found


def _client(client: str, base_url: str | None) -> Any:
    """Make the client; its key is in the variable that the provider names."""
    try:
        if client == "anthropic":
            from anthropic import AsyncAnthropic

            return AsyncAnthropic(base_url=base_url)
        if client == "gemini":
            from google import genai

            options: Any = None if base_url is None else {"base_url": base_url}
            return genai.Client(http_options=options)
        from openai import AsyncOpenAI

        return AsyncOpenAI(base_url=base_url)
    except ImportError as error:
        raise MissingExtra(
            f"--client {client} needs its package: "
            f"pip install 'hudtrace[{CLIENTS[client]},server]'"
        ) from error
    except Exception as error:  # no key, as each of them says it
        raise ConfigurationError(f"--client {client}: {error}") from error
