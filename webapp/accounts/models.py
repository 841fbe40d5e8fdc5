"""Users, the organisations they belong to, and their log-in sessions."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column, relationship

from webapp.core.db import Base, UtcDateTime


class User(Base):
    """A person who logs in."""

    __tablename__ = "users"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254), unique=True)
    password_hash: Mapped[str] = mapped_column(sa.String(255))
    email_verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Organisation(Base):
    """An account: it owns keys, credits, jobs and usage. Its shard tag is part of its keys' tokens for good."""

    __tablename__ = "organisations"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    name: Mapped[str] = mapped_column(sa.String(254))
    shard_tag: Mapped[str] = mapped_column(sa.String(6), unique=True)
    # The user whose personal organisation this is, or none for a shared one.
    personal_user_id: Mapped[str | None] = mapped_column(sa.ForeignKey(User.id), unique=True)
    disabled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # A job that may cost more must be confirmed; none is when there is no such amount.
    confirm_above_microcredits: Mapped[int | None] = mapped_column(sa.BigInteger)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Membership(Base):
    """A user's place in an organisation."""

    __tablename__ = "memberships"

    user_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(sa.String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class LoginSession(Base):
    """One log-in of one browser, known by the SHA-256 of the token in its cookie, and ended by being revoked."""

    __tablename__ = "login_sessions"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    user_agent: Mapped[str] = mapped_column(sa.String(255))
    address: Mapped[str] = mapped_column(sa.String(45))
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
