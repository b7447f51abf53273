"""What a server does, apart from how it is asked: HTTP, lifecycle tools or MCP."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hudtrace.chat.scenario_chat import run_scenario_chat_interactive
from hudtrace.errors import InvalidArguments
from hudtrace.messages import encodable
from hudtrace.server.bodies import ChatMessage
from hudtrace.server.errors import Refusal, refusal_of
from hudtrace.server.sessions import Sessions

if TYPE_CHECKING:
    from hudtrace.environment import Environment
    from hudtrace.server.options import ServerOptions
    from hudtrace.server.session import Session

Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """What a list of messages comes to: what the user says now, and how to answer."""

    text: str | None
    system_prompt: str | None


class Service:
    """The scenarios of one environment, and the sessions in which they are run.

    Raises `UnknownEnvironment` for a reference that leads nowhere.
    """

    def __init__(self, environment: Environment, options: ServerOptions) -> None:
        self.environment = environment.resolve()
        self.options = options
        self.sessions = Sessions(options)

    @property
    def dialect(self) -> Any:
        """The dialect of the API behind the server."""
        return self.options.dialect

    async def begin(
        self,
        scenario: str,
        args: Mapping[str, Any],
        *,
        system_prompt: str | None = None,
        max_steps: int | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Session:
        """Open a session at the prompt of a scenario.

        Raises `Refusal`, also for what the scenario's set-up raises.
        """
        options, name = self.options, self.scenario_named(scenario)
        assert name is not None
        assert options.model is not None
        try:
            task = self.environment.task(name, args)
        except Exception as error:
            raise refusal_of(error) from error
        chat = run_scenario_chat_interactive(
            client=options.client,
            model=options.model,
            task=task,
            api=options.api,
            max_steps=max_steps or options.max_steps,
            limits=options.limits,
            system_prompt=system_prompt or options.system_prompt,
            request=options.request,
            agent=options.agent,
            job=options.job,
            metadata=metadata,
            on_error="record",
        )
        try:
            session = await self.sessions.start(chat, name)
        except Exception as error:
            trace = outcome = None
            if chat.context.has_result:
                outcome = chat.result.outcome
                trace = {"trace_id": chat.trace_id, "trace_url": chat.trace_url}
            raise refusal_of(error, trace, outcome=outcome) from error
        session.system_prompt = system_prompt
        return session

    def scenario_named(self, name: str | None) -> str | None:
        """Return the short name of a scenario, which may be given with the environment's."""
        if name is None or name in self.environment.scenarios:
            return name
        return name.removeprefix(f"{self.environment.name}:")

    def check_scenario(self, name: str) -> None:
        """Raise `Refusal` for a scenario that is not there, whatever it takes."""
        try:
            self.environment.task(str(self.scenario_named(name)), {})
        except InvalidArguments:
            return
        except Exception as error:
            raise refusal_of(error) from error

    def find(self, id: str) -> Session:
        """Return an open session; raises `Refusal` saying what became of it."""
        try:
            return self.sessions.find(id)
        except Exception as error:
            raise refusal_of(error) from error

    async def finish(self, id: str, answer: Any) -> Json:
        """Grade a session and return the report; raises `Refusal` as `find` does."""
        try:
            return await self.sessions.finish(id, answer)
        except Exception as error:
            raise refusal_of(error) from error

    def model_named(self, asked: str | None) -> str:
        """Return the model that was asked for; raises `Refusal` if it is not served."""
        served = self.options.served_models
        if asked is not None and asked not in served:
            raise Refusal(
                404,
                "model_not_found",
                f"no model {asked!r} is served here (there are: {', '.join(served)})",
                param="model",
            )
        return asked or served[0]

    def model_for(self, asked: str | None) -> str:
        """Return the model that was asked for, or else the usual one.

        OpenAI's clients have to name one, whatever they talk to.
        """
        served = self.options.served_models
        return asked if asked in served else served[0]


def read_messages(messages: Sequence[ChatMessage]) -> Said:
    """Return what the last message says, and the system prompt, if there is one.

    Raises `Refusal` where the last is not a user's, or is more than text.
    """
    system = [
        _text(message, place)
        for place, message in enumerate(messages)
        if message.role in ("system", "developer")
    ]
    others = [m for m in messages if m.role not in ("system", "developer")]
    text = None
    if others:
        last = others[-1]
        place = max(i for i, message in enumerate(messages) if message is last)
        if last.role != "user":
            raise Refusal(
                400,
                "invalid_messages",
                f"the last message is of role {last.role!r}; a session is sent what "
                f"its user says",
                param=f"messages.{place}.role",
            )
        text = _text(last, place)
    return Said(text or None, "\n".join(filter(None, system)) or None)


def _text(message: ChatMessage, place: int) -> str:
    if not isinstance(message.content, list):
        return encodable(message.content or "")
    texts = []
    for part in message.content:
        text = part.get("text")
        if part.get("type") != "text" or not isinstance(text, str):
            raise Refusal(
                400,
                "unsupported_content",
                f"a message to a session is text, but this has a part of type "
                f"{part.get('type')!r}",
                param=f"messages.{place}.content",
            )
        texts.append(text)
    return encodable("\n".join(texts))
