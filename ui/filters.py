"""How money, quantities, sizes and times are written on a page; pure, the language passed in.

Languages are "zh" and "en". An instant is epoch seconds or a datetime (a naive one is UTC); it is
shown in Asia/Shanghai. `None` is written as a dash, so that a page never shows the word None.
"""

from datetime import UTC, date, datetime
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

Instant = datetime | int | float

MICRO_YUAN_PER_YUAN = 1_000_000
MIB_PER_GIB = 1024
GIB_PER_TIB = 1024
LOCAL_ZONE = ZoneInfo("Asia/Shanghai")

DASH = "—"
MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"

# (seconds, Chinese, English singular, English plural), largest first.
SPANS = (
    (365 * 86_400, "年", "year", "years"),
    (30 * 86_400, "个月", "month", "months"),
    (86_400, "天", "day", "days"),
    (3_600, "小时", "hour", "hours"),
    (60, "分钟", "minute", "minutes"),
)
SHORT_SPANS = ((86_400, "天", "d"), (3_600, "小时", "h"), (60, "分", "min"), (1, "秒", "s"))


def money(micro_yuan: int | None, signed: bool = False) -> str:
    """Micro-yuan as `¥ 1,234.50`; with `signed`, a plus before gains. Rounds half up to the fen."""
    if micro_yuan is None:
        return DASH
    plus = "+" if signed and micro_yuan > 0 else ""
    minus = MINUS if micro_yuan < 0 else ""
    return f"{minus}{plus}¥{NBSP}{yuan(abs(micro_yuan))}"


def yuan(micro_yuan: int | None) -> str:
    """Micro-yuan as `1,234.50`, for a column whose head carries the sign."""
    if micro_yuan is None:
        return DASH
    fen = (Decimal(abs(micro_yuan)) / MICRO_YUAN_PER_YUAN).quantize(Decimal("0.01"), ROUND_HALF_UP)
    return f"{MINUS if micro_yuan < 0 and fen else ''}{fen:,}"


def count(number: int | None) -> str:
    """A whole number with thousands separated."""
    return DASH if number is None else f"{number:,}".replace("-", MINUS)


def quantity(number: float | Decimal | None, decimals: int = 2) -> str:
    """A number with thousands separated, at most `decimals` places and no trailing zeros."""
    if number is None:
        return DASH
    step = Decimal(1).scaleb(-decimals)
    rounded = Decimal(str(number)).quantize(step, ROUND_HALF_UP)
    text = f"{rounded:,f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return text.replace("-", MINUS) if text not in ("-0", "-") else "0"


def memory(mib: float | None) -> str:
    """Memory given in MiB, as MiB below one GiB, GiB below one TiB, then TiB."""
    if mib is None:
        return DASH
    if abs(mib) < MIB_PER_GIB and mib % 1 == 0 and mib != 0:
        return f"{count(int(mib))}{NBSP}MiB"
    return storage(mib / MIB_PER_GIB)


def storage(gib: float | None) -> str:
    """Storage given in GiB, as GiB below one TiB, then TiB."""
    if gib is None:
        return DASH
    if abs(gib) < GIB_PER_TIB:
        return f"{quantity(gib)}{NBSP}GiB"
    return f"{quantity(gib / GIB_PER_TIB)}{NBSP}TiB"


def file_size(size_bytes: int | None) -> str:
    """The size of a file, in the largest unit of which it has one."""
    if size_bytes is None:
        return DASH
    size, units = float(size_bytes), ["B", "KiB", "MiB", "GiB", "TiB"]
    while size >= 1024 and len(units) > 1:
        size, units = size / 1024, units[1:]
    return f"{quantity(size, 1)}{NBSP}{units[0]}"


def percent(part: float, whole: float, decimals: int = 0) -> str:
    """`part` of `whole` as `61 %`; a dash where the whole is nothing."""
    if not whole:
        return DASH
    return f"{quantity(100 * part / whole, decimals)}{NBSP}%"


def change(now: float, before: float) -> str:
    """The change from `before` as `+3.2 %`; a dash where there was nothing before."""
    if not before:
        return DASH
    ratio = Decimal(str(100 * (now - before) / before)).quantize(Decimal("0.1"), ROUND_HALF_UP)
    sign = "+" if ratio > 0 else MINUS if ratio < 0 else ""
    return f"{sign}{abs(ratio)}{NBSP}%"


def duration(seconds: float | None, language: str = "zh") -> str:
    """A length of time by its two largest parts: `4.8 秒`, `1 分 12 秒`, `3 天 4 小时`."""
    if seconds is None:
        return DASH
    column = 1 if language == "zh" else 2
    if seconds < 60:
        return f"{quantity(max(seconds, 0), 1)}{NBSP}{SHORT_SPANS[3][column]}"
    left, parts = int(seconds), []
    for span in SHORT_SPANS:
        amount, left = divmod(left, span[0])
        if amount or parts:
            parts.append((amount, span[column]))
    return " ".join(f"{amount}{NBSP}{word}" for amount, word in parts[:2] if amount)


def local(at: Instant) -> datetime:
    """An instant as a datetime in Asia/Shanghai."""
    if not isinstance(at, datetime):
        at = datetime.fromtimestamp(at, UTC)
    elif at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    return at.astimezone(LOCAL_ZONE)


