"""A trace as text that people can read and tests can compare."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from hudtrace import semconv
from hudtrace.terminal import one_line

_SHOWN = {
    semconv.REWARD: "reward",
    semconv.OUTCOME: "outcome",
    semconv.STOPPED_BY: "stopped_by",
    semconv.EVALUATION_SCORE: "score",
    semconv.RESPONSE_INCOMPLETE: "incomplete",
    semconv.CONTEXT_SOURCE: "context",
    semconv.ERROR_TYPE: "error",
}


class Node(Protocol):
    """A span with what the tree needs of it; ids as hex text."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def span_id(self) -> str: ...  # noqa: D102
    @property
    def parent_id(self) -> str | None: ...  # noqa: D102
    @property
    def start(self) -> int: ...  # noqa: D102
    @property
    def attributes(self) -> dict[str, Any]: ...  # noqa: D102


def describe(span: Node) -> str:
    """Return one line for *span*: its name and what matters about it."""
    words = [span.name]
    if span.name == semconv.SPAN_TURN and semconv.TURN_INDEX in span.attributes:
        words.append(str(span.attributes[semconv.TURN_INDEX]))
    for key, label in _SHOWN.items():
        if key in span.attributes:
            words.append(f"{label}={_text(span.attributes[key])}")
    return " ".join(words)


def draw(spans: Iterable[Node], line: Callable[[Any], str] = describe) -> str:
    """Draw *spans* as trees, children by start; orphans stand at the top.

    Each has one line, whatever is in its texts; control characters are spelled out.
    """
    ordered = sorted(spans, key=lambda span: span.start)
    ids = {span.span_id for span in ordered}
    children: dict[str | None, list[Node]] = {}
    for span in ordered:
        parent = span.parent_id if span.parent_id in ids else None
        children.setdefault(parent, []).append(span)
    lines: list[str] = []
    for root in children.get(None, ()):
        lines.append(one_line(line(root)))
        _draw_below(root, children, "", lines, line)
    return "\n".join(lines)


def _draw_below(
    span: Node,
    children: dict[str | None, list[Node]],
    indent: str,
    lines: list[str],
    line: Callable[[Any], str],
) -> None:
    below: Sequence[Node] = children.get(span.span_id, ())
    for position, child in enumerate(below):
        last = position == len(below) - 1
        lines.append(f"{indent}{'└─' if last else '├─'} {one_line(line(child))}")
        deeper = indent + ("   " if last else "│  ")
        _draw_below(child, children, deeper, lines, line)


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) and value % 1 else str(value)
