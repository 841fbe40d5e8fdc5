"""Holds: credits set aside for a job before it is accepted, and settled or released once it ends."""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Any, NoReturn

from redis.exceptions import RedisError
from sqlalchemy import delete
from sqlalchemy.orm import Session

from webapp.accounts.queries import get_organisation_by_tag
from webapp.core import clock
from webapp.core import redis_names as names
from webapp.core.db import CommitLostError, transaction
from webapp.core.errors import StoreAwayError, UpcubeError
from webapp.core.money import format_credits
from webapp.core.redis import asking_redis, store
from webapp.core.redis_scripts import RedisScript, Run
from webapp.core.redis_wire import Argument
from webapp.ledger.operations import check_reference, lock_balance, try_lock_balance, void_reference
from webapp.metering.budgets import BudgetExceededError, read_budgets
from webapp.metering.groups import GROUPS
from webapp.metering.models import OpenHold
from webapp.metering.reconcile import BUDGETS, KEPT_HOLD_SECONDS, SCRIPTS, hold_reference, reconcile_account

log = logging.getLogger(__name__)

HOLD = RedisScript(SCRIPTS / "hold.lua", library=BUDGETS, takes_epoch=True, takes_deadline=True)
OVERDUE = RedisScript(SCRIPTS / "overdue.lua")
RENEW = RedisScript(SCRIPTS / "renew.lua")
SETTLE = RedisScript(SCRIPTS / "settle.lua", library=BUDGETS, takes_epoch=True)

# A new hold that is older and not kept in SQL has lost its request: the web process died. What SQL would still take is
# not given up: SQLite's two waits for its one writer, 20 s each (see core/db.py), and a run of 0.1 s on a machine that
# is many times too busy come to less; PostgreSQL's waits are of 5 s. But a lost hold counts among the account's jobs at
# one time until a task looks, which is every 10 s: so no longer either. It is a matter of waiting and not of credits:
# SQL refuses the charge of a process that slept for longer, as its reference is void by then.
NEW_HOLD_SECONDS = 45
# When a job ends nobody knows. An account reaches its limit with jobs that wait for workers: each takes seconds.
RETRY_AFTER_SECONDS = 5
MAX_TRIES = 3


class InsufficientCreditsError(UpcubeError):
    """The account has less available than the job's worst case needs."""

    status = 402
    code = "insufficient_credits"

    def __init__(self, *, required: int, available: int) -> None:
        super().__init__(
            f"This needs {format_credits(required)} credits and {format_credits(available)} are available. "
            "Ask for fewer shots or a smaller circuit, or add credits.",
            target="credits",
            extra={
                "required": format_credits(required),
                "available": format_credits(available),
                "limitSource": "balance",
            },
        )


class TooManyHoldsError(UpcubeError):
    """The account has as many jobs open as it may."""

    status = 403
    code = "gate_refused"
    headers = MappingProxyType({"Retry-After": str(RETRY_AFTER_SECONDS)})

    def __init__(self, limit: int) -> None:
        super().__init__(
            f"The account has {limit} jobs queued and running already, which is its limit. "
            "Send this one when another has ended.",
            target="concurrency",
            extra={"gate": "concurrency", "limit": str(limit), "value": str(limit + 1)},
        )


class ConfirmationWantedError(Exception):
    """The account wants to be asked before it pays so much; it could pay it, and nothing is held."""

    def __init__(self, *, above_microcredits: int) -> None:
        super().__init__(f"prices above {above_microcredits} micro-credits want confirming")
        self.above_microcredits = above_microcredits


@dataclass(frozen=True)
class Hold:
    """Credits set aside for one job."""

    id: str
    shard_tag: str
    microcredits: int


