"""A client's options, named as in Chat Completions, for whatever API is behind."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from hudtrace.dialects import anthropic_messages, gemini, openai_chat, openai_responses
from hudtrace.server.errors import Refusal

Json = dict[str, Any]
Write = Callable[[Any], Json]

#: Not the client's to choose, with what it is told.
_OURS = {
    "tools": "the tools are the environment's; the server calls them itself",
    "functions": "the tools are the environment's; the server calls them itself",
    "tool_choice": "the tools are the environment's; the server calls them itself",
    "function_call": "the tools are the environment's; the server calls them itself",
}


def _as(name: str) -> Write:
    return lambda value: {name: value}


def _listed(name: str) -> Write:
    return lambda value: {name: [value] if isinstance(value, str) else value}


_LENGTHS = ("max_tokens", "max_completion_tokens")
#: What may be handed on, API by API. Never just anything: the clients' methods take
#: names that change the request itself, such as `extra_body` and `extra_headers`.
_TABLES: dict[Any, Mapping[str, Write]] = {
    openai_chat: {
        name: _as(name)
        for name in (
            *(*_LENGTHS, "temperature", "top_p", "top_k", "min_p", "stop", "seed"),
            *("presence_penalty", "frequency_penalty", "repetition_penalty"),
            *("logit_bias", "logprobs", "top_logprobs", "response_format"),
            *("reasoning_effort", "verbosity", "parallel_tool_calls", "metadata"),
            *("user", "service_tier", "store", "safety_identifier"),
            "prompt_cache_key",
        )
    },
    openai_responses: {
        **{name: _as("max_output_tokens") for name in _LENGTHS},
        **{
            name: _as(name)
            for name in (
                *("temperature", "top_p", "metadata", "user", "service_tier", "store"),
                *("parallel_tool_calls", "safety_identifier", "prompt_cache_key"),
            )
        },
        "reasoning_effort": lambda value: {"reasoning": {"effort": value}},
    },
    anthropic_messages: {
        **{name: _as("max_tokens") for name in _LENGTHS},
        **{name: _as(name) for name in ("temperature", "top_p", "top_k")},
        "stop": _listed("stop_sequences"),
        "user": lambda value: {"metadata": {"user_id": value}},
        "metadata": lambda _: {},  # it is recorded with the episode
    },
    gemini: {
        **{name: _as("max_output_tokens") for name in _LENGTHS},
        **{name: _as(name) for name in ("temperature", "top_p", "top_k", "seed")},
        **{name: _as(name) for name in ("presence_penalty", "frequency_penalty")},
        "stop": _listed("stop_sequences"),
        "metadata": lambda _: {},
    },
}


def request_options(dialect: Any, given: Mapping[str, Any]) -> Json:
    """Return the options of a request in the form of the API of *dialect*.

    Raises `Refusal` (400) for what cannot be handed on, instead of dropping it.
    """
    options: Json = {}
    for name, value in given.items():
        if value is None:
            continue
        if name in _OURS:
            raise Refusal(400, "unsupported_parameter", _OURS[name], param=name)
        if name == "n":
            if value != 1:
                message = "a session has one answer to each message: n is 1"
                raise Refusal(400, "unsupported_parameter", message, param=name)
            continue
        options.update(_written(dialect, name, _sayable(name, value)))
    return options


def _sayable(name: str, value: Any) -> Any:
    """Return *value*; Python reads more as JSON than it can be sent as again."""
    try:
        json.dumps({name: value}, allow_nan=False, ensure_ascii=False).encode()
    except ValueError as error:
        raise Refusal(
            400, "invalid_parameter", f"{name!r} is no JSON: {error}", param=name
        ) from error
    return value


def _written(dialect: Any, name: str, value: Any) -> Json:
    table = _TABLES[dialect]
    if name not in table:
        raise Refusal(
            400,
            "unsupported_parameter",
            f"the API behind this server has no {name!r} (it takes: "
            f"{', '.join(sorted(table))})",
            param=name,
        )
    return table[name](value)
