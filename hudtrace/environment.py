"""Environments: named sets of tools and scenarios."""

from __future__ import annotations

import asyncio
import importlib
import sys
import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, overload

from hudtrace import dialects
from hudtrace.errors import UnknownEnvironment, UnknownScenario
from hudtrace.frameworks import mcp
from hudtrace.hub import find_in_hub
from hudtrace.mcp_servers import (
    CALL_TIMEOUT,
    CONNECT_TIMEOUT,
    McpServer,
    endpoint_of,
    refuse_same_names,
)
from hudtrace.registry import Registry
from hudtrace.scenario import Scenario
from hudtrace.task import Task
from hudtrace.tools import RunIn, Tool, digest_of

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Unpack

    from fastapi import FastAPI

    from hudtrace.server.options import AgentOptions

P = ParamSpec("P")
F = TypeVar("F", bound=Callable[..., Any])


class Environment:
    """A named set of tools and scenarios.

    One with neither is a reference by name: when it is used, it stands for the
    environment of that name defined in this process, or for what
    `connect_hub` found. An environment is known by its name from its first
    tool or scenario on, for as long as somebody holds it.
    """

    def __init__(self, name: str) -> None:
        if not isinstance(name, str):
            raise TypeError(f"Environment({name!r:.80}): the name is a text")
        if not name.strip():
            raise ValueError(f"Environment({name!r}): the name is a text, not empty")
        frame = sys._getframe(1)
        self.name = name
        self.module: str = frame.f_globals.get("__name__", "__main__")
        self.place = f"{frame.f_code.co_filename}:{frame.f_lineno}"
        self._tools: dict[str, Tool] = {}
        self._scenarios: dict[str, Scenario[Any]] = {}
        self._connected: list[Environment] = []
        self._servers: list[McpServer] = []
        self._digest: str | None = None

    # What it has -------------------------------------------------------------

    @property
    def tools(self) -> Mapping[str, Tool]:
        """The tools by name, those of connected environments included.

        Those of MCP servers are there once they are connected, which the first
        episode's set-up does.
        """
        merged: dict[str, Tool] = {}
        for other in self._connected:
            merged.update(other.tools)
        for server in self._servers:
            merged.update(server.tools)
        return {**merged, **self._tools}

    @property
    def servers(self) -> Sequence[McpServer]:
        """The MCP servers that it has tools of, those of connected environments too."""
        if not self._connected:
            return self._servers
        others = [server for other in self._connected for server in other.servers]
        return [*others, *self._servers]

    @property
    def scenarios(self) -> Mapping[str, Scenario[Any]]:
        """The scenarios by name, those of connected environments included."""
        merged: dict[str, Scenario[Any]] = {}
        for other in self._connected:
            merged.update(other.scenarios)
        for server in self._servers:
            merged.update(server.scenarios)
        return {**merged, **self._scenarios}

    @property
    def is_reference(self) -> bool:
        """Whether it only names an environment that is defined elsewhere."""
        return not (self._tools or self._scenarios or self._connected or self._servers)

    @property
    def digest(self) -> str:
        """A hash of the sources of tools and scenarios, 16 hexadecimal digits.

        Of tools that servers have, the definitions count instead, and of scenarios
        what they say of themselves.
        """
        if self._digest is None or self.servers:
            parts = [f"{name} {tool.digest}" for name, tool in self.tools.items()]
            parts += [
                f"{name} {scenario.grader_digest}"
                for name, scenario in self.scenarios.items()
            ]
            parts += [server.env_digest or "" for server in self.servers]
            self._digest = digest_of(*sorted(filter(None, parts)))
        return self._digest

    # Defining ----------------------------------------------------------------

    @overload
    def tool(self, function: F, /) -> F: ...
    @overload
    def tool(
        self,
        /,
        *,
        name: str | None = None,
        description: str | None = None,
        run_in: RunIn | None = None,
        timeout: float | None = None,
        parallel: bool = True,
        max_result_bytes: int | None = None,
    ) -> Callable[[F], F]: ...
    def tool(self, function: Any = None, /, **options: Any) -> Any:
        """Add a function as a tool: `@env.tool`, `@env.tool()`, or with options.

        `name` and `description` replace the function's own; `run_in` is
        `"thread"`, `"loop"` or `"episode_thread"` (a `def` runs in a thread, an
        `async def` in the loop); `timeout` is in seconds; `parallel=False` lets
        an episode make one call at a time; `max_result_bytes` cuts long
        results. Returns the function unchanged.
        """
        if function is None:
            return lambda wrapped: self.tool(wrapped, **options)
        if not callable(function):
            raise TypeError(
                f"env.tool takes a function, but got {function!r:.80}; for options "
                f"write @env.tool(name=...)"
            )
        tool = Tool.from_function(function, **options)
        self._tools[tool.name] = tool
        self._changed()
        return function

    def scenario(
        self,
        name: str,
        /,
        *,
        description: str | None = None,
        returns: type[Any] | None = None,
        exclude_tools: Iterable[str] = (),
        allowed_tools: Iterable[str] | None = None,
        reward_range: tuple[float, float] | None = None,
    ) -> Callable[[Callable[P, Any]], Scenario[P]]:
        """Add a generator function as a scenario: `@env.scenario("name")`.

        Its first yield is the prompt and receives the answer; its second is the
        reward. A prompt is text, or a list of texts, `hud.Image`s and content
        blocks, in the form of MCP or of any of the APIs. `returns` is a type that the answer is
        parsed into, received as an `Answer`. `exclude_tools` and
        `allowed_tools` choose what the agent may use. Rewards outside
        `reward_range` are refused.
        """
        if not isinstance(name, str):
            raise TypeError('a scenario needs a name: @env.scenario("name")')

        def add(function: Callable[P, Any]) -> Scenario[P]:
            scenario = Scenario(
                self,
                function,
                name,
                description=description,
                returns=returns,
                exclude_tools=exclude_tools,
                allowed_tools=allowed_tools,
                reward_range=reward_range,
            )
            self._scenarios[name] = scenario
            self._changed()
            return scenario

        return add

    def connect_hub(self, name: str) -> Environment:
        """Connect the installed or configured environment *name*; return self.

        Looks among the entry points of group `hudtrace.environments`, then in
        `[tool.hudtrace.environments]` of the nearest pyproject.toml, then at the hub
        URL (`HUDTRACE_HUB_URL`): an MCP server that serves the environment, over
        streamable HTTP. `{name}` in the URL stands for *name*, and
        `HUDTRACE_HUB_TOKEN` is sent as the key. What `hudtrace serve` serves has
        scenarios, which become this environment's: each of their episodes has an MCP
        session of its own and the tools that the scenario offers there. Of another
        server, the tools become this environment's.
        Raises `UnknownEnvironment` naming every place, or saying why the hub URL's could
        not be asked: it is away, wants another key, or is the address of an agent.
        """
        found = find_in_hub(name, self)
        if isinstance(found, McpServer):
            self._add_server(found)
            return self
        if not isinstance(found, Environment):
            raise UnknownEnvironment(
                f"{name!r} leads to {found!r:.80}, which is no hud.Environment"
            )
        if found is not self and found not in self._connected:
            self._connected.append(found)
            self._digest = None
        return self

    def connect_mcp(
        self,
        command: Sequence[str] | None = None,
        *,
        url: str | None = None,
        name: str | None = None,
        prefix: str = "",
        include: Iterable[str] | None = None,
        exclude: Iterable[str] = (),
        env: Mapping[str, str] | None = None,
        cwd: str | Path | None = None,
        headers: Mapping[str, str] | None = None,
        connect_timeout: float = CONNECT_TIMEOUT,
        timeout: float | None = CALL_TIMEOUT,
    ) -> Environment:
        """Add the tools of an MCP server; return self.

        Either a *command*, for example `["uvx", "mcp-server-git"]`, which is started
        and spoken to over its pipes, or the *url* of a server that speaks streamable
        HTTP. *env* is added to the few variables that a command inherits (such as
        PATH and HOME), *cwd* is where it runs; *headers* go with each HTTP request.
        Tools are called as the server calls them, with *prefix* before it; *include*
        and *exclude* choose among the server's own names. *name* is the server's in
        spans and errors.

        Nothing is opened yet: the first episode connects in its set-up, in at most
        *connect_timeout* seconds, and later ones share the connection, until the
        environment or the process ends. A call may take *timeout* seconds. A server
        that cannot be reached, or dies, makes `EnvironmentFailure`; the next episode
        connects anew.

        Raises `MissingExtra` without the extra `mcp`, TypeError or ValueError for
        arguments that cannot be used.
        """
        server = McpServer(
            endpoint_of(command, url, env=env, cwd=cwd, headers=headers),
            name=name,
            prefix=prefix,
            include=include,
            exclude=exclude,
            connect_timeout=connect_timeout,
            timeout=timeout,
        )
        self._add_server(server)
        return self

    async def connect(self) -> None:
        """Connect the MCP servers, where they are not; an episode's set-up does so.

        Raises `EnvironmentFailure` for one that cannot be reached.
        """
        waiting = [server for server in self.servers if not server.is_ready]
        if waiting:
            tries = (server.get_ready() for server in waiting)
            for outcome in await asyncio.gather(*tries, return_exceptions=True):
                if isinstance(outcome, BaseException):
                    raise outcome
        refuse_same_names(self.servers)

    def _add_server(self, server: McpServer) -> None:
        self._servers.append(server)
        weakref.finalize(self, server.close)
        self._changed()

    def _listed(self) -> Iterable[Tool]:
        """Return the tools, listing those of servers now if that was not done."""
        environment = self.resolve()
        for server in environment.servers:
            server.get_ready_sync()
        return environment.tools.values()

    def _changed(self) -> None:
        self._digest = None
        registry.add(self)

    # Using -------------------------------------------------------------------

    def __call__(self, scenario: str, /, **args: Any) -> Task:
        """Make a task: `env("initials", company="HUD")`.

        Raises `UnknownScenario` or `InvalidArguments` at once; a reference
        that cannot be resolved yet is checked when the task is run.
        """
        return self.task(scenario, args)

    def task(self, scenario: str, args: Mapping[str, Any]) -> Task:
        """Make a task of *scenario* with *args*, as calling the environment does."""
        try:
            environment = self.resolve()
        except UnknownEnvironment:
            return Task(self.name, scenario, args)
        task = Task(
            self.name,
            scenario,
            args,
            reference=environment.reference,
            _environment=environment,
        )
        task.validate()
        return task

    def resolve(self) -> Environment:
        """Return the environment itself, or what it refers to.

        Raises `UnknownEnvironment` saying where it looked.
        """
        return find_environment(self.name) if self.is_reference else self

    @property
    def reference(self) -> str | None:
        """`module:attr` under which this environment can be imported, if any."""
        module = sys.modules.get(self.module)
        if module is None:
            return None
        name = self.module
        if name == "__main__":
            spec = getattr(module, "__spec__", None)
            if spec is None:
                return None  # a script or a notebook: nobody can import it
            name = spec.name
        for attribute, value in list(vars(module).items()):
            if value is self:
                return f"{name}:{attribute}"
        return None

    def as_openai_chat_tools(self, strict: bool = False) -> list[Any]:
        """Return the tools in OpenAI Chat Completions form."""
        return dialects.openai_chat.export(self._listed(), strict=strict)

    def as_openai_responses_tools(self, strict: bool = False) -> list[Any]:
        """Return the tools in OpenAI Responses form."""
        return dialects.openai_responses.export(self._listed(), strict=strict)

    def as_claude_tools(self, cache_control: bool = False) -> list[Any]:
        """Return the tools in Anthropic form."""
        tools = self._listed()
        return dialects.anthropic_messages.export(tools, cache_control=cache_control)

    def as_gemini_tools(self) -> list[Any]:
        """Return the tools in Gemini form."""
        return dialects.gemini.export(self._listed())

    def as_tools(self) -> list[Any]:
        """Return the tools as MCP `Tool` objects."""
        return mcp.export(list(self._listed()))

    # Serving -----------------------------------------------------------------

    def agent_app(
        self,
        *,
        client: Any = None,
        model: str | None = None,
        api_key: str | None = None,
        session_ttl: float = 1800,
        **options: Unpack[AgentOptions],
    ) -> FastAPI:
        """Make an ASGI application in which *model* works on the scenarios.

        Any OpenAI or MCP client can run them: it names a scenario, sends messages,
        and finishes with a reward; each session is one eval. *client* is one of
        openai, anthropic or google-genai. At `/mcp/env`, an MCP client is the agent
        itself: it gets a scenario's prompt, calls the tools, and submits; without
        *client* and *model*, that is all there is. With *api_key* clients must send it as
        their bearer token; without, browsers must call the server by a name of this
        machine, or one of `allowed_hosts`. A session that is idle for *session_ttl*
        seconds is closed. *options* are those of `hudtrace.server.options.AgentOptions`.

        It closes its sessions in its lifespan. Mounted in another application it gets
        none: give it to that, `FastAPI(lifespan=app.router.lifespan_context)`, or from
        within one of its own, `async with app.router.lifespan_context(app)`. An MCP client
        that vanishes over HTTP, without ending its session, is idle until *session_ttl*.
        One that listens keeps its connection open: a server that is stopped otherwise than
        by a signal needs a limit to how long it waits, as uvicorn's
        `timeout_graceful_shutdown`.

        Raises `MissingExtra` without the extra `server`, TypeError or ValueError for
        options that cannot be used.
        """
        from hudtrace.server import agent_app

        return agent_app(
            self,
            client=client,
            model=model,
            api_key=api_key,
            session_ttl=session_ttl,
            **options,
        )

    def serve_as_agent(
        self,
        *,
        client: Any = None,
        model: str | None = None,
        host: str = "127.0.0.1",
        port: int = 8321,
        api_key: str | None = None,
        session_ttl: float = 1800,
        allow_unauthenticated: bool = False,
        grace: float = 10,
        **options: Unpack[AgentOptions],
    ) -> None:
        """Serve the scenarios over HTTP and MCP until SIGINT or SIGTERM.

        Takes what `agent_app` takes. At a signal, answers that are under way have
        *grace* seconds to come to their end; then every session is closed and
        everything recorded is written. A second Ctrl-C ends it at once.

        Raises `ConfigurationError` for a port in use, and for a *host* that other
        machines reach, unless there is an *api_key* or *allow_unauthenticated*.
        """
        from hudtrace.server import serve_as_agent

        serve_as_agent(
            self,
            client=client,
            model=model,
            host=host,
            port=port,
            api_key=api_key,
            session_ttl=session_ttl,
            allow_unauthenticated=allow_unauthenticated,
            grace=grace,
            **options,
        )

    def __repr__(self) -> str:
        return f"Environment({self.name!r})"


registry = Registry()


def find_environment(name: str, reference: str | None = None) -> Environment:
    """Find the environment *name*: in this process, else by importing *reference*.

    Raises `UnknownEnvironment` saying where it looked and what to do.
    """
    found = registry.get(name)
    if found is not None:
        return found
    if reference is not None:
        return _imported(name, reference)
    known = ", ".join(registry.names()) or "none"
    raise UnknownEnvironment(
        f"environment {name!r} is not defined in this process (defined here: {known}). "
        f"Import the module that defines it, or call env.connect_hub({name!r}). A task "
        f"made in a script or notebook cannot find its environment in another process: "
        f"move the environment into a module that both import"
    )


def _imported(name: str, reference: str) -> Environment:
    module, _, attribute = reference.partition(":")
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UnknownEnvironment(
            f"environment {name!r} was defined as {reference}, which cannot be "
            f"imported here: {error}; install that module in this process too"
        ) from error
    if not isinstance(found, Environment):
        raise UnknownEnvironment(
            f"{reference} is {found!r:.80}, not the environment {name!r}"
        )
    return found


__all__ = ["Environment", "UnknownScenario", "find_environment", "registry"]