class AskedHold:
    """A hold that Redis was asked for, and decides on while this thread does something else."""

    def __init__(self, hold: Hold, arguments: Sequence[Argument], *, max_holds: int) -> None:
        """Ask for it. Raises StoreAwayError."""
        self.hold = hold
        self._arguments = arguments
        self._max_holds = max_holds
        self._is_decided = False
        self._error: BaseException | None = None
        self._run: Run | None = self._ask()

    def _ask(self) -> Run:
        return HOLD.start(hold_keys(self.hold.shard_tag), self._arguments)

    def get(self) -> Hold:
        """Give the hold once it is one, any number of times.

        Raises, in this order, BudgetExceededError, InsufficientCreditsError, TooManyHoldsError or
        ConfirmationWantedError; or StoreAwayError.
        """
        if not self._is_decided:
            self._is_decided = True
            try:
                self._wait()
            except BaseException as error:
                self._error = error
                raise
        if self._error is not None:
            raise self._error
        return self.hold

    def is_held(self) -> bool:
        """Tell whether the credits are set aside; where Redis does not say, they will be found overdue."""
        try:
            self.get()
        except (UpcubeError, ConfirmationWantedError):
            return False
        return True

    def _wait(self) -> None:
        """Wait until the credits are set aside, telling Redis what it has to know for that."""
        for _ in range(MAX_TRIES):
            # Redis is asked only where its answer is read, which may be that they are.
            run, self._run = self._run or self._ask(), None
            verdict, number, budgets = run.read()
            if verdict == b"held":
                return
            if verdict == b"cold":
                reconcile_account(shard_tag=self.hold.shard_tag)
            elif verdict == b"late":
                store.disconnect()
            else:
                self._refuse(verdict, number, budgets)
        raise StoreAwayError("The metering store lost what it was told; nothing was charged. Try again shortly.")

    def _refuse(self, verdict: bytes, number: bytes, budgets: Sequence[Any]) -> NoReturn:
        """Raise the refusal that the verdict stands for."""
        required = self.hold.microcredits
        if verdict == b"concurrency":
            raise TooManyHoldsError(self._max_holds)
        if verdict == b"budget":
            raise BudgetExceededError(read_budgets(budgets), required=required, at=clock.now())
        if verdict == b"credits":
            raise InsufficientCreditsError(required=required, available=int(number))
        raise ConfirmationWantedError(above_microcredits=int(number))


def ask_for_credits(
    *,
    shard_tag: str,
    hold_id: str,
    microcredits: int,
    max_holds: int,
    spender: str | None = None,
    is_confirmed: bool = False,
) -> AskedHold:
    """Ask for credits to be set aside, once per id; they count against the budgets of who spends them and the account.

    Where nobody spends them, because they expire, say, they count against none, and nobody is asked. Raises
    StoreAwayError.
    """
    arguments = [
        *(hold_id, microcredits, NEW_HOLD_SECONDS, shard_tag),
        *(max_holds, spender or "", "1" if is_confirmed else ""),
    ]
    return AskedHold(Hold(hold_id, shard_tag, microcredits), arguments, max_holds=max_holds)


def settle_hold(hold: Hold, *, charged_microcredits: int) -> None:
    """End a hold once SQL has posted its charge, or with 0 to release it. Any number of times, in any order.

    Raises StoreAwayError; the hold then ends when it is found to be overdue.
    """
    if not SETTLE.run(hold_keys(hold.shard_tag), [hold.id, charged_microcredits, hold.shard_tag]):
        # Somebody else ended this hold, perhaps in the belief that we were dead. SQL knows what it came to.
        reconcile_account(shard_tag=hold.shard_tag)


def tell_settled(hold: Hold, *, charged_microcredits: int) -> None:
    """End a hold as `settle_hold` does, without waiting for Redis: nothing that this thread sends later comes before.

    Raises StoreAwayError where it cannot be sent; the hold then ends when it is found to be overdue, as it does where
    Redis is gone before it reads this.
    """
    SETTLE.tell(hold_keys(hold.shard_tag), [hold.id, charged_microcredits, hold.shard_tag])


def end_hold(hold: Hold, *, charged_microcredits: int, is_awaited: bool = True) -> None:
    """Settle the hold now if Redis takes it; otherwise it ends when it is found to be overdue.

    Whatever it is for has been stored by now, or given up: nothing may undo that any more.
    """
    settle = settle_hold if is_awaited else tell_settled
    try:
        settle(hold, charged_microcredits=charged_microcredits)
    except (StoreAwayError, RedisError) as error:
        log.warning("hold %s is left to end when it is overdue: %r", hold.id, error.__cause__ or error)


