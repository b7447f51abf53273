"""An environment as an MCP server, whose client is the agent.

One MCP session has one episode at a time: a prompt or `scenario_start` opens it, the
environment's tools belong to it, `scenario_submit` ends it with a reward. The tools are
those that its scenario offers; where there is none, those that every scenario does.
"""

from __future__ import annotations

import contextlib
import functools
import json
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import mcp_types as types
from mcp.server import NotificationOptions, Server
from mcp.shared.exceptions import MCPError
from mcp_types.version import HANDSHAKE_PROTOCOL_VERSIONS
from opentelemetry import trace
from pydantic import BaseModel, ConfigDict, Field

from hudtrace.errors import ConfigurationError, EnvironmentFailure
from hudtrace.frameworks import mcp as form
from hudtrace.messages import encodable
from hudtrace.server.agent_prompts import arguments_of, blocks_of, prompt_of
from hudtrace.server.agent_sessions import refused
from hudtrace.server.bodies import read_arguments
from hudtrace.server.mcp_endpoint import McpEndpoint, json_result
from hudtrace.server.mcp_spans import RequestTracing
from hudtrace.server.shapes import scenario_list
from hudtrace.tools import Tool, ToolCall

if TYPE_CHECKING:
    from starlette.types import Message, Receive, Scope, Send

    from hudtrace.environment import Environment
    from hudtrace.server.agent_sessions import AgentSessions
    from hudtrace.server.client_episode import ClientEpisode

Json = dict[str, Any]
_SESSION_HEADER = "mcp-session-id"


class NoArguments(BaseModel):
    """Arguments of `scenario_list`."""

    model_config = ConfigDict(extra="forbid")


class StartArguments(BaseModel):
    """Arguments of `scenario_start`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    scenario: str = Field(description="Name of the scenario, from scenario_list.")
    scenario_args: dict[str, Any] = Field(
        default_factory=dict, description="Arguments of the scenario."
    )


class SubmitArguments(BaseModel):
    """Arguments of `scenario_submit`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    answer: Any = Field(
        description="The answer: a text, or what the scenario asks for."
    )


_OWN: dict[str, tuple[str, type[BaseModel]]] = {
    "scenario_list": (
        "List the scenarios that can be started, with their arguments.",
        NoArguments,
    ),
    "scenario_start": (
        "Start a scenario and return its prompt, which is what you are asked to do. "
        "The other tools can be called from then on; list the tools again, since a "
        "scenario may have more of them than are listed before.",
        StartArguments,
    ),
    "scenario_submit": (
        "Submit your answer to the scenario that was started, and return the reward. "
        "There is one submission for each start.",
        SubmitArguments,
    ),
}
_INSTRUCTIONS = (
    "Each prompt is a scenario; getting it starts it, and so does scenario_start. List "
    "the tools again after that: scenarios differ in the tools that they have. Call "
    "the other tools as needed, and hand in the answer with scenario_submit, once."
)
_CHANGES = NotificationOptions(tools_changed=True)


def agent_server(
    environment: Environment,
    sessions: AgentSessions,
    session_of: Callable[[Any], str],
) -> Server[Any]:
    """Return the MCP server; *session_of* tells a request's MCP session.

    Raises `ConfigurationError` where a tool has the name of one of ours.
    """
    from hudtrace import __version__

    _refuse_names(environment)
    handlers = _Handlers(environment, sessions, session_of)
    server: Server[Any] = _Server(
        f"hudtrace:{environment.name}",
        version=__version__,
        instructions=_INSTRUCTIONS,
        on_list_tools=handlers.list_tools,
        on_call_tool=handlers.call_tool,
        on_list_prompts=handlers.list_prompts,
        on_get_prompt=handlers.get_prompt,
    )
    # In the place of the package's own spans. A tool's own is in the episode.
    server.middleware[:] = [RequestTracing(handlers.has_tool, counted=False)]
    return server


class _Server(Server[Any]):
    """A server that says that its tools may change."""

    def create_initialization_options(
        self, notification_options: NotificationOptions | None = None, *more: Any
    ) -> Any:
        """Return what a client is told first."""
        changes = notification_options or _CHANGES
        return super().create_initialization_options(changes, *more)


