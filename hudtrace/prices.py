"""What a model call costs, by a table of prices that needs no network.

The table is that of the package `genai-prices`; without it, or for a model that
it does not know, there is no price, which is not the same as nothing.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from hudtrace.messages import Usage
from hudtrace.notices import internal_error

_TABLE = "genai_prices"
_PROVIDERS = {"gcp.gemini": "google", "gcp.vertex_ai": "google"}
_MILLION = 1_000_000


def price_of(provider: str, model: str | None, usage: Usage) -> float | None:
    """Return the price of one call in US dollars, None if it is not known.

    *provider* is the value of `gen_ai.provider.name`, *usage* that of the call.
    """
    if model is None or not installed():
        return None
    try:
        return _pricing(provider, model)(usage)
    except Exception as error:
        internal_error("pricing a call", error)
        return None


@functools.cache
def installed() -> bool:
    """Say whether there is a table of prices."""
    return find_spec(_TABLE) is not None


@functools.cache
def table_version() -> str:
    """Return the name and version of the table, as spans record it."""
    from importlib.metadata import version

    return f"genai-prices {version('genai-prices')}"


@functools.cache
def load_early() -> None:
    """Load the table in the background, once: it takes a tenth of a second."""
    if installed():
        threading.Thread(
            target=lambda: import_module(_TABLE), name="hudtrace-prices", daemon=True
        ).start()


@functools.lru_cache(maxsize=512)
def _pricing(provider: str, model: str) -> Callable[[Usage], float | None]:
    """Return how to price the calls of a model: what is looked up is kept."""
    try:
        found = _calculation(provider, model, Usage(1))
    except LookupError:
        return _unknown
    price = functools.partial(_calculated, provider, model)
    tiers = any(hasattr(each, "tiers") for each in vars(found.model_price).values())
    if tiers or isinstance(found.model.prices, list):
        return price  # it depends on the size or the time of the call
    return functools.partial(
        _linear,
        price(Usage(_MILLION)) / _MILLION,
        price(Usage(_MILLION, 0, _MILLION)) / _MILLION,
        price(Usage(_MILLION, 0, 0, _MILLION)) / _MILLION,
        price(Usage(0, _MILLION)) / _MILLION,
    )


def _unknown(usage: Usage) -> None:
    return None


def _linear(
    fresh: float, cached: float, written: float, output: float, usage: Usage
) -> float:
    known = usage.cached_tokens + usage.cache_write_tokens
    return (
        max(usage.input_tokens - known, 0) * fresh
        + usage.cached_tokens * cached
        + usage.cache_write_tokens * written
        + usage.output_tokens * output
    )


def _calculated(provider: str, model: str, usage: Usage) -> float:
    return float(_calculation(provider, model, usage).total_price)


def _calculation(provider: str, model: str, usage: Usage) -> Any:
    table = import_module(_TABLE)
    tokens = table.Usage(
        input_tokens=usage.input_tokens,
        cache_read_tokens=usage.cached_tokens,
        cache_write_tokens=usage.cache_write_tokens,
        output_tokens=usage.output_tokens,
    )
    return table.calc_price(
        tokens, model_ref=model, provider_id=_PROVIDERS.get(provider, provider)
    )
