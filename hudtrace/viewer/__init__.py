"""The viewer: every trace of a store in the browser, live, and an API beside it.

Needs the extra `view`; nothing of it is imported before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hudtrace.errors import MissingExtra

if TYPE_CHECKING:
    from hudtrace.viewer.options import ViewOptions


def serve(options: ViewOptions, told: Any) -> None:
    """Serve until a signal comes; *told* gets the addresses once they answer."""
    require()
    from hudtrace.viewer import running

    running.run(options, told)


def require() -> None:
    """Raise `MissingExtra` without the packages that the viewer needs."""
    try:
        import starlette
        import uvicorn
    except ImportError as error:
        raise MissingExtra(
            f"the viewer needs {error.name!r}, which is not installed: "
            f"pip install 'hudtrace[view]'"
        ) from error
    del starlette, uvicorn
