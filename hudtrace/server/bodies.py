"""The JSON that clients send; what does not fit is refused with its place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from hudtrace.server.errors import Refusal

Arguments = TypeVar("Arguments", bound=BaseModel)
Id = Annotated[str | None, Field(max_length=200)]
Steps = Annotated[int | None, Field(ge=1, le=100)]


class WithSession(BaseModel):
    """Names a session by one of three fields, which mean the same."""

    model_config = ConfigDict(strict=True)

    thread_id: Id = None
    conversation_id: Id = None
    session_id: Id = None

    @property
    def named_session(self) -> str | None:
        """The id that is given, the first of the three."""
        return self.thread_id or self.conversation_id or self.session_id


class ChatMessage(BaseModel):
    """A message in OpenAI's form; other fields are let through."""

    model_config = ConfigDict(strict=True, extra="allow")

    role: str
    content: str | list[dict[str, Any]] | None = None


class StreamOptions(BaseModel):
    """What a stream is to hold besides the answer."""

    model_config = ConfigDict(strict=True, extra="ignore")

    include_usage: bool = False


class ChatRequest(WithSession):
    """A message of a session: `POST /v1/chat/completions`.

    The first of a session has `scenario` and `scenario_args`. Of `messages` the
    last one, a user's, is what is said; earlier ones are the server's own. Further
    fields are options of the model, named as in Chat Completions.
    """

    model_config = ConfigDict(strict=True, extra="allow")

    messages: list[ChatMessage]
    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    scenario: str | None = None
    scenario_args: dict[str, Any] | None = None
    max_steps: Steps = None
    metadata: dict[str, str] | None = None


class FinishRequest(BaseModel):
    """Ends a session; `answer` is graded instead of the model's last one."""

    model_config = ConfigDict(strict=True)

    answer: Any = None


class ToolRequest(BaseModel):
    """A call of a lifecycle tool."""

    model_config = ConfigDict(strict=True)

    name: str
    arguments: dict[str, Any] | None = None


class ListArguments(BaseModel):
    """Arguments of `scenario_list`: none."""

    model_config = ConfigDict(strict=True, extra="forbid")


class StartArguments(BaseModel):
    """Arguments of `scenario_start`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    scenario: str = Field(description="Name of the scenario, from scenario_list.")
    scenario_args: dict[str, Any] = Field(
        description="Arguments of the scenario, {} if it takes none."
    )
    message: str | None = Field(
        None, description="What to say to the agent besides the scenario's prompt."
    )
    model: str | None = Field(None, description="The model that answers.")
    max_steps: Steps = Field(
        None, description="How many model calls one message may take."
    )


class SendArguments(WithSession):
    """Arguments of `scenario_send`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    message: str = Field(description="What to say to the agent.", min_length=1)


class FinishArguments(WithSession):
    """Arguments of `scenario_finish`."""

    model_config = ConfigDict(strict=True, extra="forbid")

    answer: Any = Field(None, description="Graded instead of the agent's last answer.")


def read_arguments(
    model: type[Arguments], tool: str, arguments: Mapping[str, Any] | None
) -> Arguments:
    """Return the arguments of a tool call; raises `Refusal` naming the one that is wrong."""
    try:
        return model.model_validate(dict(arguments or {}))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(["arguments", *map(str, first["loc"])])
        said = f"{tool}: {place}: {first['msg']}"
        raise Refusal(400, "invalid_arguments", said, param=place) from error
