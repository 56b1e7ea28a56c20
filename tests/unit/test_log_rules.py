"""Which moments an archived log gives, from which base, and what may go."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from controlplane.backups.log_rules import (
    Base,
    Span,
    base_for,
    needless_bases,
    needless_segments,
    span_between,
    wants_base,
)

WEEK = timedelta(days=7)


def at(day: int, hour: int = 2) -> datetime:
    return datetime(2026, 11, day, hour, tzinfo=UTC)


def base(day: int) -> Base:
    return Base(f"b{day}", f"00000001000000000000{day:04X}", at(day))


BASES = [base(day) for day in (10, 11, 12)]


@pytest.mark.parametrize(
    ("bases", "now", "wanted"),
    [
        ([], at(12), True),
        (BASES, at(12, 3), False),
        (BASES, at(13, 1), False),
        (BASES, at(13, 2), True),
    ],
)
def test_a_base_is_wanted_once_the_newest_is_a_day_old(
    bases: list[Base], now: datetime, wanted: bool
) -> None:
    assert wants_base(bases, now) is wanted


@pytest.mark.parametrize(
    ("moment", "found"),
    [(at(10, 1), None), (at(10), "b10"), (at(11, 1), "b10"), (at(11), "b11"), (at(30), "b12")],
)
def test_the_newest_base_that_had_ended_is_replayed_from(
    moment: datetime, found: str | None
) -> None:
    chosen = base_for(BASES, moment)
    assert (chosen and chosen.name) == found


@pytest.mark.parametrize(
    ("delivered_at", "span"),
    [
        (None, Span(at(10), at(12))),
        (at(9), Span(at(10), at(12))),
        (at(11), Span(at(11), at(12))),
        (at(12), Span(at(12), at(12))),
        (at(12, 3), None),
    ],
)
def test_a_resource_has_moments_since_it_was_delivered(
    delivered_at: datetime | None, span: Span | None
) -> None:
    assert span_between(at(10), at(12), delivered_at) == span


@pytest.mark.parametrize(
    ("now", "gone"),
    [
        (at(16), []),
        (at(17), []),
        (at(18), ["b10"]),
        (at(19), ["b10", "b11"]),
        (at(30), ["b10", "b11"]),
    ],
)
def test_the_newest_base_older_than_a_week_stays_for_the_moments_since(
    now: datetime, gone: list[str]
) -> None:
    assert [b.name for b in needless_bases(BASES, now, WEEK)] == gone


def test_log_before_the_oldest_base_goes_on_whatever_timeline() -> None:
    names = [
        "000000010000000000000009",
        "00000001000000000000000A",
        "00000002000000000000000B",
        "000000020000000000000008",
    ]
    assert needless_segments(BASES, names) == [names[0], names[3]]
    assert needless_segments([], names) == []
    assert needless_segments(BASES, names[:1]) == [], "the newest tells what comes next"
    assert needless_segments(BASES, []) == []
