"""The answer in what an agent framework returns, for `ctx.submit(result)`.

Results are known by where their class is defined; no framework is imported. What is
not known is the answer itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

#: Stands for: this is no result that we know.
_UNKNOWN = object()
#: What else an `AgentExecutor` puts beside its input and output.
_EXECUTOR_KEYS = {"input", "output", "chat_history", "intermediate_steps"}


def answer_of(result: Any, prompt: Any = None) -> Any:
    """Return the answer in *result*, or *result* itself if it is no framework's.

    *prompt* tells a LangChain `AgentExecutor`'s dict from a dict that is an answer.
    Raises TypeError for what is still to be awaited or read.
    """
    if isinstance(result, str | int | float | bool | None):
        return result
    _refuse_pending(result)
    if isinstance(result, Mapping):
        answer = _langchain_state(result, prompt)
        return result if answer is _UNKNOWN else answer
    if isinstance(result, list):
        answer = _items(result)
        return result if answer is _UNKNOWN else answer
    for kind in type(result).__mro__:
        read = READERS.get(kind.__module__.partition(".")[0])
        answer = _UNKNOWN if read is None else read(result)
        if answer is not _UNKNOWN:
            return answer
    return result


def _refuse_pending(result: Any) -> None:
    """Refuse what is no answer yet: nobody has awaited it, or read it to its end."""
    name = type(result).__name__
    if inspect.isawaitable(result):
        if inspect.iscoroutine(result):
            name = f"coroutine of {result.__qualname__}()"
            result.close()  # or Python warns that nobody has awaited it
        raise TypeError(
            f"ctx.submit got a {name}, which has no answer before it is awaited; write "
            f"ctx.submit(await ...)"
        )
    if hasattr(type(result), "__anext__") or inspect.isgenerator(result):
        loop = "for" if inspect.isgenerator(result) else "async for"
        raise TypeError(
            f"ctx.submit got a {name}, which has no answer before it is read; read it "
            f"with '{loop}' and submit what it ends with, or the list of its items"
        )


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
    """Read the result of a run; one that is streamed has it at the end."""
    complete = getattr(result, "is_complete", True)
    if not complete and getattr(result, "final_output", None) is None:
        raise TypeError(
            f"ctx.submit got a {type(result).__name__} whose run has not ended; read "
            f"its events first: async for event in result.stream_events(): ..."
        )
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
    given, said = state.get("input"), state.get("output")
    if isinstance(given, str) and isinstance(said, str):
        return said if state.keys() <= _EXECUTOR_KEYS else _UNKNOWN
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
    """Read an event of ADK; None if it has no text."""
    if not hasattr(result, "is_final_response"):
        return _UNKNOWN
    parts = getattr(getattr(result, "content", None), "parts", None) or ()
    texts = [p.text for p in parts if p.text and not getattr(p, "thought", None)]
    return "".join(texts) or None


def _items(items: list[Any]) -> Any:
    """Read the items of a run: events of ADK or AutoGen, messages of LangChain."""
    packages = {type(item).__module__.partition(".")[0] for item in items}
    if packages == {"google"}:
        return _adk_events(items)
    if packages == {"langchain_core"}:
        said = [item for item in items if getattr(item, "type", None) == "ai"]
        return _langchain(said[-1]) if said else _UNKNOWN
    if packages == {"autogen_agentchat"} and hasattr(items[-1], "messages"):
        return _agentchat(items[-1])
    return _UNKNOWN


def _adk_events(events: list[Any]) -> Any:
    """Read a list of ADK's events: the last final response that has text, or None."""
    if not all(hasattr(event, "is_final_response") for event in events):
        return _UNKNOWN
    for event in reversed(events):
        text = _google(event)
        of_user = getattr(event, "author", None) == "user"
        if text and not of_user and event.is_final_response():
            return text
    return None


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
