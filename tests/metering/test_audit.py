"""What operators and members do to credits and budgets is on the record, and what is refused is not."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import select

from tests.factories import Account, body, make_account, make_key, now, post_bell
from webapp.accounts.audit import OPERATOR, Actor, ActorType
from webapp.accounts.models import AuditEvent
from webapp.core.db import db
from webapp.core.errors import InvalidFieldsError, UpcubeError
from webapp.jobs.refunds import refund_job
from webapp.ledger.budgets import NoBudgetError
from webapp.metering.budgets import set_budget, unset_budget
from webapp.metering.withdrawals import adjust_credits

ADA = Actor(ActorType.USER, "user_1", "ada@example.com")


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(microcredits=10_000)


def list_events(account: Account, prefix: str) -> list[tuple[str, str, str | None, dict[str, object]]]:
    """Give the events whose action begins so, oldest first: the action, who acted, upon what, and the details."""
    statement = (
        select(AuditEvent)
        .where(AuditEvent.organisation_id == account.organisation_id, AuditEvent.action.startswith(prefix))
        .order_by(AuditEvent.created_at)
    )
    return [(each.action, each.actor_label, each.target_id, each.details) for each in db.session.scalars(statement)]


@pytest.mark.usefixtures("context")
def test_a_budget_set_and_removed_says_whose_and_how_much(account: Account) -> None:
    key = make_key(account)
    common: dict[str, Any] = {"organisation_id": account.organisation_id, "period": "day", "actor": ADA}
    set_budget(key_id=key.row.id, microcredits=5_000, refuses=True, at=now(), **common)
    set_budget(key_id=None, microcredits=9_000, refuses=False, at=now(), **common)
    unset_budget(key_id=key.row.id, at=now(), **common)
    with pytest.raises(NoBudgetError):
        unset_budget(key_id=key.row.id, at=now(), **common)
    with pytest.raises(InvalidFieldsError):
        set_budget(key_id=None, microcredits=-1, refuses=True, at=now(), **common)
    assert list_events(account, "budget.") == [
        ("budget.set", ADA.label, key.row.id, {"period": "day", "credits": "0.005", "refuses": True}),
        ("budget.set", ADA.label, account.organisation_id, {"period": "day", "credits": "0.009", "refuses": False}),
        ("budget.removed", ADA.label, key.row.id, {"period": "day"}),
    ]


@pytest.mark.usefixtures("context")
def test_an_adjustment_says_how_much_either_way_and_once_per_reference(account: Account) -> None:
    def adjust(microcredits: int, reference: str | None = None) -> None:
        adjust_credits(
            organisation_id=account.organisation_id,
            microcredits=microcredits,
            reason="a slip",
            reference=reference,
            actor=OPERATOR,
            at=now(),
        )

    adjust(2_000)
    adjust(-3_000, "slip-1")
    for refused in (-3_000, -1_000_000):
        with pytest.raises(UpcubeError):
            adjust(refused, "slip-1" if refused == -3_000 else None)
    assert [
        (action, details["credits"], details["reference"])
        for action, _, _, details in list_events(account, "credits.a")
    ] == [
        ("credits.adjusted", "0.002", None),
        ("credits.adjusted", "-0.003", "slip-1"),
    ]


def test_a_refund_names_its_job(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        key = make_key(account)
    job_id = str(body(post_bell(client, key))["id"])
    with app.app_context():
        for microcredits in (100, None):
            refund_job(
                organisation_id=account.organisation_id,
                job_id=job_id,
                microcredits=microcredits,
                reason="an apology",
                reference=None,
                actor=OPERATOR,
                at=now(),
            )
        assert [(actor, target, details["credits"]) for _, actor, target, details in list_events(account, "job.")] == [
            ("Operator", job_id, "0.0001"),
            ("Operator", job_id, "0.001001"),
        ]