def local_time(at: Instant | None, now: Instant | None = None) -> str:
    """`11-23 15:40` in the year of `now`, else `2025-11-23 15:40`."""
    if at is None:
        return DASH
    moment = local(at)
    same_year = now is not None and local(now).year == moment.year
    return moment.strftime("%m-%d %H:%M" if same_year else "%Y-%m-%d %H:%M")


def exact_time(at: Instant | None) -> str:
    """`2026-11-23 15:40:06 +08:00`, for the hover over a shorter form."""
    return (
        DASH if at is None else local(at).isoformat(sep=" ", timespec="seconds").replace("+", " +")
    )


def machine_time(at: Instant) -> str:
    """ISO 8601 in Asia/Shanghai, for the datetime attribute of <time>."""
    return local(at).isoformat(timespec="seconds")


def local_date(at: Instant | date | None) -> str:
    """`2026-11-23`; a plain date passes through unchanged."""
    if at is None:
        return DASH
    return (
        at.isoformat()
        if isinstance(at, date) and not isinstance(at, datetime)
        else local(at).date().isoformat()
    )


def month_name(month: str, language: str = "zh") -> str:
    """A month `2026-11` as `2026 年 11 月` or `November 2026`."""
    year, number = (int(part) for part in month.split("-"))
    first = date(year, number, 1)
    return f"{first.year} 年 {first.month} 月" if language == "zh" else first.strftime("%B %Y")


def relative_time(at: Instant | None, now: Instant, language: str = "zh") -> str:
    """How long ago or in how long, by the largest unit: `3 分钟前`, `2 天后`, `刚刚`."""
    if at is None:
        return DASH
    seconds = (local(at) - local(now)).total_seconds()
    if abs(seconds) < 60:
        if seconds > 5:
            return "马上" if language == "zh" else "in a moment"
        return "刚刚" if language == "zh" else "just now"
    span = span_words(abs(seconds), language)
    if language == "zh":
        return f"{span}{'前' if seconds < 0 else '后'}"
    return f"{span} ago" if seconds < 0 else f"in {span}"


def time_left(deadline: Instant | None, now: Instant, language: str = "zh") -> str:
    """What remains until a deadline: `剩 2 天`, or by how much it is over: `已超 3 小时`."""
    if deadline is None:
        return DASH
    seconds = (local(deadline) - local(now)).total_seconds()
    span = span_words(abs(seconds), language)
    if language == "zh":
        return f"剩 {span}" if seconds >= 0 else f"已超 {span}"
    return f"{span} left" if seconds >= 0 else f"{span} over"


def span_words(seconds: float, language: str) -> str:
    """A positive length of time by its largest unit, whole: `2 天`, `1 hour`; at least a minute."""
    for size, chinese, singular, plural in SPANS:
        if seconds >= size:
            amount = int(seconds // size)
            return (
                f"{amount} {chinese}"
                if language == "zh"
                else f"{amount} {singular if amount == 1 else plural}"
            )
    return "不到 1 分钟" if language == "zh" else "less than a minute"


def unit_for(dimension: str, limit: float, language: str = "zh") -> tuple[float, str]:
    """The unit in which amounts of a capacity dimension are best written beside their `limit`.

    Returns (how many base units make one, its name). Dimensions: `vcpu`, `memory_mib`,
    `certificates`, and anything that begins with `storage` (GiB).
    """
    if dimension == "vcpu":
        return 1, "核" if language == "zh" else "vCPU"
    if dimension == "memory_mib":
        if limit >= MIB_PER_GIB * GIB_PER_TIB:
            return MIB_PER_GIB * GIB_PER_TIB, "TiB"
        return MIB_PER_GIB, "GiB"
    if dimension == "certificates":
        return 1, "张" if language == "zh" else ""
    if dimension.startswith("storage"):
        return (GIB_PER_TIB, "TiB") if limit >= GIB_PER_TIB else (1, "GiB")
    return 1, ""


def amount(value: float | None, dimension: str, language: str = "zh") -> str:
    """An amount of a capacity dimension with its unit: `4 核`, `8 GiB`, `1.05 TiB`."""
    if value is None:
        return DASH
    divisor, unit = unit_for(dimension, abs(value), language)
    return f"{quantity(value / divisor)}{NBSP}{unit}".rstrip()


def signed_amount(value: float, dimension: str, language: str = "zh") -> str:
    """A change of a capacity dimension with its sign: `+4 核`, `−1.5 TiB`; `0` where it is none."""
    text = amount(abs(value), dimension, language)
    if text.partition(NBSP)[0] == "0":
        return "0"
    return f"{'+' if value > 0 else MINUS}{text}"


def days_ahead(on: date, today: date, language: str = "zh") -> str:
    """How far a day lies ahead: `今天`, `38 天后`, `in 5 months`."""
    if on <= today:
        return "今天" if language == "zh" else "today"
    span = span_words((on - today).days * 86_400, language)
    return f"{span}后" if language == "zh" else f"in {span}"


def step_name(task: str, language: str) -> str:
    """The name of a playbook's task in one language: tasks are named "中文 · English", or once."""
    chinese, dot, english = task.partition(" · ")
    return english if dot and language == "en" else chinese
