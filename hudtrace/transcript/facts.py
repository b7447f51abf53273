"""What is said at the head of an episode, in words."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

from hudtrace.progress import duration
from hudtrace.store.queries import Episode
from hudtrace.transcript.conversation import Transcript, root_of
from hudtrace.transcript.parts import Plain


def title(episode: Episode | None, transcript: Transcript) -> str:
    """Return what ran."""
    if episode is not None:
        return episode.label
    root = root_of(transcript.spans)
    return transcript.trace_id if root is None else root.name


def facts(episode: Episode | None, transcript: Transcript) -> Iterator[tuple[str, str]]:
    """Return the figures that there are, each with its name; what is unknown is left out."""
    yield "trace", transcript.trace_id
    if episode is None:
        yield "spans", str(len(transcript.spans))
        return
    yield "reward", "none" if episode.reward is None else f"{episode.reward:g}"
    yield "outcome", episode.outcome or episode.state
    if episode.stopped_by:
        yield "stopped by the limit on", episode.stopped_by
    for name in ("model", "agent", "variant", "job_id", "task_id"):
        value = getattr(episode, name)
        if value is not None:
            yield name.removesuffix("_id"), str(value)
    started = datetime.fromtimestamp(episode.start / 1e9, UTC)
    yield "started", f"{started:%Y-%m-%d %H:%M:%S} UTC"
    if episode.seconds is not None:
        yield "took", duration(episode.seconds)
    if episode.turns is not None:
        yield "turns", str(episode.turns)
    if episode.tool_calls is not None:
        yield "tool calls", f"{episode.tool_calls}, {episode.tool_errors or 0} failed"
    if episode.input_tokens is not None:
        yield "tokens", f"{episode.input_tokens} in, {episode.output_tokens or 0} out"
    if episode.cost is not None:
        yield "cost", f"${episode.cost:.4f}"


def call_figures(item: Plain) -> Iterator[str]:
    """Return the figures of a model call that there are, as words."""
    if item["history"]:
        yield f"{len(item['new'])} new after {item['history']} messages"
    if item["duration"] is not None:
        yield duration(item["duration"] / 1e9)
    if item["input_tokens"] is not None:
        yield f"{item['input_tokens']} + {item['output_tokens'] or 0} tokens"
    if item["cost"] is not None:
        yield f"${item['cost']:.4f}"
    if item["state"] != "done":
        yield item["state"]
    if item["incomplete"]:
        yield f"incomplete: {item['incomplete']}"
