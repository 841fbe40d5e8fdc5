"""The budgets page: set, replaced and removed by forms, and nobody else's."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Account, Key, make_key, now
from webapp.accounts.trail import EventFilter, list_events, of_organisation
from webapp.metering.budgets import list_spent_budgets

PAGE = "/console/budgets"


@pytest.fixture
def key(app: Flask, account: Account) -> Key:
    with app.app_context():
        return make_key(account, name="<b>nightly</b>")


def form(**fields: str) -> dict[str, str]:
    return {"spender": "", "period": "month", "credits": "10", "effect": "refuse"} | fields


def shown(app: Flask, account: Account) -> list[tuple[str, str, int, bool]]:
    with app.app_context():
        found = list_spent_budgets(account.organisation_id, at=now())
        return [(b.budget.spender, b.budget.period, b.budget.microcredits, b.budget.refuses) for b in found]


def test_budgets_of_the_account_and_of_a_key_are_set_replaced_and_removed(
    app: Flask, client: FlaskClient, account: Account, key: Key
) -> None:
    assert client.post(PAGE, data=form()).status_code == 302
    assert client.post(PAGE, data=form(credits="12.5", effect="alert")).status_code == 302
    assert client.post(PAGE, data=form(spender=key.row.id, period="day")).status_code == 302
    assert shown(app, account) == [("", "month", 12_500_000, False), (key.row.id, "day", 10_000_000, True)]
    page = client.get(PAGE).text
    assert "0 of 12.5" in page
    assert "&lt;b&gt;nightly&lt;/b&gt;" in page
    assert client.post(f"{PAGE}/month/remove").status_code == 302
    assert client.post(f"{PAGE}/day/{key.row.id}/remove").status_code == 302
    assert client.post(f"{PAGE}/day/{key.row.id}/remove").status_code == 404
    assert shown(app, account) == []
    with app.app_context():
        events = list_events(of_organisation(account.organisation_id), EventFilter(), limit=5, cursor=None).rows
        said = {(event.action, event.target_id, event.details.get("credits")) for event in events}
    assert {each for each in said if each[0].startswith("budget.")} == {
        ("budget.set", account.organisation_id, "10"),
        ("budget.set", account.organisation_id, "12.5"),
        ("budget.set", key.row.id, "10"),
        ("budget.removed", account.organisation_id, None),
        ("budget.removed", key.row.id, None),
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"credits": ""},
        {"credits": "ten"},
        {"credits": "-1"},
        {"credits": "0.0000001"},
        {"credits": "1e30"},
        {"period": "year"},
        {"effect": "explode"},
        {"spender": "key_of_somebody_else"},
        {"spender": "key_\0"},
    ],
)
def test_a_wrong_field_is_said_and_nothing_is_set(
    app: Flask, client: FlaskClient, account: Account, fields: dict[str, str]
) -> None:
    answer = client.post(PAGE, data=form(**fields))
    assert answer.status_code == 422
    assert "field-error" in answer.text
    assert shown(app, account) == []
