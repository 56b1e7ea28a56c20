"""What a form being filled would come to, as far as it can be told before it is complete."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from sqlalchemy.orm import Session

from controlplane.admission.rules import difference
from controlplane.catalogue.services import ExpressionError
from controlplane.metering.service import quote
from controlplane.preparing import Effect, Preparation


def estimated(session: Session, preparation: Preparation, now: datetime) -> Preparation:
    """The preparation with capacity, price and effects of the form as it stands.

    A name that is still missing says nothing about the size: the person sees the price from the
    first plan on. Where the size itself cannot be told (a volume of "ten"), nothing is estimated.
    """
    if not preparation.faults:
        return preparation
    try:
        capacity = preparation.service.capacity_of(preparation.asked.spec)
    except ExpressionError:
        return preparation
    before = preparation.resource.capacity if preparation.resource else {}
    asked = difference(before, capacity)
    return replace(
        preparation,
        asked=replace(preparation.asked, capacity=capacity),
        asked_capacity=asked,
        monthly_by_item=quote(session, capacity, now),
        quota_effects=_with(preparation.quota_effects, asked),
        pool_effects=_with(preparation.pool_effects, asked),
    )


def _with(effects: tuple[Effect, ...], asked: Mapping[str, int]) -> tuple[Effect, ...]:
    return tuple(replace(e, asked=asked.get(e.dimension, 0)) for e in effects)
