"""Model calls, each with only its new messages, and where messages are read from."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass, field

from hudtrace.messages import Message
from hudtrace.transcript import loose, parts
from hudtrace.transcript.received import Link, Received
from hudtrace.transcript.rows import Row


@dataclass(slots=True)
class Call:
    """A model call and which messages it adds: `input` and `output`, by their hashes.

    `history` counts the messages that were there before. `rewritten_at` is how many of
    those are as the thread's last call had them, None if all are. `first` is the number
    of its first new message in the episode.
    """

    row: Row
    thread: int = 0
    history: int = 0
    rewritten_at: int | None = None
    input: list[bytes] = field(default_factory=list)
    output: list[bytes] = field(default_factory=list)
    first: int = 1

    @property
    def new(self) -> list[bytes]:
        """The new messages, those of the model last."""
        return [*self.input, *self.output]


_CHAIN = (
    "WITH RECURSIVE chain(hash, parent, message) AS ("
    " SELECT hash, parent, message FROM nodes WHERE hash = ?"
    " UNION ALL SELECT n.hash, n.parent, n.message"
    " FROM nodes AS n JOIN chain ON n.hash = chain.parent) "
    "SELECT hash, parent, message FROM chain LIMIT ?"
)


class Messages:
    """The messages of a trace by hash; foreign ones are not in the store."""

    def __init__(self, db: sqlite3.Connection, trace_id: str) -> None:
        self.db = db
        self.trace_id = trace_id
        self.received = Received(db, trace_id)

    def use(self, db: sqlite3.Connection) -> None:
        """Read with another connection from now on."""
        self.db = db
        self.received.db = db

    def chain(self, node: bytes, count: int) -> list[Link]:
        """Return *node* and those that lead to it, the last first, at most *count*."""
        if node in self.received.nodes:
            return self.received.chain(node, count)
        return self.db.execute(_CHAIN, (node, count)).fetchall()

    def href(self, key: bytes) -> str:
        """Return where the whole message is to be had."""
        if key in self.received.places:
            return self.received.href(key)
        return f"{parts.API}/message/{key.hex()}"

    def blob(self, href: str) -> bytes | None:
        """Return the bytes of an image or a file, by the address that its part has."""
        whole, _, place = href.partition("/blob/")
        if "/span/" in whole:
            *_, span_id, _, number = whole.split("/")
            message = self.received.message(span_id, int(number))
        else:
            key = bytes.fromhex(whole.rpartition("/")[2])
            message = self.read([key]).get(key)
        found = None if message is None else parts.blob(message, place)
        return None if found is None else found[1]

    def bodies(self, hashes: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return messages as they are stored: UTF-8 JSON."""
        found: dict[bytes, bytes] = {}
        wanted = list(dict.fromkeys(hashes))
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            marks = ",".join("?" * len(some))
            found.update(
                self.db.execute(
                    f"SELECT hash, body FROM messages WHERE hash IN ({marks})", some
                ).fetchall()
            )
        return found

    def read(self, hashes: Sequence[bytes]) -> dict[bytes, Message]:
        """Return messages by their hashes; one that is gone is left out."""
        found = {key: _message(body) for key, body in self.bodies(hashes).items()}
        return found | self.received.read(hashes)

    def asking(self, hashes: Sequence[bytes]) -> dict[bytes, Message]:
        """Return those that ask for tool calls, without a look at tools' results."""
        found: dict[bytes, Message] = {}
        wanted = list(dict.fromkeys(hashes))
        for start in range(0, len(wanted), 500):
            some = wanted[start : start + 500]
            marks = ",".join("?" * len(some))
            rows = self.db.execute(
                f"SELECT hash, body FROM messages WHERE hash IN ({marks}) "
                "AND NOT instr(substr(body, 1, 24), ?) AND instr(body, ?)",
                (*some, b'"role":"tool"', b'"tool_call"'),
            )
            found.update((key, _message(body)) for key, body in rows)
        return found | self.received.asking(hashes)


def _message(body: bytes) -> Message:
    """Return a stored message; what has another form is brought into ours."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError):
        given = body.decode("utf-8", "replace")
    parts = given.get("parts") if isinstance(given, dict) else None
    if not isinstance(parts, list) or not all(map(_is_ours, parts)):
        return loose.message(given, "unknown")
    return Message(role=str(given.get("role")), parts=parts)


def _is_ours(part: object) -> bool:
    """Say whether a part is as our own dialects write it."""
    if not isinstance(part, dict) or not isinstance(part.get("type"), str):
        return False
    if part["type"] == "tool_call_response":
        return "response" in part
    return part["type"] != "tool_call" or isinstance(part.get("arguments"), dict)