class AgentEndpoint:
    """The MCP server over streamable HTTP, an ASGI application.

    It speaks the versions of the protocol that have sessions, and says so to clients
    of newer ones, which then use these.
    """

    def __init__(
        self, environment: Environment, sessions: AgentSessions, session_ttl: float
    ) -> None:
        self._sessions = sessions
        server = agent_server(environment, sessions, _session_of)

        async def discover(_: Any, __: Any) -> types.DiscoverResult:
            return types.DiscoverResult(
                supported_versions=list(HANDSHAKE_PROTOCOL_VERSIONS),
                capabilities=server.get_capabilities(_CHANGES),
                instructions=_INSTRUCTIONS,
            )

        server.add_request_handler("server/discover", types.RequestParams, discover)
        self._endpoint = McpEndpoint(server, idle_timeout=session_ttl)
        self.close = self._endpoint.close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; a session that its client deletes is over."""
        status, complete = 0, True

        async def answer(message: Message) -> None:
            nonlocal status, complete
            if message["type"] == "http.response.start":
                status = message["status"]
            body = message["type"] == "http.response.body"
            complete = body and not message.get("more_body", False)
            await send(message)

        await self._endpoint(scope, receive, answer)
        if not complete:  # who listens is left without an end when the server stops
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        if scope["method"] == "DELETE" and 200 <= status < 300:
            headers = dict(scope["headers"])
            id = headers.get(_SESSION_HEADER.encode(), b"").decode("latin-1")
            self._sessions.end(id, "disconnected")


def _session_of(ctx: Any) -> str:
    """Return the id of the MCP session that a request over HTTP belongs to."""
    headers: Mapping[str, str] = getattr(ctx.request, "headers", {})
    id = headers.get(_SESSION_HEADER)
    # Where there are no sessions, a header names none: nobody has looked at it.
    if id is None or ctx.protocol_version not in HANDSHAKE_PROTOCOL_VERSIONS:
        raise MCPError(
            types.UNSUPPORTED_PROTOCOL_VERSION,
            "an episode needs an MCP session, which this version of the protocol has "
            "not: begin with initialize",
            {
                "supported": list(HANDSHAKE_PROTOCOL_VERSIONS),
                "requested": ctx.protocol_version,
            },
        )
    return id


class _Handlers:
    """What is answered to each kind of request."""

    def __init__(
        self,
        environment: Environment,
        sessions: AgentSessions,
        session_of: Callable[[Any], str],
    ) -> None:
        self._environment = environment
        self._sessions = sessions
        self._session_of = session_of

    def has_tool(self, name: str) -> bool:
        """Say whether there is a tool of that name, for some scenario."""
        return name in _OWN or any(name in tools for tools in self._offers().values())

    async def list_tools(self, ctx: Any, _params: Any) -> types.ListToolsResult:
        """List the tools of the open episode; before it, what every scenario offers."""
        episode = self._sessions.open_episode(self._session_of(ctx))
        if episode is None:
            await self._connect()
            offered = self._common()
        else:
            offered = dict(episode.tools)
        own = [_tool_of(name) for name in _OWN]
        others = [tool for name, tool in offered.items() if name not in _OWN]
        return types.ListToolsResult(tools=[*own, *form.export(others)])

    async def call_tool(
        self, ctx: Any, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        """Run a tool; what is wrong is a result that the model can read."""
        id = self._session_of(ctx)
        try:
            if params.name in _OWN:
                return await self._run_own(ctx, id, params)
            call = ToolCall(params.name, dict(params.arguments or {}))
            result = await self._sessions.call(id, call, trace.get_current_span())
            replied: types.CallToolResult = form.reply(call, result)
            return replied
        except Exception as error:
            refusal = refused(error)
            return json_result(
                refusal.body, is_error=True, hud={"refused": refusal.code}
            )

    async def list_prompts(self, _ctx: Any, _params: Any) -> types.ListPromptsResult:
        """List the scenarios."""
        scenarios = self._environment.scenarios.values()
        return types.ListPromptsResult(prompts=[prompt_of(each) for each in scenarios])

    async def get_prompt(
        self, ctx: Any, params: types.GetPromptRequestParams
    ) -> types.GetPromptResult:
        """Open an episode, and return what the scenario asks."""
        id = self._session_of(ctx)
        try:
            name = self._name_of(params.name)
            scenario = self._environment.scenarios.get(name)
            given = params.arguments or {}
            args = given if scenario is None else arguments_of(scenario, given)
            episode = await self._start(ctx, id, name, args)
        except Exception as error:
            refusal = refused(error)
            wrong = refusal.status < 500
            code = types.INVALID_PARAMS if wrong else types.INTERNAL_ERROR
            raise MCPError(code, refusal.message, refusal.body) from None
        messages = [
            types.PromptMessage(role="user", content=block)
            for block in blocks_of(episode.context.prompt)
        ]
        return types.GetPromptResult(
            description=scenario.description if scenario else None,
            messages=messages,
            _meta={"hud": self._told(episode)},
        )

    async def _run_own(
        self, ctx: Any, id: str, params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        given = read_arguments(_OWN[params.name][1], params.name, params.arguments)
        if isinstance(given, StartArguments):
            episode = await self._start(ctx, id, given.scenario, given.scenario_args)
            told = self._told(episode)
            return types.CallToolResult(
                content=blocks_of(episode.context.prompt),
                structured_content=told,
                _meta={"hud": told},
            )
        if isinstance(given, SubmitArguments):
            tools = self._tools_now(id)
            report = await self._sessions.submit(id, _answer_text(given.answer))
            await self._tell_changes(ctx, tools, self._tools_now(id))
            hud = None if report.grade is None else {"grade": report.grade}
            return json_result(report.told, hud=hud)
        await self._environment.connect()
        listed = {
            "environment": self._environment.name,
            "digest": self._environment.digest,
            "scenarios": scenario_list(self._environment),
        }
        return json_result(listed, hud=self._catalogue())

    def _told(self, episode: ClientEpisode) -> Json:
        """Return what is said of an episode beside its prompt."""
        return {
            **episode.meta,
            "tools": list(episode.tools),
            "digest": self._environment.digest,
        }

    def _catalogue(self) -> Json:
        """Return each tool that some scenario offers, and which scenario offers which.

        A client that is itself asked for tasks, as a hub's is, needs to know them all.
        """
        offers = self._offers()
        named = {name for tools in offers.values() for name in tools}
        all = [t for name, t in self._environment.tools.items() if name in named]
        return {
            "tools": [
                tool.model_dump(by_alias=True, exclude_none=True, mode="json")
                for tool in form.export(all)
            ],
            "offers": {scenario: list(tools) for scenario, tools in offers.items()},
        }

    def _name_of(self, scenario: str) -> str:
        """Return the short name of a scenario, which may be given with ours."""
        environment = self._environment
        if scenario in environment.scenarios:
            return scenario
        return scenario.removeprefix(f"{environment.name}:")

    async def _start(
        self, ctx: Any, id: str, scenario: str, args: Mapping[str, Any]
    ) -> ClientEpisode:
        _refuse_names(self._environment)
        task = self._environment.task(self._name_of(scenario), args)
        episode = await self._sessions.start(id, task, trace.get_current_span())
        await self._tell_changes(ctx, set(self._common()), set(episode.tools))
        return episode

    def _tools_now(self, id: str) -> set[str]:
        episode = self._sessions.open_episode(id)
        return set(self._common() if episode is None else episode.tools)

    async def _tell_changes(self, ctx: Any, before: set[str], after: set[str]) -> None:
        """Tell the client to list the tools again, where it can be told."""
        if before != after:
            with contextlib.suppress(Exception):  # it may have left
                await ctx.session.send_tool_list_changed()

    async def _connect(self) -> None:
        """Connect the MCP servers that the environment has tools of."""
        try:
            await self._environment.connect()
        except EnvironmentFailure as error:
            refusal = refused(error)
            raise MCPError(types.INTERNAL_ERROR, refusal.message) from None
        _refuse_names(self._environment)

    def _offers(self) -> dict[str, dict[str, Tool]]:
        """Return the tools that each scenario lets its agent use."""
        environment = self._environment
        return {
            name: scenario.tools(environment.tools)
            for name, scenario in environment.scenarios.items()
        }

    def _common(self) -> dict[str, Tool]:
        """Return the tools that every scenario lets its agent use."""
        offers = list(self._offers().values())
        return {
            name: tool
            for name, tool in self._environment.tools.items()
            if offers and all(name in tools for tools in offers)
        }


def _refuse_names(environment: Environment) -> None:
    taken = [name for name in environment.tools if name in _OWN]
    if taken:
        raise ConfigurationError(
            f"environment {environment.name!r} has a tool {taken[0]!r}, and that is the "
            f"name of one that every served environment has; give it another name"
        )


@functools.cache
def _tool_of(name: str) -> types.Tool:
    description, arguments = _OWN[name]
    schema = arguments.model_json_schema()
    for key in ("title", "description"):
        schema.pop(key, None)
    for each in schema.get("properties", {}).values():
        each.pop("title", None)
    return types.Tool(
        name=name,
        description=description,
        input_schema={"properties": {}, **schema},
    )


def _answer_text(answer: Any) -> str | None:
    if answer is None or isinstance(answer, str):
        return None if answer is None else encodable(answer)
    return encodable(json.dumps(answer, ensure_ascii=False))
