"""What fills and empties the outbox."""

from datetime import datetime, timedelta

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from webapp.core.db import db, transaction
from webapp.core.ids import new_id
from webapp.core.sealing import sealer
from webapp.core.text import has_control_characters
from webapp.mail.models import MailMessage

PURPOSE = "mail"
MAX_SUBJECT_LENGTH = 200
MAX_ERROR_LENGTH = 255

# While one worker sends a message no other takes it. Longer than any sending lasts: see delivery.TIMEOUT_SECONDS.
CLAIM = timedelta(minutes=2)
FIRST_DELAY = timedelta(seconds=30)
MAX_DELAY = timedelta(hours=6)
# With the delays between them, something over a day.
MAX_ATTEMPTS = 14


def send_mail(session: Session, *, to: str, subject: str, body: str, at: datetime) -> str:
    """Put a message into the outbox, in the transaction of what it tells of, and give its id.

    It is delivered once that has committed, and never if it does not. `subject` may name what people chose; `body` is
    plain text and may hold a link with a secret.
    """
    message_id = new_id("mail", at=at)
    one_line = "".join(" " if has_control_characters(character) else character for character in subject)
    session.add(
        MailMessage(
            id=message_id,
            recipient=to,
            subject=one_line[:MAX_SUBJECT_LENGTH],
            sealed_body=sealer.seal(body, purpose=PURPOSE, row=message_id),
            created_at=at,
            next_attempt_at=at,
        )
    )
    return message_id


def unseal_body(message: MailMessage) -> str | None:
    """Give a message's text, if it was not erased. Raises UnsealError."""
    if message.sealed_body is None:
        return None
    return sealer.unseal(message.sealed_body, purpose=PURPOSE, row=message.id)


def list_due_messages(*, at: datetime, limit: int) -> list[str]:
    """Give the ids of messages to be sent now, the longest due first."""
    due = select(MailMessage.id).where(MailMessage.next_attempt_at <= at)
    return list(db.session.scalars(due.order_by(MailMessage.next_attempt_at, MailMessage.id).limit(limit)))


def claim_message(message_id: str, *, at: datetime) -> MailMessage | None:
    """Take a due message for this worker alone, or give None where another has taken it.

    A worker that dies while it sends leaves the message to be claimed again: it is sent at least once, under one
    Message-ID.
    """
    with transaction() as session:
        return session.scalar(
            update(MailMessage)
            .where(MailMessage.id == message_id, MailMessage.next_attempt_at <= at)
            .values(next_attempt_at=at + CLAIM, attempts=MailMessage.attempts + 1)
            .returning(MailMessage)
        )


def mark_sent(message_id: str, *, at: datetime) -> None:
    """Note that a message was taken by the mail server, and erase its text."""
    finish(message_id, sent_at=at, last_error=None, sealed_body=None)


def mark_failed(message: MailMessage, *, error: str, is_final: bool, at: datetime) -> None:
    """Note why a message could not be sent; try again later and later, and give up in the end, erasing its text."""
    last_error = error[:MAX_ERROR_LENGTH]
    if is_final or message.attempts >= MAX_ATTEMPTS:
        finish(message.id, last_error=last_error, sealed_body=None)
        return
    delay = min(FIRST_DELAY * 2 ** (message.attempts - 1), MAX_DELAY)
    with transaction() as session:
        session.execute(
            update(MailMessage)
            .where(MailMessage.id == message.id, MailMessage.sent_at.is_(None))
            .values(last_error=last_error, next_attempt_at=at + delay)
        )


def finish(message_id: str, **values: object) -> None:
    """Take a message out of the queue for good; one that was sent meanwhile stays so."""
    with transaction() as session:
        session.execute(
            update(MailMessage)
            .where(MailMessage.id == message_id, MailMessage.sent_at.is_(None))
            .values(next_attempt_at=None, **values)
        )


def leave_for_outbox_page(*, at: datetime) -> list[MailMessage]:
    """Take what is due out of the queue, where there is no mail server, and give it."""
    with transaction() as session:
        return list(
            session.scalars(
                update(MailMessage)
                .where(MailMessage.next_attempt_at <= at)
                .values(next_attempt_at=None)
                .returning(MailMessage)
            )
        )


def prune_messages(*, before: datetime) -> None:
    """Forget the messages of before this moment that wait for nothing."""
    with transaction() as session:
        session.execute(
            delete(MailMessage).where(MailMessage.created_at < before, MailMessage.next_attempt_at.is_(None))
        )
