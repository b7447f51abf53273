"""The answer in what an agent framework returns, for `ctx.submit(result)`.

Results are known by where their class is defined; no framework is imported. What is
not known is the answer itself.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

#: Stands for: this is no result that we know.
_UNKNOWN = object()


def answer_of(result: Any, prompt: Any = None) -> Any:
    """Return the answer in *result*, or *result* itself if it is no framework's.

    *prompt* tells a LangChain `AgentExecutor`'s dict from a dict that is an answer.
    """
    if isinstance(result, str | int | float | bool | None):
        return result
    if isinstance(result, Mapping):
        answer = _langchain_state(result, prompt)
        return result if answer is _UNKNOWN else answer
    if isinstance(result, list):
        answer = _adk_events(result)
        return result if answer is _UNKNOWN else answer
    for kind in type(result).__mro__:
        read = READERS.get(kind.__module__.partition(".")[0])
        answer = _UNKNOWN if read is None else read(result)
        if answer is not _UNKNOWN:
            return answer
    return result


def text_in(content: Any) -> str:
    """Return the text of a message's content: text itself, or blocks with some."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list | tuple):
        return "" if content is None else str(content)
    return "".join(map(_block_text, content))


def _block_text(block: Any) -> str:
    if isinstance(block, str):
        return block
    if isinstance(block, Mapping):
        text = block.get("text")
    else:
        text = getattr(block, "text", None)
    return text if isinstance(text, str) else ""


def _openai_agents(result: Any) -> Any:
    return getattr(result, "final_output", _UNKNOWN)


def _langchain(result: Any) -> Any:
    """Read a message; `AgentFinish` has its answer among its return values."""
    if hasattr(result, "content"):
        return text_in(result.content)
    values = getattr(result, "return_values", None)
    return values.get("output", _UNKNOWN) if isinstance(values, dict) else _UNKNOWN


def _langchain_state(state: Mapping[str, Any], prompt: Any) -> Any:
    """Read what `create_agent` returns, or an `AgentExecutor`."""
    messages = state.get("messages")
    if isinstance(messages, list) and messages:
        last = messages[-1]
        if type(last).__module__.partition(".")[0] == "langchain_core":
            structured = state.get("structured_response")
            return _langchain(last) if structured is None else structured
    if "output" in state and prompt is not None and state.get("input") == prompt:
        return state["output"]
    return _UNKNOWN


def _llamaindex(result: Any) -> Any:
    """Read an agent's output, a chat response or a message."""
    structured = getattr(result, "structured_response", None)
    if structured is not None:
        return structured
    for part in ("response", "message"):
        inner = getattr(result, part, None)
        if isinstance(inner, str):
            return inner
        if inner is not None and hasattr(inner, "content"):
            return text_in(inner.content)
    return text_in(result.content) if hasattr(result, "content") else _UNKNOWN


def _google(result: Any) -> Any:
    """Read an event of ADK."""
    parts = getattr(getattr(result, "content", None), "parts", None)
    if parts is None or not hasattr(result, "is_final_response"):
        return _UNKNOWN
    return "".join(p.text for p in parts if p.text and not getattr(p, "thought", None))


def _adk_events(events: Any) -> Any:
    """Read a list of ADK's events: the last final response that has text."""
    for event in reversed(events):
        text = _google(event)
        if text and text is not _UNKNOWN and event.is_final_response():
            return text
    return _UNKNOWN


def _crewai(result: Any) -> Any:
    """Read the output of a crew, a task or an agent."""
    structured = getattr(result, "pydantic", None)
    return getattr(result, "raw", _UNKNOWN) if structured is None else structured


def _autogen(result: Any) -> Any:
    """Read a chat's result: its summary, which may be a message."""
    summary = getattr(result, "summary", _UNKNOWN)
    return summary.get("content", "") if isinstance(summary, dict) else summary


def _agentchat(result: Any) -> Any:
    """Read a task's result or a response: the content of its last message."""
    messages = getattr(result, "messages", None)
    last = messages[-1] if messages else getattr(result, "chat_message", result)
    return getattr(last, "content", _UNKNOWN)


def _ag2(result: Any) -> Any:
    return getattr(result, "body", _UNKNOWN)


def _browser_use(history: Any) -> Any:
    """Read what the agent said when it was done; None if it was not."""
    final = getattr(history, "final_result", None)
    return final() if callable(final) else _UNKNOWN


#: By the package that defines the class of a result.
READERS: dict[str, Callable[[Any], Any]] = {
    "ag2": _ag2,
    "agents": _openai_agents,
    "autogen": _autogen,
    "autogen_agentchat": _agentchat,
    "browser_use": _browser_use,
    "crewai": _crewai,
    "google": _google,
    "langchain_core": _langchain,
    "llama_index": _llamaindex,
}
