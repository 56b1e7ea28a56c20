"""Lists in pages of 50, with RFC 8288 Link headers to the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from flask import request

from controlplane.api.fields import Input, WholeNumber
from controlplane.reports.scope import Page

PAGE_MAX = 1_000_000


class PageQuery(Input):
    page = WholeNumber(
        minimum=1,
        maximum=PAGE_MAX,
        from_text=True,
        load_default=1,
        metadata={"description": "From 1; a number past the end gives the last page."},
    )


def page_answer(
    page: Page[Any], items: Sequence[Any] | None = None
) -> tuple[dict[str, Any], dict[str, str]]:
    """Body and headers of one page; `items` when they are not the page's rows themselves."""
    body = {
        "items": page.rows if items is None else items,
        "page": page.number,
        "pages": page.last,
        "page_size": page.size,
        "total": page.total,
    }
    return body, {"Link": _links(page)}


def _links(page: Page[Any]) -> str:
    numbers = {"first": 1, "last": page.last}
    if page.number > 1:
        numbers["prev"] = page.number - 1
    if page.number < page.last:
        numbers["next"] = page.number + 1
    return ", ".join(f'<{_address(n)}>; rel="{rel}"' for rel, n in sorted(numbers.items()))


def _address(number: int) -> str:
    query = {**request.args.to_dict(), "page": str(number)}
    return f"{request.base_url}?{urlencode(query)}"
