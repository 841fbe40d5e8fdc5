"""Mail to people's mail servers, over SMTP (RFC 5321)."""

import logging
import smtplib
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP as WIRE_FORMAT
from email.utils import format_datetime, parseaddr
from typing import Any, Self

from config import MailServer
from webapp.core.faults import fault
from webapp.core.sealing import UnsealError
from webapp.mail.models import MailMessage
from webapp.mail.operations import (
    claim_message,
    leave_for_outbox_page,
    list_due_messages,
    mark_failed,
    mark_sent,
    unseal_body,
)

# For each answer of the server, and for all of them about one message. Metering waits meanwhile, so they are short; a
# slow server is asked again later.
TIMEOUT_SECONDS = 8
MESSAGE_SECONDS = 15
# After so long no other message is begun: the next run goes on.
RUN_SECONDS = 5
MAX_PER_RUN = 100
# RFC 5321, section 4.2.1: from here on the same message would be refused again.
PERMANENT = 500

log = logging.getLogger(__name__)


def deliver_due_mail(server: MailServer | None, *, now: Callable[[], datetime]) -> int:
    """Send what is due, and give how many messages went out. Two workers may do so at once.

    Without a server, messages are left for the outbox page and the log says so.
    """
    if server is None:
        for message in leave_for_outbox_page(at=now()):
            log.info("the message %s waits at /outbox", message.id)
        return 0
    ends_at = time.monotonic() + RUN_SECONDS
    with Connection(server) as connection:
        sent = 0
        for message_id in list_due_messages(at=now(), limit=MAX_PER_RUN):
            sent += deliver(connection, message_id, now=now)
            # A server that cannot be reached is not asked again for every message.
            if connection.is_broken or time.monotonic() > ends_at:
                break
        return sent


def deliver(connection: "Connection", message_id: str, *, now: Callable[[], datetime]) -> bool:
    """Send one message if no other worker has taken it; tell whether it went out."""
    message = claim_message(message_id, at=now())
    if message is None:
        return False
    try:
        connection.send(write_message(message, sender=connection.server.sender))
    except (OSError, smtplib.SMTPException, UnsealError, ValueError) as error:
        # The server's words may quote the address: they stay with the message.
        log.warning("the message %s could not be sent: %s", message.id, type(error).__name__)
        mark_failed(message, error=describe(error), is_final=is_permanent(error), at=now())
        return False
    fault("mail_after_send")
    mark_sent(message.id, at=now())
    return True


def write_message(message: MailMessage, *, sender: str) -> EmailMessage:
    """Write the message as it goes over the wire. Raises UnsealError, or ValueError for what is no address."""
    mail = EmailMessage(policy=WIRE_FORMAT)
    mail["From"] = sender
    mail["To"] = Address(addr_spec=message.recipient)
    mail["Subject"] = message.subject
    mail["Date"] = format_datetime(message.created_at)
    # The same each time that the message is sent, so that a receiver drops the second of two.
    mail["Message-ID"] = f"<{message.id}@{parseaddr(sender)[1].rpartition('@')[2]}>"
    # RFC 3834: no vacation answers to us.
    mail["Auto-Submitted"] = "auto-generated"
    mail.set_content(unseal_body(message) or "")
    return mail


def check_address(smtp: smtplib.SMTP, mail: EmailMessage) -> None:
    """Refuse an address that this server does not take (RFC 6531), which is about this message alone.

    Raises ValueError. smtplib would say so too, but as if the server were away, and before it has asked the server.
    """
    smtp.ehlo_or_helo_if_needed()
    if not str(mail["To"]).isascii() and not smtp.has_extn("smtputf8"):
        raise ValueError("the mail server takes no address with other letters than those of ASCII")


def is_permanent(error: Exception) -> bool:
    """Tell whether trying again is useless: this recipient or this message is refused, rather than the connection."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        return all(code >= PERMANENT for code, _ in error.recipients.values())
    if isinstance(error, smtplib.SMTPDataError):
        return error.smtp_code >= PERMANENT
    return isinstance(error, UnsealError | ValueError)


def describe(error: Exception) -> str:
    """Give the error's words on one line."""
    return " ".join(f"{type(error).__name__}: {error}".split())


class PromptSMTP(smtplib.SMTP):
    """A dialogue that waits no longer for its answers than a message may take: each could be just in time."""

    def __init__(self, server: MailServer, **options: Any) -> None:  # noqa: ANN401 - as smtplib takes them
        self.begin_message()
        super().__init__(server.host, server.port, timeout=TIMEOUT_SECONDS, **options)

    def begin_message(self) -> None:
        """Have the next answers come in the time of one message."""
        self.ends_at = time.monotonic() + MESSAGE_SECONDS

    def getreply(self) -> tuple[int, bytes]:
        """Read an answer, as smtplib does for every command. Raises TimeoutError, or what smtplib does."""
        left_seconds = self.ends_at - time.monotonic()
        if left_seconds <= 0:
            self.close()
            raise TimeoutError("the mail server took too long over one message")
        if self.sock:
            self.sock.settimeout(min(TIMEOUT_SECONDS, left_seconds))
        return super().getreply()


class PromptSMTPOverTLS(PromptSMTP, smtplib.SMTP_SSL):
    """The same, encrypted from the first byte."""


class Connection:
    """A connection to the mail server, made for the first message and closed at the end."""

    def __init__(self, server: MailServer) -> None:
        self.server = server
        self.is_broken = False
        self._smtp: PromptSMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._smtp is not None:
            with suppress(OSError, smtplib.SMTPException):
                self._smtp.quit()
            self._smtp.close()

    def send(self, mail: EmailMessage) -> None:
        """Send a message. Raises OSError and SMTPException; is_broken then tells whether the next may be tried."""
        try:
            if self._smtp is None:
                self._smtp = self._connect()
                self._log_in(self._smtp)
            else:
                self._smtp.begin_message()
            check_address(self._smtp, mail)
            self._smtp.send_message(mail)
        except (smtplib.SMTPRecipientsRefused, smtplib.SMTPDataError):
            # About this message alone: smtplib has reset the dialogue.
            raise
        except (OSError, smtplib.SMTPException):
            self.is_broken = True
            raise

    def _connect(self) -> PromptSMTP:
        """Connect, encrypted from the first byte where the settings say so."""
        if self.server.security == "tls":
            return PromptSMTPOverTLS(self.server, context=ssl.create_default_context())
        return PromptSMTP(self.server)

    def _log_in(self, smtp: smtplib.SMTP) -> None:
        """Encrypt and log in as the settings say."""
        if self.server.security == "starttls":
            smtp.starttls(context=ssl.create_default_context())
        if self.server.user:
            smtp.login(self.server.user, self.server.password)
