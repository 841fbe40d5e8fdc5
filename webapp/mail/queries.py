"""What is in the outbox."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from webapp.core.db import db
from webapp.core.sealing import UnsealError
from webapp.mail.models import MailMessage
from webapp.mail.operations import unseal_body

SHOWN = 50


@dataclass(frozen=True)
class Letter:
    """A message as a person reads it; `body` is none where it was erased or cannot be read."""

    id: str
    recipient: str
    subject: str
    created_at: datetime
    body: str | None


def list_letters() -> list[Letter]:
    """Give the newest messages of the outbox with their text, newest first."""
    statement = select(MailMessage).order_by(MailMessage.id.desc()).limit(SHOWN)
    return [
        Letter(message.id, message.recipient, message.subject, message.created_at, read_body(message))
        for message in db.session.scalars(statement)
    ]


def read_body(message: MailMessage) -> str | None:
    """Give a message's text if there is one and it can be read."""
    try:
        return unseal_body(message)
    except UnsealError:
        return None