def renew_hold(hold: Hold) -> bool:
    """Keep a hold from becoming overdue for a while; False when it has ended. Raises StoreAwayError."""
    return bool(RENEW.run(hold_keys(hold.shard_tag)[1:], [hold.id, KEPT_HOLD_SECONDS, hold.shard_tag]))


def give_back_hold(hold: Hold, error: BaseException) -> None:
    """Release a hold after this error: at once where nothing was stored for certain, and else once SQL was asked.

    What is no refusal (a time-out of the task, say, or a signal) may have come when the commit was done.
    """
    if isinstance(error, UpcubeError) and not isinstance(error, CommitLostError):
        end_hold(hold, charged_microcredits=0)
    else:
        hurry_hold(hold)


def hurry_hold(hold: Hold) -> None:
    """Let a hold be overdue now: nobody knows what SQL made of it, and nobody works on it any more."""
    deadlines = names.hold_deadlines(names.group_of(hold.shard_tag))
    # Where Redis does not answer, it is overdue at its own time.
    with suppress(StoreAwayError), asking_redis():
        store.client.zadd(deadlines, {f"{hold.shard_tag}:{hold.id}": 0}, xx=True)


def hold_keys(shard_tag: str) -> list[str]:
    """Name what the scripts on holds work on."""
    return [
        names.account_record(shard_tag),
        names.account_holds(shard_tag),
        names.hold_deadlines(names.group_of(shard_tag)),
    ]


def keep_hold(session: Session, hold: Hold, *, organisation_id: str, key_id: str | None, at: datetime) -> None:
    """Keep a hold until `let_hold_go`, in the transaction that stores what it is for.

    Raises VoidReferenceError when it took so long to get here that the hold has been given up.
    """
    lock_balance(session, organisation_id)
    check_reference(session, hold_reference(hold.id))
    session.add(
        OpenHold(
            hold_id=hold.id,
            organisation_id=organisation_id,
            microcredits=hold.microcredits,
            key_id=key_id,
            held_at=at,
        )
    )
    session.flush()


def let_hold_go(session: Session, hold_id: str, *, organisation_id: str) -> None:
    """Keep a hold no longer, in the transaction that ends what it was for; settle it after the commit."""
    lock_balance(session, organisation_id)
    session.execute(delete(OpenHold).where(OpenHold.hold_id == hold_id))


def end_overdue_holds(*, at: datetime) -> int:
    """End the holds whose process died between holding and settling, and give how many there were.

    Those of an account whose balance somebody else keeps are left to the next time: nobody waits for them.
    """
    return sum(end_overdue_hold(shard_tag, hold_id, at=at) for shard_tag, hold_id in list_overdue_holds())


def end_overdue_hold(shard_tag: str, hold_id: str, *, at: datetime) -> bool:
    """End one overdue hold, if it is one; tell whether it has ended.

    A hold that SQL has charged is settled with that charge. Any other is released, after its reference has been made
    void: should its process only have slept, SQL refuses the charge that comes too late. A hold that is kept for an
    open job is renewed.
    """
    organisation = get_organisation_by_tag(shard_tag)
    if organisation is None:
        # Left by another database that shared this Redis.
        with asking_redis():
            store.client.zrem(names.hold_deadlines(names.group_of(shard_tag)), f"{shard_tag}:{hold_id}")
        return False
    hold = Hold(hold_id, shard_tag, 0)
    with transaction() as session:
        if not try_lock_balance(session, organisation.id):
            return False
        is_kept = session.get(OpenHold, hold_id) is not None
        if not is_kept:
            reference = hold_reference(hold_id)
            charged = void_reference(session, organisation_id=organisation.id, reference=reference, at=at)
    if is_kept:
        renew_hold(hold)
        return False
    settle_hold(hold, charged_microcredits=charged)
    return True


def list_overdue_holds() -> list[tuple[str, str]]:
    """Give the shard tag and id of every hold that is past its deadline, by the clock that set the deadline."""
    found = OVERDUE.run_many(([names.hold_deadlines(group)], ()) for group in GROUPS)
    overdue = []
    for member in (member.decode() for members in found for member in members):
        shard_tag, _, hold_id = member.partition(":")
        overdue.append((shard_tag, hold_id))
    return overdue
