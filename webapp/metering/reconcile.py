"""Redis made to agree with SQL, one account at a time."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from webapp.accounts.models import Organisation
from webapp.core import redis_names as names
from webapp.core.db import ROW_LOCK, db, transaction
from webapp.core.redis_scripts import RedisScript
from webapp.ledger.budgets import Budget, list_budgets
from webapp.ledger.models import Balance, Transfer
from webapp.ledger.operations import lock_balance
from webapp.metering.models import FlushBatch, OpenHold
from webapp.metering.spenders import spender_of
from webapp.metering.spending import SECONDS_PER_DAY, Price, Used, list_bounds, list_used, read_prices

SCRIPTS = Path(__file__).parent / "scripts"
BUDGETS = SCRIPTS / "budgets.lua"
PEEK = RedisScript(SCRIPTS / "peek.lua", takes_epoch=True)
CHILL = RedisScript(SCRIPTS / "chill.lua")
PRICES = RedisScript(SCRIPTS / "prices.lua")
RECONCILE = RedisScript(SCRIPTS / "reconcile.lua", library=BUDGETS)

# How often an open job's hold is looked at, which SQL keeps for as long as the job is open.
KEPT_HOLD_SECONDS = 120


@dataclass(frozen=True)
class RedisAccount:
    """What Redis holds of an account at one moment, in micro-credits. `available` is None where Redis knows nothing."""

    epoch: str
    available: int | None
    # All that had ever come to the account when Redis was last told.
    credited: int
    holds: dict[str, int]
    # Of the holds, those that budgets count, with who spends them.
    spending_holds: dict[str, str]
    # By batch, the live counters among them.
    unflushed: dict[str, int]
    # By spender, the budgets that bound it and what is used of its own, as budgets.lua writes them.
    budgets: dict[str, str]
    used: dict[str, str]
    # The server's time.
    at: datetime


@dataclass(frozen=True)
class Settled:
    """Which of the batches and holds that Redis still has are done with in SQL."""

    applied_batches: frozenset[str]
    # Hold id to the micro-credits that SQL charged for it.
    charged_holds: dict[str, int]


def hold_reference(hold_id: str) -> str:
    """Give the reference of the transfer that charges for a hold."""
    return f"hold:{hold_id}"


def peek_account(shard_tag: str) -> RedisAccount:
    """Read what Redis holds of the account, in one round trip."""
    return read_account(PEEK.run(*peek_arguments(shard_tag)))


def peek_accounts(shard_tags: Sequence[str]) -> list[RedisAccount]:
    """Read what Redis holds of many accounts, in one round trip for all, each at its own moment."""
    return [read_account(reply) for reply in PEEK.run_many(map(peek_arguments, shard_tags))]


def peek_arguments(shard_tag: str) -> tuple[list[str], list[str]]:
    """Give the keys and arguments of peek.lua for this account."""
    group = names.group_of(shard_tag)
    return (
        [
            names.account_record(shard_tag),
            names.account_holds(shard_tag),
            names.live_counters(group),
            names.sealed_batches(group),
        ],
        [shard_tag],
    )


def read_account(reply: Any) -> RedisAccount:  # noqa: ANN401 - a script's answer
    """Read the answer of peek.lua."""
    epoch, available, credited, holds, unflushed, budgets, seconds = reply
    held = pair_up(holds)
    spending = pair_up(budgets)
    return RedisAccount(
        epoch=epoch.decode(),
        available=int(available) if available else None,
        credited=int(credited),
        holds={hold_id: int(value.partition(":")[0]) for hold_id, value in held.items()},
        spending_holds={hold_id: value.split(":")[1] for hold_id, value in held.items() if ":" in value},
        unflushed={batch: int(microcredits) for batch, microcredits in pair_up(unflushed).items()},
        budgets={name[2:]: text for name, text in spending.items() if name.startswith("b:")},
        used={name[2:]: text for name, text in spending.items() if name.startswith("s:")},
        at=datetime.fromtimestamp(seconds, UTC),
    )


def pair_up(flat: Sequence[bytes] | dict[bytes, bytes]) -> dict[str, str]:
    """Read names and values that alternate."""
    items: Any = flat.items() if isinstance(flat, dict) else zip(flat[::2], flat[1::2], strict=True)
    return {name.decode(): value.decode() for name, value in items}


def find_settled(session: Session, found: RedisAccount) -> Settled:
    """Ask SQL which of the batches and holds that Redis has are applied and charged already."""
    applied = session.scalars(select(FlushBatch.id).where(FlushBatch.id.in_(list(found.unflushed))))
    references = {hold_reference(hold_id): hold_id for hold_id in found.holds}
    charged = session.execute(
        select(Transfer.reference, Transfer.microcredits).where(Transfer.reference.in_(list(references)))
    )
    return Settled(
        applied_batches=frozenset(applied),
        charged_holds={references[reference]: microcredits for reference, microcredits in charged},
    )


def sum_open_holds(found: RedisAccount, settled: Settled) -> int:
    """Add up the holds that SQL has not charged."""
    return sum(held for hold_id, held in found.holds.items() if hold_id not in settled.charged_holds)


def sum_unflushed(found: RedisAccount, settled: Settled) -> int:
    """Add up the charges for calls that SQL does not have yet."""
    return sum(cost for batch, cost in found.unflushed.items() if batch not in settled.applied_batches)


def reconcile_account(*, shard_tag: str) -> None:
    """Set what Redis knows of the account to what SQL says, whatever Redis knew before. Safe at any moment.

    The balance row stays locked meanwhile, so that no charge can be posted between reading SQL and writing Redis; calls
    and holds in Redis may go on. Raises StoreAwayError.
    """
    with transaction() as session:
        organisation = lock_organisation(session, shard_tag)
        balance = lock_balance(session, organisation.id)
        budgets = list_budgets(session, organisation.id)
        found = peek_account(shard_tag)
        bounds = list_bounds(session, organisation.id, budgets, at=found.at)
        if found.budgets != bounds:
            chill_account(shard_tag)
            found = peek_account(shard_tag)
        said = describe_account(session, organisation, balance, budgets, found) | {"budgets": bounds}
        group = names.group_of(shard_tag)
        RECONCILE.run(
            [
                names.account_record(shard_tag),
                names.account_holds(shard_tag),
                names.live_counters(group),
                names.sealed_batches(group),
                names.hold_deadlines(group),
            ],
            [shard_tag, json.dumps(said), found.epoch],
        )
        session.execute(
            update(Balance).where(Balance.organisation_id == organisation.id).values(told_version=balance.version)
        )


def chill_account(shard_tag: str) -> None:
    """Let no call and no hold pass before the account is reconciled, which waits for whoever has its row locked.

    Raises StoreAwayError.
    """
    CHILL.run([names.account_record(shard_tag)])


def describe_account(
    session: Session, organisation: Organisation, balance: Balance, budgets: Sequence[Budget], found: RedisAccount
) -> dict[str, object]:
    """Say what reconcile.lua needs to know of the account from SQL."""
    settled = find_settled(session, found)
    said: dict[str, object] = {
        "state": "disabled" if organisation.disabled_at else "active",
        "balance": balance.available,
        "credited": str(balance.credited),
        "confirm_above": "" if (above := organisation.confirm_above_microcredits) is None else str(above),
        "applied": list(settled.applied_batches),
        "charged": settled.charged_holds,
        "kept": list_kept_holds(session, organisation.id),
        "kept_seconds": KEPT_HOLD_SECONDS,
    }
    if found.available is None:
        said["used"] = describe_used(session, organisation, budgets, found, settled)
    return said


def describe_used(
    session: Session, organisation: Organisation, budgets: Sequence[Budget], found: RedisAccount, settled: Settled
) -> dict[str, str]:
    """Say what counts against budgets, by whose they are, as budgets.lua reads it."""
    used: Mapping[str, Used] = {}
    if budgets:
        prices = list_prices(organisation.shard_tag, settled) if sum_unflushed(found, settled) else []
        used = list_used(session, organisation.id, prices, at=found.at)
    return {budget.spender: used.get(budget.spender, Used()).encode(found.at) for budget in budgets}


def list_kept_holds(session: Session, organisation_id: str) -> dict[str, str]:
    """Give the holds of open jobs, by id, as budgets.lua reads them."""
    holds = session.scalars(select(OpenHold).where(OpenHold.organisation_id == organisation_id))
    return {
        hold.hold_id: f"{hold.microcredits}:{spender_of(hold.key_id, organisation_id)}:"
        f"{int(hold.held_at.timestamp()) // SECONDS_PER_DAY}"
        for hold in holds
    }


def list_prices(shard_tag: str, settled: Settled) -> list[Price]:
    """Read what calls in the account's group were charged and SQL does not have yet, by key and hour."""
    group = names.group_of(shard_tag)
    return read_prices(
        PRICES.run([names.live_counters(group), names.sealed_batches(group)]), applied=settled.applied_batches
    )


def lock_organisation(session: Session, shard_tag: str) -> Organisation:
    """Read the organisation, and wait for whoever is about to disable it."""
    statement = select(Organisation).where(Organisation.shard_tag == shard_tag)
    return session.scalars(statement.with_for_update(**ROW_LOCK)).one()


def reconcile_changed_accounts() -> int:
    """Reconcile the accounts that got credits which Redis may not have heard of, and give how many there were."""
    tags = db.session.scalars(
        select(Organisation.shard_tag).join(Balance).where(Balance.version > Balance.told_version)
    ).all()
    for shard_tag in tags:
        reconcile_account(shard_tag=shard_tag)
    return len(tags)
