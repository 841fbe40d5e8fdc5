"""The page of the service's operators."""

from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.accounts.test_sessions import let_confirmation_age
from tests.factories import Account, log_in, make_account, make_key, make_team, now, post_bell, queue_bell
from webapp.accounts.models import User
from webapp.accounts.roles import Role
from webapp.core.db import transaction
from webapp.core.redis import store
from webapp.metering.checks import get_last_check
from webapp.metering.models import Usage

OPERATOR = "operator@example.com"


@pytest.fixture
def environ() -> dict[str, str]:
    return {"ADMIN_EMAILS": f"someone@example.com, {OPERATOR.upper()}"}


@pytest.fixture
def operator(app: Flask, client: FlaskClient) -> Account:
    """The operator, logged in."""
    with app.app_context():
        account = make_account(email=OPERATOR)
    log_in(client, account)
    return account


class TestWho:
    """Who may see it."""

    def test_for_anybody_else_it_is_not_there(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            stranger = make_account(email="stranger@example.com")
        log_in(client, stranger)
        nothing = client.get("/nothing")
        for answer in (client.get("/admin"), client.post("/admin/verify")):
            assert answer.status_code == nothing.status_code == 404
        assert "/admin" not in client.get("/console").text

    def test_an_operator_who_is_logged_out_is_asked_to_log_in(self, client: FlaskClient) -> None:
        assert client.get("/admin").headers["Location"] == "/login?next=/admin"

    @pytest.mark.usefixtures("operator")
    def test_an_operator_finds_it(self, client: FlaskClient) -> None:
        assert 'href="/admin"' in client.get("/console").text
        assert client.get("/admin").status_code == 200

    def test_an_address_that_is_not_verified_makes_no_operator(
        self, app: Flask, client: FlaskClient, operator: Account
    ) -> None:
        with app.app_context(), transaction() as session:
            session.get_one(User, operator.user_id).email_verified_at = None
        assert client.get("/admin").status_code == 404

    @pytest.mark.usefixtures("operator")
    def test_a_log_in_of_long_ago_is_not_enough(self, app: Flask, client: FlaskClient) -> None:
        let_confirmation_age(app)
        assert client.get("/admin").headers["Location"] == "/console/confirm?next=/admin"

    def test_a_forged_check_is_refused(self, app: Flask, client: FlaskClient, operator: Account) -> None:
        app.config["WTF_CSRF_ENABLED"] = True
        assert operator.email == OPERATOR
        assert client.post("/admin/verify").status_code == 400


class TestNobody:
    """Without the setting."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {}

    def test_it_is_there_for_nobody(self, client: FlaskClient) -> None:
        assert client.get("/admin").status_code == 404


class TestWhat:
    """What it shows."""

    def test_it_adds_everything_up(self, app: Flask, client: FlaskClient, operator: Account) -> None:
        with app.app_context():
            make_team(owner=Role.OWNER)
            key = make_key(operator)
        charged = post_bell(client, key).get_json()["cost"]["charged"]
        queue_bell(client, key)
        page = " ".join(client.get("/admin").text.split())
        assert "<dt>Users</dt><dd>2<small>2 since yesterday" in page
        assert "<dt>Organisations</dt><dd>1<small>" in page
        assert "<dt>Jobs queued</dt><dd>1<small>" in page
        assert "<dt>Jobs completed</dt><dd>1<small>" in page
        assert "<dt>Granted</dt><dd>10</dd>" in page
        assert f"<dt>Spent</dt><dd>{charged}</dd>" in page
        assert f"<dt>Held for open jobs</dt><dd>{charged}</dd>" in page
        assert "a team" in page
        assert page.count("Answers") == 2
        assert key.raw not in page
        assert key.row.prefix not in page

    @pytest.mark.usefixtures("operator")
    def test_people_are_found_by_their_address(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            make_account(email="ada%lovelace@example.com")
            make_account(email="adaxlovelace@example.com")
        page = client.get("/admin?q=ADA%25").text
        assert ("ada%lovelace@" in page, "adaxlovelace@" in page) == (True, False)
        assert "Nobody with that address" in client.get("/admin?q=<b>%00").text

    def test_the_ledger_is_verified_on_demand(self, app: Flask, client: FlaskClient, operator: Account) -> None:
        with app.app_context():
            key = make_key(operator)
        assert "Not verified yet" in client.get("/admin").text
        assert "every account is exact" in client.post("/admin/verify").text
        assert "Last verified" in client.get("/admin").text
        with app.app_context(), transaction() as session:
            session.add(Usage(key_id=key.row.id, hour=now(), microcredits=5))
        page = client.post("/admin/verify").text
        assert operator.organisation_id in page
        assert "1 difference:" in page
        with app.app_context():
            check = get_last_check()
            assert check is not None
            assert check.differences == 1
            assert now() - check.at < timedelta(minutes=1)

    @pytest.mark.usefixtures("operator")
    def test_it_is_there_while_redis_is_not(self, client: FlaskClient) -> None:
        store.connect("redis://127.0.0.1:1/0")
        page = client.get("/admin")
        assert (page.status_code, "Away" in page.text) == (200, True)
        assert "Redis does not answer" in page.text
