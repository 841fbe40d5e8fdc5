"""The outbox: mail that waits to be sent, and what became of it."""

from datetime import datetime

import sqlalchemy as sa
from sqlalchemy.orm import Mapped, mapped_column

from webapp.core.db import Base, UtcDateTime


class MailMessage(Base):
    """One message to one person.

    `next_attempt_at` is when a worker may next take it: in the future while one is sending it, and none once it was
    sent, given up or, where no mail server is configured, left for the outbox page.
    """

    __tablename__ = "mail_messages"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    recipient: Mapped[str] = mapped_column(sa.String(254), index=True)
    subject: Mapped[str] = mapped_column(sa.String(200))
    # Sealed, as it may hold a link that lets its reader in; erased once it was sent or given up.
    sealed_body: Mapped[bytes | None] = mapped_column(sa.LargeBinary)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime)
    next_attempt_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    attempts: Mapped[int] = mapped_column(sa.Integer, default=0)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_error: Mapped[str | None] = mapped_column(sa.String(255))
