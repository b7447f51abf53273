"""The documented name of hudtrace: `import hud` gives the same objects."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hudtrace import *  # noqa: F403
    from hudtrace import eval as eval


def __getattr__(name: str) -> Any:
    import hudtrace

    if name == "__all__":
        return list(hudtrace.__all__)
    try:
        return getattr(hudtrace, name)
    except AttributeError:
        raise AttributeError(f"module 'hud' has no attribute {name!r}") from None


def __dir__() -> list[str]:
    import hudtrace

    return dir(hudtrace)
