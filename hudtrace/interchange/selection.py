"""Which traces an export is of: one, or the episodes of a job."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass

from hudtrace import semconv
from hudtrace.store.decode import decode_span


@dataclass(frozen=True)
class Selection:
    """The chosen traces, ids in hex, oldest first; `job_id` if they are of a job."""

    trace_ids: list[str]
    job_id: str | None = None

    def with_verdicts(self, db: sqlite3.Connection) -> Iterator[list[str]]:
        """Yield each trace with those of its late verdicts; last that of the job."""
        late = _late_verdicts(db, self.trace_ids)
        for trace_id in self.trace_ids:
            yield [trace_id, *late.get(trace_id, ())]
        job = self._trace_of_job(db)
        if job is not None:
            yield [job]

    def _trace_of_job(self, db: sqlite3.Connection) -> str | None:
        """Return the trace with the job's own spans: its episodes link to it."""
        if self.job_id is None:
            return None
        for trace_id in self.trace_ids:
            roots = db.execute(
                "SELECT body FROM spans WHERE trace_id = ? AND parent_id IS NULL",
                (bytes.fromhex(trace_id),),
            )
            for (body,) in roots:
                for link in decode_span(body).links:
                    if link.attributes.get(semconv.LINK_KIND) == "job":
                        return link.trace_id
        return None


def of_job(db: sqlite3.Connection, job_id: str) -> Selection | None:
    """Return the episodes of a job, None if there is no such job."""
    rows = db.execute(
        "SELECT trace_id FROM episodes WHERE job_id = ? ORDER BY start", (job_id,)
    ).fetchall()
    return Selection([key.hex() for (key,) in rows], job_id) if rows else None


def _late_verdicts(
    db: sqlite3.Connection, trace_ids: list[str]
) -> dict[str, list[str]]:
    """Return the traces of late verdicts by the episode that they are about."""
    judged: dict[bytes, str] = {}
    for trace_id in trace_ids:
        rows = db.execute(
            "SELECT span_id FROM verdicts WHERE trace_id = ? AND late",
            (bytes.fromhex(trace_id),),
        )
        judged.update((span_id, trace_id) for (span_id,) in rows)
    found: dict[str, list[str]] = {}
    keys = list(judged)
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        marks = ",".join("?" * len(some))
        for trace_id, span_id in db.execute(
            f"SELECT trace_id, span_id FROM spans WHERE span_id IN ({marks}) "
            f"ORDER BY start",
            some,
        ):
            found.setdefault(judged[span_id], []).append(trace_id.hex())
    return found
