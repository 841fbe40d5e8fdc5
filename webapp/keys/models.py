"""API keys and their tokens."""

from datetime import datetime
from enum import StrEnum

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.accounts.models import Organisation, User
from webapp.core.db import Base, UtcDateTime


class KeyMode(StrEnum):
    """What a key's jobs are: paid for, or tiny and free."""

    LIVE = "live"
    TEST = "test"


class ApiKey(Base):
    """A key: what it may do, and until when. What programs send is one of its tokens."""

    __tablename__ = "api_keys"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), index=True)
    # Who answers for it: whoever made it, or made the key that made it.
    created_by_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id))
    # The key that made it, where a program did.
    created_by_key_id: Mapped[str | None] = mapped_column(sa.String(40))
    name: Mapped[str] = mapped_column(sa.String(80))
    description: Mapped[str] = mapped_column(sa.String(500), default="")
    # Of the newest token.
    prefix: Mapped[str] = mapped_column(sa.String(16))
    # Scope names in the order of webapp.keys.scopes, with a space between.
    scopes: Mapped[str] = mapped_column(sa.String(255))
    mode: Mapped[str] = mapped_column(sa.String(4), default=KeyMode.LIVE)
    tags: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    # Limits of its own, beside those that the operator sets for every key: [calls, seconds] for each.
    rate_limits: Mapped[list[list[int]]] = mapped_column(sa.JSON, default=list)
    # The networks that it may call from, as CIDR; none for any.
    addresses: Mapped[list[str]] = mapped_column(sa.JSON, default=list)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The last notice of its expiry that was sent, as the days that were left.
    noticed_days: Mapped[int | None]
    created_by: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class StoredToken(Base):
    """A token of a key, known by its SHA-256 and never kept itself. Each rotation adds one; the older ones end."""

    __tablename__ = "key_tokens"

    digest: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    key_id: Mapped[str] = mapped_column(sa.ForeignKey(ApiKey.id), index=True)
    prefix: Mapped[str] = mapped_column(sa.String(16))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When it ends, after it was replaced: none for the newest.
    expires_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # When its owners were last told that it is where others can read it.
    warned_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    key: Mapped[ApiKey] = relationship(lazy="joined", innerjoin=True)
