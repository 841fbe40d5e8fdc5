"""Request bodies and queries about API keys. What is allowed for a key beyond its shape is webapp.keys.settings'."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from webapp.api.schemas import Credits, PageQuery, Schema
from webapp.keys.rotation import MAX_GRACE
from webapp.keys.settings import (
    MAX_ADDRESSES,
    MAX_DESCRIPTION_LENGTH,
    MAX_NAME_LENGTH,
    MAX_QUOTA,
    MAX_RATE_LIMITS,
    MAX_TAGS,
    SECONDS_PER_DAY,
    RateLimit,
)
from webapp.ledger.budgets import BudgetTerms

MAX_GRACE_SECONDS = int(MAX_GRACE.total_seconds())
# Above any list that is allowed, so that a long one is refused with all else that is wrong.
MANY = 1000


def read_time(value: object) -> object:
    """Read a time in RFC 3339, which JSON has as a string."""
    if value is None or isinstance(value, datetime):
        return value
    if not isinstance(value, str):
        raise ValueError("It must be a time such as 2026-12-31T00:00:00Z.")  # noqa: TRY004 - pydantic reports ValueError
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        raise ValueError("It must be a time such as 2026-12-31T00:00:00Z.") from None


def demand_zone(value: datetime | None) -> datetime | None:
    """Refuse a time that could be anywhere's."""
    if value is not None and value.tzinfo is None:
        raise ValueError("It must say its time zone, such as Z for UTC.")
    return value


Time = Annotated[datetime | None, BeforeValidator(read_time), AfterValidator(demand_zone)]


class RateLimitBody(Schema):
    """A rate limit of a key's own."""

    calls: int = Field(ge=1, le=MAX_QUOTA, description=f"a whole number from 1 to {MAX_QUOTA}")
    seconds: int = Field(ge=1, le=SECONDS_PER_DAY, description=f"a whole number from 1 to {SECONDS_PER_DAY}")

    def read(self) -> RateLimit:
        """Give the limit in the operation's terms."""
        return RateLimit(self.calls, self.seconds)


class BudgetBody(Schema):
    """A budget of a key's own."""

    period: Literal["day", "month", "total"] = Field(description="day, month or total")
    limit: Credits = Field(description='decimal credits in a string, such as "0.5"')
    refuses: bool = Field(default=True, description="true to refuse what goes beyond it, false to warn only")

    def read(self) -> BudgetTerms:
        """Give the budget in the operation's terms."""
        return BudgetTerms(self.period, self.limit, self.refuses)


def demand_different_periods(budgets: list[BudgetBody] | None) -> list[BudgetBody] | None:
    """Refuse two budgets for the same period."""
    periods = [budget.period for budget in budgets or ()]
    if len(set(periods)) != len(periods):
        raise ValueError("A key has at most one budget for each period.")
    return budgets


NAME = f"1 to {MAX_NAME_LENGTH} characters"
DESCRIPTION = f"at most {MAX_DESCRIPTION_LENGTH} characters on one line"
SCOPES = "scopes that this key has itself"
EXPIRES_AT = "a time in RFC 3339, in the future"
RATE_LIMITS = f"at most {MAX_RATE_LIMITS} of calls and seconds"
ADDRESSES = f"at most {MAX_ADDRESSES} addresses or networks (CIDR)"
BUDGETS = "at most one for each period (day, month or total), with its limit in decimal credits"
TAGS = f"at most {MAX_TAGS} lower-case words"


class KeyBody(Schema):
    """The body of POST /keys."""

    name: str = Field(description=NAME)
    scopes: list[str] = Field(description=SCOPES, max_length=MANY)
    description: str = Field(default="", description=DESCRIPTION)
    mode: Literal["live", "test"] = Field(default="live", description="live or test")
    expires_at: Time = Field(default=None, description=EXPIRES_AT)
    rate_limits: list[RateLimitBody] = Field(default_factory=list, max_length=MANY, description=RATE_LIMITS)
    budgets: Annotated[list[BudgetBody], AfterValidator(demand_different_periods)] = Field(
        default_factory=list, max_length=MANY, description=BUDGETS
    )
    addresses: list[str] = Field(default_factory=list, max_length=MANY, description=ADDRESSES)
    tags: list[str] = Field(default_factory=list, max_length=MANY, description=TAGS)


class KeyChangesBody(Schema):
    """The body of PATCH /keys/{keyId}."""

    name: str | None = Field(default=None, description=NAME)
    scopes: list[str] | None = Field(default=None, max_length=MANY, description=SCOPES)
    description: str | None = Field(default=None, description=DESCRIPTION)
    expires_at: Time = Field(default=None, description=f"{EXPIRES_AT}; null for never")
    rate_limits: list[RateLimitBody] | None = Field(default=None, max_length=MANY, description=RATE_LIMITS)
    budgets: Annotated[list[BudgetBody] | None, AfterValidator(demand_different_periods)] = Field(
        default=None, max_length=MANY, description=BUDGETS
    )
    addresses: list[str] | None = Field(default=None, max_length=MANY, description=ADDRESSES)
    tags: list[str] | None = Field(default=None, max_length=MANY, description=TAGS)
    disabled: bool | None = Field(default=None, description="true to refuse its calls, false to let them through")

    def read(self) -> dict[str, Any]:
        """Give the settings that are to change, by the names that KeySettings has for them."""
        sent = {name: getattr(self, name) for name in self.model_fields_set - {"disabled", "budgets"}}
        if "rate_limits" in sent and self.rate_limits is not None:
            sent["rate_limits"] = [limit.read() for limit in self.rate_limits]
        # Only an expiry can be taken away with null.
        return {name: value for name, value in sent.items() if value is not None or name == "expires_at"}


class RotationBody(Schema):
    """The body of POST /keys/{keyId}/rotate, which may be absent."""

    grace_seconds: int = Field(
        default=0,
        ge=0,
        le=MAX_GRACE_SECONDS,
        description=f"a whole number from 0 to {MAX_GRACE_SECONDS}: how long the old token goes on",
    )


def read_flag(text: str) -> bool:
    """Read a yes or no from a query, where everything is text."""
    if text not in {"true", "false"}:
        raise ValueError("It must be true or false.")
    return text == "true"


class RevocationQuery(Schema):
    """The query of DELETE /keys/{keyId}."""

    descendants: Annotated[bool, BeforeValidator(read_flag)] = Field(
        default=False, description="true to revoke the keys that it made as well, and those that they made"
    )


class KeyListQuery(PageQuery):
    """The query of GET /keys."""

    cursor: str | None = Field(
        default=None, pattern=r"^key_[0-9a-z]{26}$", description="the nextCursor of the page before"
    )
