"""Continuous archiving of a server's log: which moments can be had, from which base, what may go.

A base backup and the log (WAL) written since it give the server as it was at any moment between the
base's end and the end of the log (PostgreSQL documentation, "Continuous Archiving and
Point-in-Time Recovery").
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

#: How old the newest base backup may be: to be replayed for a moment is a day's log at most.
BASE_EVERY = timedelta(days=1)


@dataclass(frozen=True)
class Base:
    """A base backup: good for moments from `ended_at` on; needs the log from `first_segment` on."""

    name: str
    first_segment: str
    ended_at: datetime


@dataclass(frozen=True)
class Span:
    """Moments that can be had, both ends included."""

    since: datetime
    until: datetime

    def holds(self, moment: datetime) -> bool:
        return self.since <= moment <= self.until


def wants_base(bases: Sequence[Base], now: datetime) -> bool:
    return not any(now - base.ended_at < BASE_EVERY for base in bases)


def span_between(
    oldest_at: datetime, reached_at: datetime, not_before: datetime | None = None
) -> Span | None:
    """What an archive offers of a thing that came to be at `not_before`; None: no moment yet."""
    since = max(oldest_at, not_before) if not_before else oldest_at
    return Span(since, reached_at) if since <= reached_at else None


def base_for(bases: Iterable[Base], moment: datetime) -> Base | None:
    """The newest that had ended by then: the least is to be replayed."""
    ended = [base for base in bases if base.ended_at <= moment]
    return max(ended, key=lambda base: base.ended_at, default=None)


def needless_bases(bases: Sequence[Base], now: datetime, keep: timedelta) -> list[Base]:
    """Those that no moment within `keep` needs any more: all before the newest that is older."""
    older = [base for base in bases if base.ended_at <= now - keep]
    last = max(older, key=lambda base: base.ended_at, default=None)
    return [base for base in older if base is not last]


def needless_segments(bases: Iterable[Base], segments: Sequence[str]) -> list[str]:
    """Segments of the log from before the oldest base, but for the newest, by which is known what
    comes next. Their names begin with the timeline (eight digits), which says nothing of their
    order."""
    first = min((base.first_segment[8:] for base in bases), default="")
    newest = max(segments, key=lambda segment: segment[8:], default="")
    return [segment for segment in segments if segment[8:] < first and segment != newest]
