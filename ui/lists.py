"""Lists with filters that stay in the address, a page at a time."""

from __future__ import annotations

from collections.abc import Callable

from flask import request, url_for

from ui.preferences import current_preferences


def page_number() -> int:
    """The page asked for; anything that is not a page is the first."""
    return max(1, request.args.get("page", default=1, type=int) or 1)


def page_url() -> Callable[[int], str]:
    """Addresses of other pages of the list in hand, with its filters."""
    endpoint = request.endpoint or ""
    kept = {k: v for k, v in request.args.items() if k != "page" and v}
    view_args = request.view_args or {}
    return lambda page: url_for(endpoint, **{**view_args, **kept, "page": page})


def zone_in_view() -> str:
    """The zone of the filter; before anybody filters, the one in the top bar (empty: all)."""
    if "zone" in request.args:
        return request.args["zone"]
    chosen = current_preferences().zone
    return "" if chosen == "all" else chosen
