"""The outbox page, which whoever reads can become anybody: for this machine's own user alone."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import PASSWORD

HERE = "http://127.0.0.1:8000"


@pytest.fixture
def environ() -> dict[str, str]:
    # As it is by itself with SQLite; a database server is a sign that others are served.
    return {"OUTBOX": "1"}


def read(client: FlaskClient, *, base_url: str = HERE, address: str = "127.0.0.1", **headers: str) -> int:
    answer = client.get(
        "/outbox",
        base_url=base_url,
        environ_overrides={"REMOTE_ADDR": address},
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )
    return answer.status_code


def test_it_shows_messages_with_their_links_and_nothing_as_markup(client: FlaskClient) -> None:
    client.post("/signup", data={"email": "<b>@example.com", "password": PASSWORD})
    client.post("/signup", data={"email": "ada&b=1@example.com", "password": PASSWORD})
    page = client.get("/outbox", base_url=HERE).text
    assert '<a href="http://localhost/verify/' in page
    assert "ada&amp;b=1@example.com" in page


def test_only_this_machine_sees_it(client: FlaskClient) -> None:
    assert read(client) == 200
    assert read(client, base_url="http://localhost:8000") == 200
    assert read(client, base_url="http://[::1]:8000", address="::1") == 200
    for address in ("192.0.2.1", "10.0.0.1", "", "2001:db8::1"):
        assert read(client, address=address) == 404


def test_a_page_of_another_site_that_resolves_to_this_machine_does_not_see_it(client: FlaskClient) -> None:
    assert read(client, base_url="http://evil.example:8000") == 404


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP", "Via", "X-Forwarded-Proto"])
def test_a_stranger_behind_a_proxy_on_this_machine_does_not_see_it(client: FlaskClient, header: str) -> None:
    assert read(client, **{header: "192.0.2.1"}) == 404


def test_a_stranger_behind_a_proxy_that_says_nothing_does_not_see_it(client: FlaskClient) -> None:
    answer = client.get("/outbox", base_url=HERE, environ_overrides={"SERVER_PROTOCOL": "HTTP/1.0"})
    assert answer.status_code == 404


class TestWithMail:
    """Where mail is sent."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {
            "OUTBOX": "1",
            "MAIL_URL": "smtp://127.0.0.1",
            "MAIL_FROM": "q@example.com",
            "PUBLIC_URL": "https://q.example.com",
        }

    def test_it_is_not_there(self, app: Flask) -> None:
        assert read(app.test_client()) == 404
