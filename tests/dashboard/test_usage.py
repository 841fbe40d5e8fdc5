"""The page of usage, of all keys and of one."""

from dataclasses import replace
from http import HTTPStatus

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Account, Key, log_in, make_account, make_key, make_team, now, post_bell
from webapp.accounts.audit import OPERATOR
from webapp.accounts.roles import Role
from webapp.metering.credits import grant_credits
from webapp.metering.flush import flush


@pytest.fixture
def keys(app: Flask, client: FlaskClient, account: Account) -> tuple[Key, Key]:
    """Two keys of the account, of which the first made one call and the second two."""
    with app.app_context():
        first, second = make_key(account, name="laptop"), make_key(account, name="nightly")
    for key in (first, second, second):
        assert post_bell(client, key).status_code == HTTPStatus.CREATED
    with app.app_context():
        flush(at=now())
    return first, second


def test_one_keys_usage_is_shown_alone_and_leads_back_to_all(client: FlaskClient, keys: tuple[Key, Key]) -> None:
    everything = client.get("/console/usage").text
    assert f"/console/api-keys/{keys[0].row.id}" in everything
    assert f"/console/api-keys/{keys[1].row.id}" in everything
    page = client.get(f"/console/usage?key={keys[1].row.id}&by=hour").text
    assert "<dd>2</dd>" in page
    assert "laptop" not in page
    assert "Show all keys" in page
    assert f"by=endpoint&amp;key={keys[1].row.id}" in page
    assert f"/console/usage?key={keys[1].row.id}" in client.get(f"/console/api-keys/{keys[1].row.id}").text


def test_one_keys_jobs_are_shown_alone(client: FlaskClient, keys: tuple[Key, Key]) -> None:
    assert client.get("/console/jobs").text.count("/console/jobs/job_") == 3
    page = client.get(f"/console/jobs?key={keys[0].row.id}&status=completed").text
    assert page.count("/console/jobs/job_") == 1
    assert f"status=failed&amp;key={keys[0].row.id}" in page
    assert "No jobs like that" in client.get(f"/console/jobs?key={keys[0].row.id}&status=failed").text


@pytest.mark.usefixtures("account")
@pytest.mark.parametrize("page", ["usage", "jobs"])
def test_a_strangers_key_is_not_found(app: Flask, client: FlaskClient, page: str) -> None:
    with app.app_context():
        strangers = make_key(make_account())
    assert client.get(f"/console/{page}?key={strangers.row.id}").status_code == HTTPStatus.NOT_FOUND
    assert client.get(f"/console/{page}?key=key_%00").status_code == HTTPStatus.NOT_FOUND


def test_who_may_not_see_keys_and_jobs_is_not_led_to_them(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        organisation_id, members = make_team(owner=Role.OWNER, biller=Role.BILLING)
        key = make_key(replace(members["owner"], organisation_id=organisation_id))
        grant_credits(
            organisation_id=organisation_id,
            microcredits=1_000_000,
            reason="a test",
            reference=None,
            actor=OPERATOR,
            at=now(),
        )
    assert post_bell(client, key).status_code == HTTPStatus.CREATED
    with app.app_context():
        flush(at=now())
    log_in(client, members["biller"], organisation_id=organisation_id)
    usage, credit_ledger = client.get("/console/usage").text, client.get("/console/credits").text
    assert "a key" in usage
    assert f"/console/api-keys/{key.row.id}" not in usage
    assert "Job <span" in credit_ledger
    assert "/console/jobs/" not in credit_ledger
