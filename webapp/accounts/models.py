"""Users, how they prove who they are, the organisations they belong to, their log-ins, and the audit trail."""

from datetime import datetime
from typing import Any

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
    # What was personal is gone by then; the row stays for what refers to it.
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
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
    # Or only warns of them.
    revokes_leaked_keys: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class Membership(Base):
    """A user's place in an organisation."""

    __tablename__ = "memberships"

    user_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id), primary_key=True, index=True)
    role: Mapped[str] = mapped_column(sa.String(20))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)
    organisation: Mapped[Organisation] = relationship(lazy="joined", innerjoin=True)


class Invitation(Base):
    """An offer to join an organisation, sent to one address and good for it alone, once, until it expires.

    We keep only the hash of the token in the link. One that was accepted, withdrawn or sent anew has ended.
    """

    __tablename__ = "invitations"
    __table_args__ = (sa.Index(None, "organisation_id", "created_at"),)

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    organisation_id: Mapped[str] = mapped_column(sa.ForeignKey(Organisation.id))
    email: Mapped[str] = mapped_column(sa.String(254))
    role: Mapped[str] = mapped_column(sa.String(20))
    token_hash: Mapped[str] = mapped_column(sa.String(64), unique=True)
    # Who sent it, as they were called then: they may be gone when it is read.
    invited_by: Mapped[str] = mapped_column(sa.String(254))
    invited_by_id: Mapped[str | None] = mapped_column(sa.ForeignKey(User.id))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    organisation: Mapped[Organisation] = relationship(lazy="joined", innerjoin=True)


class LoginSession(Base):
    """One log-in of one browser, known by the SHA-256 of the token in its cookie, and ended by being revoked."""

    __tablename__ = "login_sessions"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # When its user last proved who they are, by password or passkey.
    authenticated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    # To within a few minutes.
    last_seen_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    user_agent: Mapped[str] = mapped_column(sa.String(255))
    address: Mapped[str] = mapped_column(sa.String(45))
    user: Mapped[User] = relationship(lazy="joined", innerjoin=True)


class AuditEvent(Base):
    """One security-relevant act. Never changed and never deleted: triggers, in the migration, refuse it.

    It outlives what it tells of, and so refers to nothing; labels say what things were called at that moment.
    """

    __tablename__ = "audit_events"
    __table_args__ = (
        sa.Index(None, "organisation_id", "id"),
        sa.Index(None, "actor_id", "id"),
        sa.Index(None, "target_id", "id"),
    )

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    # None for what concerns a person alone, such as a log-in.
    organisation_id: Mapped[str | None] = mapped_column(sa.String(40))
    action: Mapped[str] = mapped_column(sa.String(60))
    actor_type: Mapped[str] = mapped_column(sa.String(20))
    actor_id: Mapped[str | None] = mapped_column(sa.String(40))
    actor_label: Mapped[str] = mapped_column(sa.String(254))
    target_type: Mapped[str | None] = mapped_column(sa.String(40))
    target_id: Mapped[str | None] = mapped_column(sa.String(40))
    target_label: Mapped[str] = mapped_column(sa.String(254))
    address: Mapped[str] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(255))
    details: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class EmailLink(Base):
    """A link that was mailed: whoever opens it reads that mail. Known by the SHA-256 of its token, and good once."""

    __tablename__ = "email_links"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id), index=True)
    purpose: Mapped[str] = mapped_column(sa.String(20))
    # The address that the link was sent to.
    email: Mapped[str] = mapped_column(sa.String(254))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime, index=True)


class ResetRequest(Base):
    """Somebody typed this address to reset its password; a worker finds out whether anybody has it."""

    __tablename__ = "reset_requests"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    email: Mapped[str] = mapped_column(sa.String(254))
    # What the link starts with.
    site_url: Mapped[str] = mapped_column(sa.String(255))
    address: Mapped[str] = mapped_column(sa.String(45))
    user_agent: Mapped[str] = mapped_column(sa.String(255))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)


class AuthenticatorApp(Base):
    """The secret that a user's authenticator app makes codes from (TOTP); in force once a first code was right."""

    __tablename__ = "authenticator_apps"

    user_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id), primary_key=True)
    sealed_secret: Mapped[bytes] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    # The time step of the last code that was taken: neither it nor an older one is taken again.
    last_step: Mapped[int] = mapped_column(sa.BigInteger, default=0)


class RecoveryCode(Base):
    """A code that stands in for a lost authenticator app, known by its SHA-256, and good once."""

    __tablename__ = "recovery_codes"

    id: Mapped[str] = mapped_column(sa.String(64), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class Passkey(Base):
    """A WebAuthn credential: its public key; the private one never leaves the user's device."""

    __tablename__ = "passkeys"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    user_id: Mapped[str] = mapped_column(sa.ForeignKey(User.id), index=True)
    # base64url; at most 1,023 bytes (WebAuthn level 3, section 4).
    credential_id: Mapped[str] = mapped_column(sa.String(1364), unique=True)
    public_key: Mapped[bytes] = mapped_column(sa.LargeBinary)
    sign_count: Mapped[int] = mapped_column(sa.BigInteger)
    name: Mapped[str] = mapped_column(sa.String(80))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
