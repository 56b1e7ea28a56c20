"""What held quantities cost: exact sums, each line rounded once."""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controlplane.clock import epoch_seconds, month_bounds
from controlplane.metering.rules import (
    QUOTE_HOURS,
    LedgerLine,
    PriceSegment,
    Usage,
    cost_micro_yuan,
    divide_half_up,
    overlap_seconds,
    price_segments,
    quote_month,
    rate,
)

NOVEMBER = tuple(epoch_seconds(t) for t in month_bounds(2026, 11))
START, END = NOVEMBER
HOUR = 3600


def price(
    micro_yuan_per_hour: int, t0: int = 0, t1: int | None = None, unit: int = 1
) -> PriceSegment:
    return PriceSegment("vcpu", micro_yuan_per_hour, unit, t0, t1)


def brief(lines: list[LedgerLine]) -> list[tuple[int, int, int, int]]:
    return [(x.price.t0, x.unit_seconds, x.seconds, x.micro_yuan) for x in lines]


@pytest.mark.parametrize(
    ("numerator", "denominator", "quotient"),
    [(0, 7, 0), (1, 2, 1), (-1, 2, -1), (3, 2, 2), (-3, 2, -2), (1, 3, 0), (2, 3, 1), (-2, 3, -1),
     (10**30 + 1, 2, (10**30 + 2) // 2)],
)  # fmt: skip
def test_a_half_is_rounded_away_from_zero(numerator: int, denominator: int, quotient: int) -> None:
    assert divide_half_up(numerator, denominator) == quotient


@given(st.integers(-(10**15), 10**15), st.integers(1, 10**6))
def test_rounding_agrees_with_the_library_s(numerator: int, denominator: int) -> None:
    nearest = divide_half_up(numerator, denominator)
    assert abs(Fraction(numerator, denominator) - nearest) <= Fraction(1, 2)
    if denominator in (1, 2, 4, 5, 8, 10):  # where a Decimal holds the quotient exactly
        exact = Decimal(numerator) / Decimal(denominator)
        assert nearest == int(exact.quantize(Decimal(1), ROUND_HALF_UP))


@pytest.mark.parametrize(
    ("a", "b", "seconds"),
    [
        ((0, 10), (0, 10), 10),
        ((0, 10), (10, 20), 0),
        ((10, 20), (0, 10), 0),
        ((0, 10), (9, 11), 1),
        ((0, 10), (3, 4), 1),
        ((0, 10), (3, None), 7),
        ((0, 10), (10, None), 0),
        ((5, 5), (0, 10), 0),
        ((7, 3), (0, 10), 0),
    ],
)
def test_intervals_are_half_open(
    a: tuple[int, int], b: tuple[int, int | None], seconds: int
) -> None:
    assert overlap_seconds(*a, *b) == seconds


def test_a_price_lasts_until_the_next_of_its_item() -> None:
    made = price_segments([("vcpu", 30, 1, 50), ("ssd", 7, 1, 10), ("vcpu", 20, 1, 0)])
    assert made["vcpu"] == [price(20, 0, 50), price(30, 50, None)]
    assert [(s.t0, s.t1) for s in made["ssd"]] == [(10, None)]


def test_one_core_for_one_hour_costs_its_price() -> None:
    lines = rate([Usage("vcpu", 1, START, START + HOUR)], {"vcpu": [price(35_000)]}, NOVEMBER)
    assert brief(lines) == [(0, HOUR, HOUR, 35_000)]


def test_a_price_counts_its_own_unit() -> None:
    """Memory is held in MiB and priced by the GiB."""
    segments = {"vcpu": [price(14_000, unit=1024)]}
    lines = rate([Usage("vcpu", 2048, START, START + HOUR)], segments, NOVEMBER)
    assert lines[0].micro_yuan == 28_000


def test_what_was_held_outside_the_month_is_left_out() -> None:
    usages = [Usage("vcpu", 1, START - HOUR, START), Usage("vcpu", 1, END, END + HOUR)]
    assert rate(usages, {"vcpu": [price(1)]}, NOVEMBER) == []
    whole = rate([Usage("vcpu", 1, 0, END + 9)], {"vcpu": [price(1)]}, NOVEMBER)
    assert whole[0].seconds == END - START == 30 * 24 * HOUR


def test_a_price_that_changes_in_the_month_splits_at_its_second() -> None:
    change = START + 10 * HOUR + 1
    segments = {"vcpu": [price(100, 0, change), price(200, change)]}
    lines = rate([Usage("vcpu", 2, START, START + 20 * HOUR)], segments, NOVEMBER)
    assert [(x.price.t0, x.unit_seconds) for x in lines] == [
        (0, 2 * (10 * HOUR + 1)),
        (change, 2 * (10 * HOUR - 1)),
    ]
    assert sum(x.seconds for x in lines) == 20 * HOUR


def test_time_before_the_first_price_and_items_without_one_cost_nothing() -> None:
    segments = {"vcpu": [price(100, START + HOUR)]}
    lines = rate(
        [Usage("vcpu", 1, START, START + 2 * HOUR), Usage("ssd", 5, START, END)],
        segments,
        NOVEMBER,
    )
    assert brief(lines) == [(START + HOUR, HOUR, HOUR, 100)]


def test_an_interval_of_no_length_makes_no_line() -> None:
    assert rate([Usage("vcpu", 4, START, START)], {"vcpu": [price(1)]}, NOVEMBER) == []


def test_a_line_is_rounded_once_and_not_by_its_parts() -> None:
    """Three times a third of a micro-yuan is one, not none."""
    third = [Usage("vcpu", 1, START + i * 1200, START + (i + 1) * 1200) for i in range(3)]
    assert rate(third, {"vcpu": [price(1)]}, NOVEMBER)[0].micro_yuan == 1
    assert rate(third[:1], {"vcpu": [price(1)]}, NOVEMBER)[0].micro_yuan == 0


def test_a_quote_takes_the_price_of_the_day_for_730_hours() -> None:
    segments = {"vcpu": [price(100, 0, 50), price(200, 50)]}
    assert quote_month({"vcpu": 3}, segments, 49) == {"vcpu": 3 * 100 * QUOTE_HOURS}
    assert quote_month({"vcpu": 3}, segments, 50) == {"vcpu": 3 * 200 * QUOTE_HOURS}
    assert quote_month({"rack": 1}, segments, 50) == {}
    assert quote_month({"vcpu": 3}, {"vcpu": [price(100, 10)]}, 9) == {}


# --- against a second by second count -----------------------------------------------------------

MOMENTS = st.integers(0, 60)
PRICES = st.dictionaries(MOMENTS, st.integers(0, 10**7), max_size=4)
USAGES = st.lists(
    st.builds(
        lambda item, quantity, t0, length: Usage(item, quantity, t0, t0 + length),
        st.sampled_from(["vcpu", "ssd"]),
        st.integers(1, 10**6),
        MOMENTS,
        st.integers(0, 30),
    ),
    max_size=6,
)


@given(USAGES, PRICES, PRICES, MOMENTS, st.integers(0, 60), st.sampled_from([1, 1024]))
def test_lines_agree_with_counting_every_second(
    usages: list[Usage],
    vcpu: dict[int, int],
    ssd: dict[int, int],
    start: int,
    length: int,
    unit: int,
) -> None:
    by_item = {"vcpu": vcpu, "ssd": ssd}
    rows = [(item, micro, unit, t0) for item, ps in by_item.items() for t0, micro in ps.items()]
    lines = rate(usages, price_segments(rows), (start, start + length))
    counted: dict[tuple[str, int], int] = {}
    for usage in usages:
        for second in range(max(usage.t0, start), min(usage.t1, start + length)):
            begun = [t0 for t0 in by_item[usage.item] if t0 <= second]
            if begun:
                key = (usage.item, max(begun))
                counted[key] = counted.get(key, 0) + usage.quantity
    assert {(x.item, x.price.t0): x.unit_seconds for x in lines} == counted
    for line in lines:
        exact = Fraction(line.unit_seconds * line.price.micro_yuan_per_hour, unit * HOUR)
        assert abs(exact - line.micro_yuan) <= Fraction(1, 2)
        assert line.micro_yuan == cost_micro_yuan(line.unit_seconds, line.price)


@given(USAGES, PRICES, st.integers(0, 30), st.integers(0, 30))
def test_two_windows_side_by_side_count_what_the_whole_does(
    usages: list[Usage], prices: dict[int, int], first: int, second: int
) -> None:
    """Cutting at a month's end loses no second and counts none twice."""
    segments = price_segments(("vcpu", micro, 1, t0) for t0, micro in prices.items())
    cut, end = first, first + second

    def units(window: tuple[int, int]) -> int:
        return sum(x.unit_seconds for x in rate(usages, segments, window))

    assert units((0, cut)) + units((cut, end)) == units((0, end))
