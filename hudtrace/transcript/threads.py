"""Which messages of a model call are new, and which calls make one conversation.

A conversation is a chain of nodes in the store, so what a call shares with those
before it is known without reading a message: walk up from its last node to the first
that has been seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from hudtrace import semconv
from hudtrace.transcript.calls import Call, Messages
from hudtrace.transcript.received import Link
from hudtrace.transcript.resumed import Placed, ProviderHeld, drop_echo
from hudtrace.transcript.rows import Row, scopes

_AHEAD = 8  # nodes that are read at once, twice as many each time


class _Scope(NamedTuple):
    """Where calls of one thread are: in the same phase, and the same call of a tool."""

    phase: str | None
    tool: str | None


@dataclass(slots=True)
class _Node:
    parent: bytes | None
    message: bytes
    depth: int = 0  # messages up to this one, with it
    covers: Placed | None = None  # the newest call whose whole input leads here


@dataclass(slots=True)
class _Thread:
    number: int
    scope: _Scope
    agent: str | None
    tip: Placed
    messages: Counter[bytes] = field(default_factory=Counter)  # of the tip, and replies


class Threads:
    """Places calls one after the other, in the order in which they ended."""

    def __init__(self, messages: Messages, spans: Sequence[Row]) -> None:
        self.total = 0
        self._messages = messages
        self._tools = scopes(spans, semconv.OP_EXECUTE_TOOL)
        self._agents = scopes(spans, semconv.OP_EXECUTE_TOOL, semconv.OP_INVOKE_AGENT)
        self._nodes: dict[bytes, _Node] = {}
        self._threads: list[_Thread] = []
        self._holders: dict[bytes, _Thread] = {}  # who has had a message last
        self._newest: dict[_Scope, _Thread] = {}
        self._held = ProviderHeld(messages)

    def place(self, call: Call) -> None:
        """Find out what is new in *call*, and which thread it goes on with."""
        call.first = self.total + 1
        if call.row.node is None:  # it is open, or nothing is known of its content
            newest = self._newest.get(self._scope(call))
            call.thread = newest.number if newest else 0
            return
        base, fresh = self._walk(call.row.node)
        length = self._depth(base) + len(fresh) - call.row.replies
        if len(fresh) < call.row.replies:  # all of it has been seen, the reply too
            fresh, base = self._last(call.row.node, call.row.replies)
        split = max(0, len(fresh) - call.row.replies)
        at = fresh[split - 1] if split else base
        before = self._nodes[base].covers if base is not None else None
        call.input = [self._nodes[node].message for node in fresh[:split]]
        call.output = [self._nodes[node].message for node in fresh[split:]]
        call.history = self._depth(base)
        placed = Placed(call, at, length, list(call.output))
        if before is not None and before.at == at:
            placed.replies = [*before.replies, *call.output]
        self._join(placed, base, before)
        for node in fresh[:split]:
            self._nodes[node].covers = before
        if at is not None:
            self._nodes[at].covers = placed
        for node in fresh[split:]:
            self._nodes[node].covers = placed
        if not call.history:
            call.input = [*self._messages.received.instructions(call.row), *call.input]
        self.total += len(call.input) + len(call.output)

    # The chain ---------------------------------------------------------------

    def _walk(self, end: bytes | None) -> tuple[bytes | None, list[bytes]]:
        """Return the last node that was seen before, and those after it."""
        fresh: list[bytes] = []
        ahead: dict[bytes, Link] = {}
        count = _AHEAD
        while end is not None and end not in self._nodes:
            if end not in ahead:
                links = self._messages.chain(end, count)
                ahead, count = {link[0]: link for link in links}, 2 * count
            if end not in ahead:  # it was deleted while we read
                end = None
                break
            _, parent, message = ahead[end]
            self._nodes[end] = _Node(parent, message)
            fresh.append(end)
            end = parent
        fresh.reverse()
        for depth, node in enumerate(fresh, self._depth(end) + 1):
            self._nodes[node].depth = depth
        return end, fresh

    def _last(self, end: bytes | None, count: int) -> tuple[list[bytes], bytes | None]:
        """Return the last *count* nodes, and the one before them."""
        found: list[bytes] = []
        while end in self._nodes and len(found) < count:
            found.append(end)
            end = self._nodes[end].parent
        found.reverse()
        return found, end if end in self._nodes else None

    def _depth(self, node: bytes | None) -> int:
        return 0 if node is None else self._nodes[node].depth

    def _scope(self, call: Call) -> _Scope:
        return _Scope(call.row.phase, self._tools[call.row.span_id])

    # The thread --------------------------------------------------------------

    def _join(self, placed: Placed, base: bytes | None, before: Placed | None) -> None:
        call = placed.call
        scope = self._scope(call)
        thread = None if before is None else self._threads[before.call.thread]
        if (
            before is not None
            and thread is not None
            and _goes_on(before, thread, scope)
        ):
            if base == before.at and call.input:
                drop_echo(call, before, self._messages)
        elif (kept := self._held.before(call)) is not None:
            thread = self._threads[kept.call.thread]
            call.history += kept.length + len(kept.call.output)
            placed.length = call.history + len(call.input)
        else:
            thread = self._rewritten(placed, base, thread, scope)
        if thread is None:
            agent = self._agents[call.row.span_id]
            thread = _Thread(len(self._threads), scope, agent, placed)
            self._threads.append(thread)
            thread.messages.update(self._up_to(base))
        self._take(thread, placed, scope)

    def _take(self, thread: _Thread, placed: Placed, scope: _Scope) -> None:
        """Make *placed* the last call of *thread*."""
        call = placed.call
        thread.tip = placed
        thread.messages.update(call.new)
        thread.agent = self._agents[call.row.span_id]
        call.thread = thread.number
        self._newest[scope] = thread
        self._holders.update(dict.fromkeys(call.new, thread))
        self._held.note(placed)

    def _rewritten(
        self,
        placed: Placed,
        base: bytes | None,
        thread: _Thread | None,
        scope: _Scope,
    ) -> _Thread | None:
        """Return the thread whose history *placed* has in another form, if there is."""
        call = placed.call
        certain = thread is not None  # a whole call is shared, but not the last
        if thread is None:
            thread = self._holder(call.input) or self._newest.get(scope)
        if thread is None or thread.scope != scope or not _follows(call, thread):
            return None
        if not certain and thread.agent != self._agents[call.row.span_id]:
            return None
        shared = self._depth(base)
        prefix = self._up_to(base)
        known = thread.messages - Counter(prefix)
        new = [key for key in call.input if not _take_one(known, key)]
        kept = len(call.input) - len(new)
        longer = 0 < shared < thread.tip.length - 1
        if not (certain or kept or longer):
            return None
        call.rewritten_at = shared
        call.history += kept
        call.input = new
        thread.messages = Counter([*prefix, *self._inputs(placed, shared)])
        return thread

    def _holder(self, hashes: Sequence[bytes]) -> _Thread | None:
        held = Counter(
            holder.number for key in hashes if (holder := self._holders.get(key))
        )
        return self._threads[held.most_common(1)[0][0]] if held else None

    def _up_to(self, node: bytes | None) -> list[bytes]:
        found = []
        while node is not None:
            found.append(self._nodes[node].message)
            node = self._nodes[node].parent
        return found

    def _inputs(self, placed: Placed, shared: int) -> list[bytes]:
        """Return the messages after the first *shared*."""
        return self._up_to(placed.at)[: max(0, placed.length - shared)]


def _goes_on(before: Placed, thread: _Thread, scope: _Scope) -> bool:
    """Say whether a call that begins with all of *before* is next in its thread."""
    return thread.scope == scope and (
        thread.tip is before or thread.tip.at == before.at
    )


def _follows(call: Call, thread: _Thread) -> bool:
    end = thread.tip.call.row.end
    return end is not None and call.row.start >= end


def _take_one(counted: Counter[bytes], key: bytes) -> bool:
    if counted[key] <= 0:
        return False
    counted[key] -= 1
    return True
