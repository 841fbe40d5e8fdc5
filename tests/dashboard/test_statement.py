"""The account's statement as a file."""

import csv
import io
import re

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import PASSWORD, Account, make_account, make_key, now, post_bell
from webapp.accounts.audit import OPERATOR
from webapp.dashboard import credit_ledger
from webapp.metering.credits import grant_credits

HEADER = ["time", "kind", "amount", "balance", "from", "to", "reason", "reference"]


def read_statement(client: FlaskClient, account: Account) -> list[list[str]]:
    """Log in and read the file."""
    client.post("/login", data={"email": account.email, "password": PASSWORD})
    answer = client.get("/console/credits/statement.csv")
    assert (answer.status_code, answer.mimetype) == (200, "text/csv")
    assert "attachment" in answer.headers["Content-Disposition"]
    return list(csv.reader(io.StringIO(answer.text)))


def test_it_has_every_line_with_the_balance_after_it(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        account = make_account(microcredits=5_000_000)
        key = make_key(account)
    assert post_bell(client, key).status_code == 201
    header, grant, charge = read_statement(client, account)
    assert header == HEADER
    assert grant[1:7] == ["grant", "5", "5", "grants", "customer", "Starting credits"]
    assert charge[1:6] == ["charge", "-0.001101", "4.998899", "customer", "revenue"]


def test_a_reason_cannot_become_a_formula(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        account = make_account(microcredits=0)
        grant_credits(
            organisation_id=account.organisation_id,
            microcredits=1,
            reason="=HYPERLINK(1)",
            reference=None,
            actor=OPERATOR,
            at=now(),
        )
    assert read_statement(client, account)[1][6] == "'=HYPERLINK(1)"


def test_it_needs_a_login_and_shows_nobody_elses_lines(app: Flask, client: FlaskClient) -> None:
    assert client.get("/console/credits/statement.csv").status_code == 302
    with app.app_context():
        make_account(microcredits=5)
        account = make_account(microcredits=0)
    assert read_statement(client, account) == [HEADER]


def test_the_page_of_the_ledger_is_read_to_its_end(
    app: Flask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(credit_ledger, "SHOWN_TRANSFERS", 2)
    with app.app_context():
        account = make_account(microcredits=5_000_000)
        key = make_key(account)
    for _ in range(2):
        assert post_bell(client, key).status_code == 201
    client.post("/login", data={"email": account.email, "password": PASSWORD})
    page = client.get("/console/credits").text
    assert page.count('<tr role="row" id="') == 2
    older = re.search(r'href="(/console/credits\?cursor=tr_[0-9a-z]{26})"', page)
    assert older
    last = client.get(older[1]).text
    assert "Starting credits" in last
    assert "Older lines" not in last
    assert client.get("/console/credits?cursor=%27").text.count('<tr role="row" id="') == 2
