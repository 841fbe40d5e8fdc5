"""Settings for mail and passwords, as an operator may write them."""

from pathlib import Path

import pytest

from config import ConfigurationError
from tests.stores import make_settings

SENDER = {"MAIL_FROM": "Upcube Quantum <quantum@example.com>", "PUBLIC_URL": "https://q.example.com"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("smtp://localhost", ("localhost", 25, "none", "", "")),
        ("smtp://ada:pw@127.0.0.1:2525", ("127.0.0.1", 2525, "none", "ada", "pw")),
        ("smtp+starttls://ada%40x.org:p%3A%2Fw@mail.x.org", ("mail.x.org", 587, "starttls", "ada@x.org", "p:/w")),
        ("smtps://mail.x.org:4650/", ("mail.x.org", 4650, "tls", "", "")),
    ],
)
def test_a_mail_url_says_where_and_how(tmp_path: Path, url: str, expected: tuple[str, int, str, str, str]) -> None:
    server = make_settings(tmp_path, MAIL_URL=url, **SENDER).mail_server
    assert server
    assert (server.host, server.port, server.security, server.user, server.password) == expected
    assert "pw" not in repr(server)


@pytest.mark.parametrize(
    "environ",
    [
        {"MAIL_URL": "mail.example.com:hunter2"},
        {"MAIL_URL": "http://ada:hunter2@mail.example.com"},
        {"MAIL_URL": "smtp://ada:hunter2@mail.example.com"},
        {"MAIL_URL": "smtps://ada:hunter2@mail.example.com:port"},
        {"MAIL_URL": "smtps://"},
        {"MAIL_URL": "smtps://mail.example.com", "MAIL_FROM": ""},
        {"MAIL_URL": "smtps://mail.example.com", "MAIL_FROM": "nobody"},
        {"MAIL_URL": "smtps://mail.example.com", "MAIL_FROM": "a@example.com\nBcc: b@example.com"},
        {"MAIL_URL": "smtps://mail.example.com", "PUBLIC_URL": ""},
    ],
)
def test_mail_that_could_not_be_sent_or_not_safely_is_refused_at_the_start(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    with pytest.raises(ConfigurationError) as caught:
        make_settings(tmp_path, **SENDER | environ)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "environ",
    [
        {"PUBLIC_URL": "https://q.example.com"},
        {"SECURE_COOKIES": "1"},
        {"HOST": "0.0.0.0"},  # noqa: S104 - read, not bound
        {"DATABASE_URL": "postgresql://db/upcube"},
        {"OUTBOX": "0"},
        SENDER | {"MAIL_URL": "smtp://localhost", "OUTBOX": "1"},
    ],
)
def test_the_outbox_page_is_off_wherever_others_are_served(tmp_path: Path, environ: dict[str, str]) -> None:
    assert not make_settings(tmp_path, **environ).outbox_is_shown
    assert make_settings(tmp_path).outbox_is_shown
    assert make_settings(tmp_path, PUBLIC_URL="https://q.example.com", OUTBOX="1").outbox_is_shown


@pytest.mark.parametrize(
    "url", ["http://pwned.example.com/range", "pwned.example.com", "https://user@host/range", "https://host/?a=b", "x"]
)
def test_a_service_of_breached_passwords_is_asked_over_tls(tmp_path: Path, url: str) -> None:
    with pytest.raises(ConfigurationError, match="BREACHED_PASSWORDS_URL"):
        make_settings(tmp_path, BREACHED_PASSWORDS_URL=url)
    settings = make_settings(tmp_path, BREACHED_PASSWORDS_URL="https://pwned.example.com/range")
    assert settings.breached_passwords_url == "https://pwned.example.com/range/"
