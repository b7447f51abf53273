"""What hudtrace has for agent frameworks, under the documented name.

`from hud.frameworks import adk` imports the framework that it is for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hudtrace.frameworks import adk as adk
    from hudtrace.frameworks import autogen as autogen


def __getattr__(name: str) -> Any:
    module = f"hudtrace.frameworks.{name}"
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        if error.name != module:
            raise
        raise AttributeError(
            f"module 'hud.frameworks' has no attribute {name!r}"
        ) from None
