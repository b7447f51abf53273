"""A model works on a scenario: in one go, or turn by turn with a user."""

from hudtrace.chat.events import (
    ChatEvent,
    ChatReply,
    Done,
    TextDelta,
    ToolCalled,
    ToolReturned,
)
from hudtrace.chat.scenario_chat import (
    ScenarioChat,
    run_chat,
    run_scenario_chat,
    run_scenario_chat_interactive,
)

__all__ = [
    "ChatEvent",
    "ChatReply",
    "Done",
    "ScenarioChat",
    "TextDelta",
    "ToolCalled",
    "ToolReturned",
    "run_chat",
    "run_scenario_chat",
    "run_scenario_chat_interactive",
]
