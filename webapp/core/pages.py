"""Lists given page by page: newest first, each page starting where the one before ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from webapp.core.db import db

Row = TypeVar("Row")
read_id = attrgetter("id")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, newest first, and the cursor that the next page starts from: None where this is the last."""

    rows: Sequence[Row]
    next_cursor: str | None


def read_page(
    statement: sa.Select[Row], order_by: InstrumentedAttribute[str], *, limit: int, cursor: str | None
) -> Page[Row]:
    """Read the rows before the cursor, which is an id, one more than asked for to see whether there is a next page.

    `order_by` is the column that has the ids: the rows' own, or one that refers to it.
    """
    if cursor:
        statement = statement.where(order_by < cursor)
    rows = db.session.scalars(statement.order_by(order_by.desc()).limit(limit + 1)).all()
    next_cursor = read_id(rows[limit - 1]) if len(rows) > limit else None
    return Page(rows=rows[:limit], next_cursor=next_cursor)
