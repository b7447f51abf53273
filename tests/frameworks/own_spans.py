"""The trees of frameworks that make spans of their own around their agents."""

from __future__ import annotations

from collections.abc import Sequence


def tree(
    model: str,
    *turns: Sequence[str],
    around: Sequence[str],
    before: Sequence[str] = (),
    env: str = "people:errand",
) -> str:
    """Draw an episode: below the spans *around*, each call and its tools.

    *before* are spans that have ended when the first of those begins.
    """
    lines = [f"eval {env} reward=1.0 outcome=scored", "├─ setup"]
    lines.append("├─ invoke_agent agent")
    lines += [f"│  ├─ {name}" for name in before]
    for depth, name in enumerate(around):
        lines.append(f"│  {'   ' * depth}└─ {name}")
    below = [
        name
        for tools in turns
        for name in (f"chat {model}", *(f"execute_tool {tool}" for tool in tools))
    ]
    for at, name in enumerate(below):
        mark = "└─" if at == len(below) - 1 else "├─"
        lines.append(f"│  {'   ' * len(around)}{mark} {name}")
    return "\n".join([*lines, "└─ reward score=1.0"])
