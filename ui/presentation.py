"""Gives templates their words: formatters in the visitor's language, icons, asset addresses."""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask, current_app, url_for
from flask_babel import Babel, gettext
from markupsafe import Markup

from controlplane.clock import local_second
from controlplane.messages import text_of_fault
from ui import assets, filters
from ui.events import act_effect, act_name, event_detail, event_name, event_names
from ui.icons import FALLBACK_ICON, ICONS
from ui.preferences import current_language, current_preferences
from ui.states import state_of

STYLESHEETS = (
    "vendor/tabler.min.css",
    "css/tokens.css",
    "css/frame.css",
    "css/topbar.css",
    "css/parts.css",
    "css/dialogs.css",
    "css/tables.css",
    "css/journey.css",
    "css/forms.css",
    "css/pages.css",
    "css/narrow.css",
    "css/print.css",
)

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; "
    "frame-ancestors 'none'"
)

# How times.js knows which <time> to keep fresh.
DATA_RELATIVE = Markup(" data-relative")


@cache
def assets_version() -> str:
    """The digest in asset addresses, taken once a process."""
    return assets.static_digest()


def install(app: Flask) -> None:
    """Register translations, filters and globals on `app`."""
    Babel(
        app,
        default_locale="zh",
        default_translation_directories=str(Path(__file__).parent / "translations"),
        locale_selector=current_language,
    )
    app.jinja_env.trim_blocks = True
    app.jinja_env.lstrip_blocks = True
    app.jinja_env.add_extension("jinja2.ext.do")
    app.jinja_env.filters.update(
        money=filters.money,
        yuan=filters.yuan,
        count=filters.count,
        quantity=filters.quantity,
        memory=filters.memory,
        storage=filters.storage,
        file_size=filters.file_size,
        local_date=filters.local_date,
        local_second=local_second,
        spaced=spaced,
        by_dimension=by_dimension,
        exact_time=filters.exact_time,
        local_time=lambda at: filters.local_time(at, now()),
        duration=lambda seconds: filters.duration(seconds, current_language()),
        month_name=lambda month: filters.month_name(month, current_language()),
        amount=lambda value, dimension: filters.amount(value, dimension, current_language()),
        signed_amount=lambda value, dimension: filters.signed_amount(
            value, dimension, current_language()
        ),
    )
    app.jinja_env.globals.update(
        icon=icon,
        asset=asset,
        when=when,
        state_of=state_of,
        percent=filters.percent,
        change=filters.change,
        unit_for=lambda dimension, limit: filters.unit_for(dimension, limit, current_language()),
        today=today,
        days_ahead=lambda on: filters.days_ahead(on, today(), current_language()),
        time_left=lambda at: filters.time_left(at, now(), current_language()),
        preferences=current_preferences,
        stylesheets=STYLESHEETS,
        dimension_name=dimension_name,
        zone_name=zone_name,
        words=words,
        name_of=name_of,
        fault_text=lambda fault: text_of_fault(fault, current_language()),
        event_name=event_name,
        act_name=act_name,
        act_effect=act_effect,
        event_names=event_names,
        event_detail=event_detail,
        sum_item=sum_item,
        costs_by_item=costs_by_item,
    )


def now() -> datetime:
    """The present moment in UTC, by the control plane's clock where there is one."""
    plane = current_app.extensions.get("controlplane")
    return datetime.now(UTC) if plane is None else plane.clock()


def today() -> date:
    """The present day in Shanghai."""
    return filters.local(now()).date()


def asset(path: str) -> str:
    """The address of a file under static/."""
    return url_for("assets.file", version=assets_version(), filename=path)


def icon(name: str, classes: str = "") -> Markup:
    """An icon of the sprite, hidden from screen readers: the word beside it says what it means."""
    known = name if name in ICONS else FALLBACK_ICON
    return Markup(
        '<svg class="icon {}" aria-hidden="true"><use href="{}#i-{}"></use></svg>'
    ).format(classes, asset("vendor/icons.svg"), known)


def when(at: filters.Instant | None, relative: bool = False) -> Markup:
    """A <time>: short, or relative to now; the exact time in Shanghai on hover."""
    if at is None:
        return Markup.escape(filters.DASH)
    if relative:
        shown = filters.relative_time(at, now(), current_language())
    else:
        shown = filters.local_time(at, now())
    return Markup('<time datetime="{}" title="{}"{}>{}</time>').format(
        filters.machine_time(at),
        filters.exact_time(at),
        DATA_RELATIVE if relative else "",
        shown,
    )


def spaced(name: str) -> str:
    """A name to stand behind a Chinese word: one in Latin letters keeps its distance."""
    return f" {name}" if current_language() == "zh" and name[:1].isascii() else name


def dimension_name(dimension: str) -> str:
    """The word for a capacity dimension."""
    names = {
        "vcpu": "CPU",
        "memory_mib": gettext("内存"),
        "storage_gib": gettext("存储"),
        "storage_gib.standard": gettext("标准存储"),
        "storage_gib.ssd": gettext("高性能存储"),
        "storage_gib.backup": gettext("备份存储"),
        "storage_gib.object": gettext("对象存储"),
        "certificates": gettext("证书"),
    }
    return names.get(dimension, dimension)


def by_dimension(amounts: Any) -> list[Any]:
    """Bounds, effects, or the items of a mapping, in the order CPU, memory, storage."""
    if isinstance(amounts, Mapping):
        return sorted(amounts.items(), key=lambda item: _dimension_order(item[0]))
    return sorted(amounts, key=lambda row: _dimension_order(row.dimension))


def _dimension_order(dimension: str) -> tuple[int, str]:
    order = ("vcpu", "memory_mib")
    return (order.index(dimension) if dimension in order else len(order), dimension)


def zone_name(zone: str) -> str:
    """The word for a network zone."""
    names = {
        "all": gettext("全部网络域"),
        "internet": gettext("外网"),
        "office": gettext("专网"),
        "classified": gettext("内网"),
    }
    return names.get(zone, zone)


def words(names: Any) -> str:
    """The visitor's language of a declared {zh, en}; other values as they are."""
    if isinstance(names, Mapping) and "zh" in names:
        return str(names.get(current_language()) or names["zh"])
    return "" if names is None else str(names)


def listed(names: Iterable[str]) -> str:
    """Names one after the other, with the comma of the visitor's language."""
    return (", " if current_language() == "en" else "、").join(names)


def name_of(thing: Any) -> str:
    """The name of a row with `name_zh` and `name_en` in the visitor's language."""
    return str(thing.name_en if current_language() == "en" else thing.name_zh)


def sum_item(departments: Iterable[Any], item: str) -> int:
    """Micro-yuan of one item over several departments' months."""
    return sum(row.micro_yuan_by_item.get(item, 0) for row in departments)


def costs_by_item(lines: Iterable[Any]) -> dict[str, int]:
    """Micro-yuan per item of a resource's ledger lines."""
    sums: dict[str, int] = {}
    for line in lines:
        sums[line.item] = sums.get(line.item, 0) + line.micro_yuan
    return sums
