"""Mail from the transaction that tells of something to a real SMTP server."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
import sqlalchemy as sa
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, Envelope, Session
from flask import Flask

from config import ROOT, MailServer, Settings
from tests.factories import now
from tests.live import environment, free_port, wait_until
from webapp.core.db import db, transaction
from webapp.mail.delivery import deliver_due_mail
from webapp.mail.models import MailMessage
from webapp.mail.operations import CLAIM, MAX_ATTEMPTS, claim_message, prune_messages, send_mail
from webapp.mail.queries import list_letters

LINK = "http://127.0.0.1:8000/reset/a-secret-token"


class Inbox:
    """What the SMTP server was given; it answers each message as it is told."""

    def __init__(self) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.answer = "250 OK"
        self.recipient_answer = "250 OK"

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        if self.recipient_answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return self.recipient_answer

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        if self.answer.startswith("250"):
            assert isinstance(envelope.content, bytes)
            self.mails.append(message_from_bytes(envelope.content, policy=policy.default))
            self.recipients.append(envelope.rcpt_tos)
        return self.answer


class Connection(SMTP):
    """A connection that remembers that it has ended."""

    has_ended = False

    def connection_lost(self, error: Exception | None) -> None:
        super().connection_lost(error)
        self.has_ended = True


class Server(Controller):
    """An SMTP server that stops once its connections have ended, as their sockets would be left open."""

    def factory(self) -> Connection:
        connection = Connection(self.handler, **self.SMTP_kwargs)
        self._connections.append(connection)
        return connection

    def start(self) -> None:
        self._connections: list[Connection] = []
        super().start()

    def stop(self, no_assert: bool = False) -> None:  # noqa: FBT001, FBT002 - aiosmtpd's parameter
        wait_until(lambda: all(connection.has_ended for connection in self._connections))
        super().stop(no_assert)


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def server(inbox: Inbox) -> Iterator[MailServer]:
    controller = Server(inbox, hostname="127.0.0.1", port=free_port())
    controller.start()
    yield MailServer("127.0.0.1", controller.port, "none", "Upcube Quantum <quantum@example.com>")
    controller.stop()


@pytest.fixture
def plain_server(inbox: Inbox) -> Iterator[MailServer]:
    """A server without SMTPUTF8."""
    controller = Server(inbox, hostname="127.0.0.1", port=free_port(), enable_SMTPUTF8=False)
    controller.start()
    yield MailServer("127.0.0.1", controller.port, "none", "Upcube Quantum <quantum@example.com>")
    controller.stop()


def send(to: str = "ada@example.com", *, subject: str = "Reset your password", at: datetime | None = None) -> str:
    with transaction() as session:
        return send_mail(session, to=to, subject=subject, body=f"Open this:\n\n{LINK}\n", at=at or now())


def read(message_id: str) -> MailMessage:
    db.session.expire_all()
    return db.session.get_one(MailMessage, message_id)


def deliver(server: MailServer | None, *, at: datetime | None = None) -> int:
    return deliver_due_mail(server, now=lambda: at or now())


@pytest.mark.usefixtures("context")
class TestDelivery:
    """What becomes of a message."""

    def test_a_message_is_delivered_once_and_its_text_is_erased(self, server: MailServer, inbox: Inbox) -> None:
        message_id = send()
        assert deliver(server) == 1
        assert deliver(server) == 0
        [mail] = inbox.mails
        assert inbox.recipients == [["ada@example.com"]]
        assert (mail["From"], mail["To"]) == ("Upcube Quantum <quantum@example.com>", "ada@example.com")
        assert (mail["Subject"], mail["Message-ID"]) == ("Reset your password", f"<{message_id}@example.com>")
        assert mail["Auto-Submitted"] == "auto-generated"
        assert LINK in mail.get_content()
        message = read(message_id)
        assert message.sent_at
        assert message.sealed_body is None

    def test_what_is_rolled_back_is_never_sent(self, server: MailServer, inbox: Inbox) -> None:
        def fail() -> None:
            with transaction() as session:
                send_mail(session, to="ada@example.com", subject="No", body="No", at=now())
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            fail()
        assert deliver(server) == 0
        assert inbox.mails == []

    def test_a_link_that_waits_is_not_readable_in_the_database(self) -> None:
        message = read(send())
        assert message.sealed_body is not None
        assert b"secret" not in message.sealed_body

    @pytest.mark.parametrize(("limit", "attempts"), [("MESSAGE_SECONDS", 1), ("RUN_SECONDS", 2)])
    def test_a_slow_server_does_not_keep_the_worker_for_long(
        self, server: MailServer, monkeypatch: pytest.MonkeyPatch, limit: str, attempts: int
    ) -> None:
        """Every answer comes, and in time by itself."""
        monkeypatch.setattr(f"webapp.mail.delivery.{limit}", 0)
        ids = [send(at=now() - timedelta(minutes=1)) for _ in range(3)]
        at = now()
        sent = [deliver(server, at=at) for _ in range(attempts)]
        messages = [read(message_id) for message_id in ids]
        # None of it is lost: what was begun is tried again later, and the next run goes on with the rest.
        assert [message.attempts for message in messages] == [1] * attempts + [0] * (3 - attempts)
        if limit == "RUN_SECONDS":
            assert sent == [1, 1]
        else:
            assert "took too long" in (messages[0].last_error or "")
            assert messages[0].next_attempt_at == at + timedelta(seconds=30)

    def test_a_server_that_is_away_is_asked_again_later_and_later_and_then_no_more(self, inbox: Inbox) -> None:
        away = MailServer("127.0.0.1", free_port(), "none", "quantum@example.com")
        message_id, at = send(), now()
        waits = []
        for _ in range(MAX_ATTEMPTS):
            assert deliver(away, at=at) == 0
            message = read(message_id)
            assert "refused" in (message.last_error or "")
            assert deliver(away, at=at) == 0
            if message.next_attempt_at:
                waits.append(message.next_attempt_at - at)
                at = message.next_attempt_at
        assert read(message_id).attempts == MAX_ATTEMPTS
        assert read(message_id).next_attempt_at is None
        assert read(message_id).sealed_body is None
        assert waits[:3] == [timedelta(seconds=30), timedelta(minutes=1), timedelta(minutes=2)]
        assert waits == sorted(waits)
        assert sum(waits, timedelta()) > timedelta(days=1)
        assert inbox.mails == []

    def test_a_server_that_is_away_is_asked_once_in_a_run(self) -> None:
        away = MailServer("127.0.0.1", free_port(), "none", "quantum@example.com")
        sent = [send(), send()]
        deliver(away)
        assert sorted(read(each).attempts for each in sent) == [0, 1]

    @pytest.mark.parametrize("field", ["answer", "recipient_answer"])
    def test_a_permanent_refusal_ends_it_and_a_temporary_one_does_not(
        self, server: MailServer, inbox: Inbox, field: str
    ) -> None:
        setattr(inbox, field, "451 Later")
        message_id, at = send(), now()
        deliver(server, at=at)
        message = read(message_id)
        assert message.next_attempt_at
        setattr(inbox, field, "550 No such user")
        at = message.next_attempt_at
        deliver(server, at=at)
        assert read(message_id).next_attempt_at is None
        assert "No such user" in (read(message_id).last_error or "")

    def test_one_refused_message_does_not_stop_the_others(self, server: MailServer, inbox: Inbox) -> None:
        at = now()
        send("not, an address@example.com", at=at)
        send("ada@example.com", at=at + timedelta(seconds=1))
        assert deliver(server, at=at + timedelta(seconds=2)) == 1
        assert inbox.recipients == [["ada@example.com"]]

    def test_an_address_that_the_server_does_not_take_does_not_stop_the_others(
        self, plain_server: MailServer, inbox: Inbox
    ) -> None:
        at = now()
        refused = send("ada@bücher.example", at=at)
        send("ada@example.com", at=at + timedelta(seconds=1))
        assert deliver(plain_server, at=at + timedelta(seconds=2)) == 1
        assert inbox.recipients == [["ada@example.com"]]
        assert read(refused).next_attempt_at is None

    def test_an_address_in_any_letters_is_written_to_where_the_server_takes_it(
        self, server: MailServer, inbox: Inbox
    ) -> None:
        send("ada@bücher.example")
        assert deliver(server) == 1
        assert inbox.recipients == [["ada@bücher.example"]]

    def test_a_subject_with_line_breaks_adds_no_header(self, server: MailServer, inbox: Inbox) -> None:
        send(subject="Join Evil\r\nBcc: everybody@example.com\u2028")
        deliver(server)
        [mail] = inbox.mails
        assert mail["Bcc"] is None
        assert inbox.recipients == [["ada@example.com"]]

    def test_a_message_sealed_under_another_secret_is_given_up(self, server: MailServer) -> None:
        message_id = send()
        with transaction() as session:
            session.execute(sa.update(MailMessage).values(sealed_body=b"x" * 40))
        assert deliver(server) == 0
        assert read(message_id).next_attempt_at is None

    def test_without_a_server_messages_stay_for_the_outbox_page(
        self, server: MailServer, inbox: Inbox, caplog: pytest.LogCaptureFixture
    ) -> None:
        message_id = send()
        with caplog.at_level("INFO"):
            assert deliver(None) == 0
        assert f"the message {message_id} waits at /outbox" in caplog.text
        assert "ada@example.com" not in caplog.text
        assert "secret" not in caplog.text
        [letter] = list_letters()
        assert LINK in (letter.body or "")
        # A server that is configured later is not sent old mail.
        assert deliver(server) == 0
        assert inbox.mails == []

    def test_messages_that_wait_for_nothing_are_forgotten_after_a_time(self, server: MailServer) -> None:
        old, at = send(at=now() - timedelta(days=31)), now()
        deliver(server, at=at)
        waiting = send(at=now() - timedelta(days=31))
        prune_messages(before=at - timedelta(days=30))
        assert db.session.get(MailMessage, old) is None
        assert read(waiting).next_attempt_at


def test_of_two_workers_one_takes_a_message(app: Flask) -> None:
    with app.app_context():
        message_id, at = send(), now()

    def claim(_: int) -> bool:
        with app.app_context():
            return claim_message(message_id, at=at) is not None

    with ThreadPoolExecutor(max_workers=4) as threads:
        assert sorted(threads.map(claim, range(4))) == [False, False, False, True]


def test_a_worker_killed_after_sending_sends_again_under_the_same_message_id(
    app: Flask, settings: Settings, server: MailServer, inbox: Inbox
) -> None:
    with app.app_context():
        send()
    mail = {"MAIL_URL": f"smtp://127.0.0.1:{server.port}", "MAIL_FROM": server.sender, "PUBLIC_URL": "http://q.test"}
    program = "import wsgi; from worker.tasks import deliver_mail; wsgi.app.app_context().push(); deliver_mail()"
    killed = subprocess.run(
        [sys.executable, "-c", program],
        cwd=ROOT,
        env=environment(settings, UPCUBE_FAULT="mail_after_send", **mail),
        check=False,
        timeout=30,
    )
    assert killed.returncode == -signal.SIGKILL
    with app.app_context():
        assert deliver(server) == 0
        assert deliver(server, at=now() + CLAIM) == 1
    first, second = inbox.mails
    assert first["Message-ID"] == second["Message-ID"]
