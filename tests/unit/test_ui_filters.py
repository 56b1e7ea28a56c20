"""Money, quantities, sizes and times as the pages write them."""

from datetime import UTC, date, datetime, timedelta

import pytest

from ui import filters

NOW = datetime(2026, 11, 24, 6, 0, tzinfo=UTC)  # 14:00 in Shanghai


def plain(text: str) -> str:
    """The text with no-break spaces made visible to equality."""
    return text.replace("\N{NO-BREAK SPACE}", " ")


@pytest.mark.parametrize(
    ("micro_yuan", "expected"),
    [
        (206_000_000, "¥ 206.00"),
        (342_918_400_000, "¥ 342,918.40"),
        (0, "¥ 0.00"),
        (5_000, "¥ 0.01"),
        (4_999, "¥ 0.00"),
        (-1_250_000, "−¥ 1.25"),
        (None, "—"),
    ],
)
def test_money(micro_yuan: int | None, expected: str) -> None:
    assert plain(filters.money(micro_yuan)) == expected


def test_money_signed() -> None:
    assert plain(filters.money(1_500_000, signed=True)) == "+¥ 1.50"
    assert plain(filters.money(-1_500_000, signed=True)) == "−¥ 1.50"
    assert plain(filters.money(0, signed=True)) == "¥ 0.00"


def test_yuan_never_shows_a_negative_nothing() -> None:
    assert filters.yuan(-10) == "0.00"
    assert filters.yuan(-1_234_500_000) == "−1,234.50"


@pytest.mark.parametrize(
    ("number", "decimals", "expected"),
    [
        (1234.5, 2, "1,234.5"),
        (2.0, 2, "2"),
        (0.125, 2, "0.13"),
        (-3.5, 1, "−3.5"),
        (-0.001, 2, "0"),
        (100, 0, "100"),
    ],
)
def test_quantity(number: float, decimals: int, expected: str) -> None:
    assert filters.quantity(number, decimals) == expected


@pytest.mark.parametrize(
    ("mib", "expected"),
    [
        (512, "512 MiB"),
        (0, "0 GiB"),
        (8192, "8 GiB"),
        (1536, "1.5 GiB"),
        (6_291_456, "6 TiB"),
        (None, "—"),
    ],
)
def test_memory(mib: int | None, expected: str) -> None:
    assert plain(filters.memory(mib)) == expected


@pytest.mark.parametrize(
    ("gib", "expected"),
    [(40, "40 GiB"), (1024, "1 TiB"), (368_640, "360 TiB"), (1075.2, "1.05 TiB"), (None, "—")],
)
def test_storage(gib: float | None, expected: str) -> None:
    assert plain(filters.storage(gib)) == expected


def test_percent_and_change() -> None:
    assert plain(filters.percent(61, 100)) == "61 %"
    assert filters.percent(1, 0) == "—"
    assert plain(filters.change(103.2, 100)) == "+3.2 %"
    assert plain(filters.change(97.7, 100)) == "−2.3 %"
    assert plain(filters.change(5, 5)) == "0.0 %"
    assert filters.change(5, 0) == "—"


@pytest.mark.parametrize(
    ("seconds", "zh", "en"),
    [
        (0.42, "0.4 秒", "0.4 s"),
        (59.9, "59.9 秒", "59.9 s"),
        (72, "1 分 12 秒", "1 min 12 s"),
        (3600, "1 小时", "1 h"),
        (7500, "2 小时 5 分", "2 h 5 min"),
        (90_061, "1 天 1 小时", "1 d 1 h"),
        (None, "—", "—"),
    ],
)
def test_duration(seconds: float | None, zh: str, en: str) -> None:
    assert plain(filters.duration(seconds, "zh")) == zh
    assert plain(filters.duration(seconds, "en")) == en


def test_times_are_shown_in_shanghai() -> None:
    assert filters.local_time(NOW, NOW) == "11-24 14:00"
    assert filters.local_time(NOW) == "2026-11-24 14:00"
    assert filters.exact_time(NOW) == "2026-11-24 14:00:00 +08:00"
    assert filters.machine_time(NOW) == "2026-11-24T14:00:00+08:00"
    assert filters.local_time(datetime(2025, 12, 31, 16, 0), NOW) == "01-01 00:00"  # noqa: DTZ001 - naive is UTC
    assert filters.local_time(datetime(2025, 12, 31, 15, 59), NOW) == "2025-12-31 23:59"  # noqa: DTZ001 - naive is UTC
    assert filters.local_date(int(NOW.timestamp())) == "2026-11-24"
    assert filters.local_date(date(2026, 2, 3)) == "2026-02-03"
    assert filters.local_time(None) == filters.exact_time(None) == filters.local_date(None) == "—"


@pytest.mark.parametrize(
    ("offset_seconds", "zh", "en"),
    [
        (-3, "刚刚", "just now"),
        (30, "马上", "in a moment"),
        (-180, "3 分钟前", "3 minutes ago"),
        (-3600, "1 小时前", "1 hour ago"),
        (2 * 86_400, "2 天后", "in 2 days"),
        (-400 * 86_400, "1 年前", "1 year ago"),
    ],
)
def test_relative_time(offset_seconds: int, zh: str, en: str) -> None:
    at = NOW.timestamp() + offset_seconds
    assert filters.relative_time(at, NOW, "zh") == zh
    assert filters.relative_time(at, NOW, "en") == en


def test_time_left() -> None:
    assert filters.time_left(NOW.timestamp() + 172_800, NOW) == "剩 2 天"
    assert filters.time_left(NOW.timestamp() - 3 * 3600, NOW) == "已超 3 小时"
    assert filters.time_left(NOW.timestamp() + 5, NOW, "en") == "less than a minute left"


def test_month_name() -> None:
    assert filters.month_name("2026-11") == "2026 年 11 月"
    assert filters.month_name("2026-11", "en") == "November 2026"


@pytest.mark.parametrize(
    ("task", "language", "shown"),
    [
        ("登记结果 · Report", "zh", "登记结果"),
        ("登记结果 · Report", "en", "Report"),
        ("Gathering Facts", "en", "Gathering Facts"),
        ("Gathering Facts", "zh", "Gathering Facts"),
    ],
)
def test_a_step_is_named_in_the_language_of_the_page(task: str, language: str, shown: str) -> None:
    assert filters.step_name(task, language) == shown


@pytest.mark.parametrize(
    ("value", "dimension", "language", "text"),
    [
        (9.36, "vcpu", "zh", "+9.36 核"),
        (-3, "vcpu", "en", "−3 vCPU"),
        (1536, "memory_mib", "zh", "+1.5 GiB"),
        (-2048, "storage_gib.ssd", "en", "−2 TiB"),
        (0, "vcpu", "zh", "0"),
        (0.001, "vcpu", "zh", "0"),
    ],
)
def test_a_change_of_an_amount_has_its_sign(
    value: float, dimension: str, language: str, text: str
) -> None:
    assert plain(filters.signed_amount(value, dimension, language)) == text


@pytest.mark.parametrize(
    ("days", "zh", "en"),
    [
        (-1, "今天", "today"),
        (0, "今天", "today"),
        (1, "1 天后", "in 1 day"),
        (29, "29 天后", "in 29 days"),
        (75, "2 个月后", "in 2 months"),
        (800, "2 年后", "in 2 years"),
    ],
)
def test_days_ahead(days: int, zh: str, en: str) -> None:
    today = date(2026, 11, 24)
    on = today + timedelta(days=days)
    assert filters.days_ahead(on, today, "zh") == zh
    assert filters.days_ahead(on, today, "en") == en
