"""Lists given page by page: newest first, each page starting where the one before ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from operator import attrgetter
from typing import Any, Generic, TypeVar

import sqlalchemy as sa
from sqlalchemy.orm import InstrumentedAttribute

from webapp.core.db import db

# What a page may come to of rows that may be large: a hundred of the largest would not fit into the process.
MAX_PAGE_BYTES = 256 * 1024

Row = TypeVar("Row")
read_id = attrgetter("id")


@dataclass(frozen=True)
class Page(Generic[Row]):
    """Some rows, newest first, and the cursor that the next page starts from: None where this is the last."""

    rows: Sequence[Row]
    next_cursor: str | None


def read_page(
    statement: sa.Select[Row],
    order_by: InstrumentedAttribute[str],
    *,
    limit: int,
    cursor: str | None,
    size: sa.ColumnElement[int] | None = None,
) -> Page[Row]:
    """Read the rows before the cursor, which is an id, one more than asked for to see whether there is a next page.

    `order_by` is the column that has the ids: the rows' own, or one that refers to it. Of rows that may be large,
    `size` says how large each is, and the page ends early with those that fit.
    """
    if cursor:
        statement = statement.where(order_by < cursor)
    statement = statement.order_by(order_by.desc())
    if size is not None:
        limit = count_fitting(statement, size, most=limit)
    rows = db.session.scalars(statement.limit(limit + 1)).all()
    next_cursor = read_id(rows[limit - 1]) if len(rows) > limit else None
    return Page(rows=rows[:limit], next_cursor=next_cursor)


def count_fitting(statement: sa.Select[Any], size: sa.ColumnElement[int], *, most: int) -> int:
    """Give how many of the first rows fit on a page: one at least."""
    sizes = db.session.scalars(statement.with_only_columns(size, maintain_column_froms=True).limit(most))
    return max(1, sum(total <= MAX_PAGE_BYTES for total in accumulate(sizes)))
