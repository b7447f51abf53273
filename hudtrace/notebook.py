"""How results look in a notebook: small, self-contained, and with nothing that acts."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from hudtrace.messages import Message, encodable, named, response_text
from hudtrace.progress import duration
from hudtrace.terminal import one_line, visible
from hudtrace.transcript.markdown import fenced, inline

if TYPE_CHECKING:
    from hudtrace.jobs import Job
    from hudtrace.result import EvalResult

_SIZE = 40_000  # of HTML, from which the rest is left out
_TEXT = 1_500  # characters of one text
_ROWS = 200
_GOOD, _BAD, _DIM = "color:#14734a", "color:#c0272d", "opacity:.65"
_PRE = "margin:0;white-space:pre-wrap;overflow-wrap:anywhere;text-align:left"
_HEAD = ("task", "reward", "outcome", "turns", "tokens", "cost", "took", "trace")


def result_html(result: EvalResult) -> str:
    """Return one result as HTML: what came of it, and its conversation."""
    facts = "".join(_row(name, _text(value)) for name, value in _facts(result))
    link = _link(result.trace_url, result.trace_id)
    pieces = [
        f"<div><b>{_text(result.name)}</b> {_reward(result.reward)}</div>",
        f"<table><tbody>{facts}{_row('trace', link)}</tbody></table>",
    ]
    said = _limited(_conversation(_messages(result)), _SIZE - sum(map(len, pieces)))
    if said:
        rows = "".join(said)
        pieces.append(
            f"<details><summary>conversation</summary><table><tbody>{rows}"
            "</tbody></table></details>"
        )
    return f"<div>{''.join(pieces)}</div>"


def result_markdown(result: EvalResult) -> str:
    """Return one result as Markdown."""
    lines = [f"**{inline(result.name)}**: reward {_number(result.reward)}", ""]
    lines += ["| | |", "|---|---|"]
    lines += [f"| {name} | {inline(value[:_TEXT])} |" for name, value in _facts(result)]
    lines += [f"| trace | {_markdown_link(result.trace_url, result.trace_id)} |"]
    if result.answer is not None:
        lines += ["", "answer:", *fenced(str(result.answer)[:_TEXT])]
    return encodable("\n".join(lines)) + "\n"


def job_html(job: Job) -> str:
    """Return a job as HTML: its figures, and a row for each episode."""
    head = "".join(f"<th>{name}</th>" for name in _HEAD)
    first = (
        f"<div><b>{_text(job.name)}</b> {_link(job.trace_url, job.id)}<br>"
        f"{_text(str(job))}</div>"
    )
    rows = _limited(map(_result_row, job.results[:_ROWS]), _SIZE - len(first))
    more = len(job.results) - len(rows)
    rest = f"<div style='{_DIM}'>… {more} more</div>" if more else ""
    return (
        f"<div>{first}<table><thead><tr>{head}</tr></thead>"
        f"<tbody>{''.join(rows)}</tbody></table>{rest}</div>"
    )


def job_markdown(job: Job) -> str:
    """Return a job as Markdown."""
    lines = [f"{inline(str(job))} ({_markdown_link(job.trace_url, job.id)})", ""]
    lines += [f"| {' | '.join(_HEAD)} |", f"|{'---|' * len(_HEAD)}"]
    for result in job.results[:_ROWS]:
        cells = [inline(cell) for cell in _cells(result)]
        cells.append(_markdown_link(result.trace_url, result.trace_id[:12]))
        lines.append(f"| {' | '.join(cells)} |")
    if len(job.results) > _ROWS:
        lines += ["", f"… {len(job.results) - _ROWS} more"]
    return encodable("\n".join(lines)) + "\n"


def _facts(result: EvalResult) -> Iterator[tuple[str, str]]:
    yield "outcome", result.outcome
    if result.stopped_by:
        yield "stopped by the limit on", result.stopped_by
    if result.grade is not None and result.grade.explanation:
        yield "because", str(result.grade.explanation)
    if result.error is not None:
        yield "error", repr(result.error)
    if result.answer is not None:
        yield "answer", str(result.answer)
    if result.model:
        yield "model", result.model
    yield "turns", f"{result.turns}, {result.tool_calls} tool calls"
    usage = result.usage
    cost = "" if usage.cost is None else f", ${usage.cost:.4f}"
    yield "tokens", f"{usage.input_tokens} in, {usage.output_tokens} out{cost}"
    yield "took", duration(result.duration)


def _cells(result: EvalResult) -> list[str]:
    usage = result.usage
    task = result.task
    args = "" if task is None else ", ".join(f"{k}={v}" for k, v in task.args.items())
    return [
        f"{result.name}({args})"[:120] if args else result.name[:120],
        _number(result.reward),
        result.outcome,
        str(result.turns),
        str(usage.input_tokens + usage.output_tokens),
        "–" if usage.cost is None else f"${usage.cost:.4f}",
        duration(result.duration),
    ]


def _result_row(result: EvalResult) -> str:
    name, _, *rest = _cells(result)
    cells = [_text(name), _reward(result.reward), *map(_text, rest)]
    cells.append(_link(result.trace_url, result.trace_id[:12]))
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _messages(result: EvalResult) -> list[Message]:
    try:
        return result.messages
    except Exception:  # the store is gone: the figures are there all the same
        return []


def _conversation(messages: Iterable[Message]) -> Iterator[str]:
    for message in messages:
        said = "\n".join(map(_said, message["parts"]))
        yield _row(_text(message["role"]), f"<pre style='{_PRE}'>{_text(said)}</pre>")


def _said(part: Any) -> str:
    kind = part.get("type")
    if kind == "tool_call":
        arguments = json.dumps(part.get("arguments"), ensure_ascii=False, default=str)
        return f"{part.get('name')}({arguments})"
    if kind == "tool_call_response":
        return f"→ {response_text(part.get('response'))}"
    content = part.get("content")
    return content if kind in ("text", "reasoning") and content else named(part)


def _limited(rows: Iterable[str], size: int) -> list[str]:
    """Return the first of *rows* that fit."""
    kept = []
    for row in rows:
        size -= len(row)
        if size < 0:
            break
        kept.append(row)
    return kept


def _row(name: str, value: str) -> str:
    style = f"{_DIM};text-align:right;vertical-align:top"
    return f"<tr><td style='{style}'>{name}</td><td style='text-align:left'>{value}</td></tr>"


def _text(value: str) -> str:
    shown = visible(encodable(value))
    if len(shown) > _TEXT:
        shown = f"{shown[:_TEXT]}…"
    return html.escape(shown)


def _reward(reward: float | None) -> str:
    style = _DIM if reward is None else (_GOOD if reward >= 1 else _BAD)
    return f"<span style='{style}'>{_number(reward)}</span>"


def _number(reward: float | None) -> str:
    return "none" if reward is None else f"{reward:g}"


def _link(url: str, name: str) -> str:
    if not url.startswith(("http://", "https://")):
        return _text(name)
    address = html.escape(one_line(url))
    return f"<a href='{address}' target='_blank' rel='noopener'>{_text(name)}</a>"


def _markdown_link(url: str, name: str) -> str:
    if not url.startswith(("http://", "https://")):
        return inline(name)
    address = "".join(c for c in one_line(url) if c not in "<>() \\|")
    return f"[{inline(name)}](<{address}>)"
