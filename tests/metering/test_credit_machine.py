"""The credit machine against a plain model: any sequence of spending, holding, crashing and losing comes out exact."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from config import is_cluster
from tests import stores
from tests.factories import API, Account, Key, hold_credits, make_account, make_holds_overdue, make_key, now
from tests.stores import PostgresqlStore, SqliteStore, make_settings
from webapp import create_app
from webapp.accounts.audit import OPERATOR
from webapp.core import redis_names as names
from webapp.core.db import db, transaction
from webapp.core.ids import new_id
from webapp.core.redis import store
from webapp.ledger.operations import OverdraftError, VoidReferenceError, add_charge, add_refund
from webapp.ledger.queries import list_open_lots
from webapp.metering.budgets import set_budget
from webapp.metering.credits import get_credits, grant_credits, tell_redis
from webapp.metering.flush import apply_batches, flush, read_batch, seal_all
from webapp.metering.holds import Hold, InsufficientCreditsError, end_overdue_holds, settle_hold
from webapp.metering.rebuild import rebuild
from webapp.metering.reconcile import hold_reference
from webapp.metering.usage import UsageChange, add_usage, start_of_hour
from webapp.metering.verify import verify
from webapp.metering.withdrawals import NotAvailableError, adjust_credits, expire_lots_of

CALL_MICROCREDITS = 100
MAX_HOLDS = 1_000
HOUR = timedelta(hours=1)
START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def environ() -> dict[str, str]:
    limits = "1000000/1"
    return {"CALL_PRICE_CREDITS": "0.0001", "KEY_RATE_LIMITS": limits, "ACCOUNT_RATE_LIMITS": limits}


class CreditMachine(RuleBasedStateMachine):
    """One account in SQL and Redis, and beside it a few integers that say what must be true of it.

    Another account, which has a call to be flushed and an open hold, is there too: whatever happens to everybody
    happens to it, and it is verified like the first.
    """

    # Begins an example: empty stores and an application on them, until what it gives is closed.
    begin: Callable[[], AbstractContextManager[FlaskClient]]
    holds = Bundle("holds")

    def __init__(self) -> None:
        super().__init__()
        self.stores = ExitStack()
        self.client = self.stores.enter_context(type(self).begin())
        self.make_bystander()
        self.account: Account = make_account(microcredits=1_000)
        self.key: Key = make_key(self.account)
        # It refuses nothing; what is used of it must add up like everything else.
        set_budget(
            organisation_id=self.account.organisation_id,
            key_id=None,
            period="total",
            microcredits=1,
            refuses=False,
            actor=OPERATOR,
            at=now(),
        )
        self.granted = 1_000
        self.spent = 0
        self.expired = 0
        # What is left of what expires, by the hour, on a clock of its own.
        self.lots: dict[int, int] = {}
        self.hours = 0
        # By job, what was charged and is not refunded.
        self.charged: dict[str, int] = {}
        self.unflushed = 0
        # Holds that are open, by id.
        self.held: dict[str, int] = {}
        # What Redis has not been given back for holds that SQL has charged less for.
        self.unsettled: dict[str, int] = {}
        self.ended: set[str] = set()
        self.is_known_to_redis = False

    def teardown(self) -> None:
        self.stores.close()

    def make_bystander(self) -> None:
        key = make_key(make_account(microcredits=1_000))
        assert self.client.get(f"{API}/me", headers=key.headers).status_code == 200
        hold_credits(
            shard_tag=key.raw[-12:-6], hold_id="bystander", microcredits=75, max_holds=MAX_HOLDS, spender=key.row.id
        )

    def available(self) -> int:
        """What may still be spent, as SQL would say."""
        return self.granted - self.spent - self.expired - self.unflushed - sum(self.held.values())

    def meet_redis(self) -> int:
        """Count on Redis knowing the account from now on; give what it would let the account spend."""
        if not self.is_known_to_redis:
            self.reconciled()
        return self.available() - sum(self.unsettled.values())

    def reconciled(self) -> None:
        """Redis has been told everything."""
        self.is_known_to_redis = True
        self.unsettled.clear()

    @rule(microcredits=st.integers(1, 3_000))
    def grant(self, microcredits: int) -> None:
        grant_credits(
            organisation_id=self.account.organisation_id,
            microcredits=microcredits,
            reason="",
            reference=None,
            actor=OPERATOR,
            at=now(),
        )
        self.granted += microcredits
        self.reconciled()

    @rule(microcredits=st.integers(1, 900), hours=st.integers(1, 5))
    def grant_for_some_hours(self, microcredits: int, hours: int) -> None:
        grant_credits(
            organisation_id=self.account.organisation_id,
            microcredits=microcredits,
            reason="",
            reference=None,
            actor=OPERATOR,
            at=START + self.hours * HOUR,
            expires_at=START + (self.hours + hours) * HOUR,
        )
        self.granted += microcredits
        self.lots[self.hours + hours] = self.lots.get(self.hours + hours, 0) + microcredits
        self.reconciled()

    def posted(self, microcredits: int) -> None:
        """Credits have left the account in SQL: the soonest to expire go first."""
        for hour in sorted(self.lots):
            taken = min(self.lots[hour], microcredits)
            self.lots[hour] -= taken
            microcredits -= taken

    @rule(hours=st.integers(0, 3))
    def expire(self, hours: int) -> None:
        """Time passes, and what is past its date goes, but for what is held or waits to be posted."""
        self.hours += hours
        past = sum(left for hour, left in self.lots.items() if hour <= self.hours)
        due = max(0, past - sum(self.held.values()) - self.unflushed)
        if due:
            due = min(due, self.meet_redis_or(due))
        assert expire_lots_of(self.account.organisation_id, at=START + self.hours * HOUR) == due
        self.expired += due
        self.posted(due)

    def meet_redis_or(self, wanted: int) -> int:
        """Give all of it, or nothing where Redis, not told of every settlement yet, does not have that much."""
        return wanted if self.meet_redis() >= wanted else 0

    @rule(microcredits=st.integers(-600, 600).filter(bool))
    def adjust(self, microcredits: int) -> None:
        is_covered = microcredits > 0 or self.meet_redis() >= -microcredits
        arguments: dict[str, Any] = {"organisation_id": self.account.organisation_id, "reason": "", "reference": None}
        if not is_covered:
            with pytest.raises(NotAvailableError):
                adjust_credits(microcredits=microcredits, actor=OPERATOR, at=now(), **arguments)
            return
        adjust_credits(microcredits=microcredits, actor=OPERATOR, at=now(), **arguments)
        self.granted += microcredits
        if microcredits > 0:
            self.reconciled()
        else:
            self.posted(-microcredits)

    @precondition(lambda self: any(self.charged.values()))
    @rule(share=st.integers(1, 100), data=st.data())
    def refund(self, share: int, data: st.DataObject) -> None:
        hold_id = data.draw(st.sampled_from(sorted(id_ for id_, left in self.charged.items() if left)))
        microcredits = max(1, self.charged[hold_id] * share // 100)
        with transaction() as session:
            add_refund(
                session,
                organisation_id=self.account.organisation_id,
                charge_reference=hold_reference(hold_id),
                subject="",
                microcredits=microcredits,
                reason="",
                reference=None,
                at=now(),
            )
        tell_redis(self.account.organisation_id)
        self.charged[hold_id] -= microcredits
        self.spent -= microcredits
        self.reconciled()

    @rule()
    def call(self) -> None:
        is_covered = self.meet_redis() >= CALL_MICROCREDITS
        status = self.client.get(f"{API}/me", headers=self.key.headers).status_code
        assert status == (200 if is_covered else 402)
        self.unflushed += CALL_MICROCREDITS if is_covered else 0

    @rule(target=holds, microcredits=st.integers(1, 800))
    def hold(self, microcredits: int) -> Hold:
        is_covered = self.meet_redis() >= microcredits
        hold_id = new_id("job", at=now())
        shard_tag = self.account.shard_tag
        try:
            hold_credits(
                shard_tag=shard_tag,
                hold_id=hold_id,
                microcredits=microcredits,
                max_holds=MAX_HOLDS,
                spender=self.key.row.id,
            )
        except InsufficientCreditsError:
            assert not is_covered
        else:
            assert is_covered
            self.held[hold_id] = microcredits
        return Hold(hold_id, shard_tag, microcredits)

    @rule(hold=consumes(holds), share=st.integers(0, 100), is_settled=st.booleans())
    def finish(self, hold: Hold, share: int, *, is_settled: bool) -> None:
        """Charge a part of the hold in SQL, and settle it in Redis unless the process dies in between."""
        charged = hold.microcredits * share // 100
        if hold.id in self.ended and charged:
            # Whichever the database notices first: a void reference, or that others have spent the credits.
            with pytest.raises((VoidReferenceError, OverdraftError)):
                self.charge(hold, charged)
            return
        if hold.id not in self.held:
            return
        self.charge(hold, charged)
        self.spent += charged
        self.posted(charged)
        self.charged[hold.id] = charged
        if charged:
            self.unsettled[hold.id] = self.held.pop(hold.id) - charged
        if is_settled:
            settle_hold(hold, charged_microcredits=charged)
            self.held.pop(hold.id, None)
            self.settled(hold.id)

    def settled(self, hold_id: str) -> None:
        """Redis has ended a hold, or reconciled the account where it could not."""
        if self.is_known_to_redis:
            self.unsettled.pop(hold_id, None)
        else:
            self.reconciled()

    def charge(self, hold: Hold, microcredits: int) -> None:
        with transaction() as session:
            change = UsageChange(self.key.row.id, start_of_hour(now()), microcredits=microcredits)
            add_usage(session.connection(), [change])
            add_charge(
                session.connection(),
                organisation_id=self.account.organisation_id,
                microcredits=microcredits,
                reference=hold_reference(hold.id),
                reason="",
                at=now(),
            )

    @rule()
    def end_overdue(self) -> None:
        """Every hold is found to be overdue."""
        is_any = self.held or self.unsettled
        make_holds_overdue()
        end_overdue_holds(at=now())
        self.ended |= self.held.keys()
        self.held.clear()
        if is_any and not self.is_known_to_redis:
            self.reconciled()
        self.unsettled.clear()

    @rule()
    def flush(self) -> None:
        assert flush(at=now()).waiting == 0
        self.flushed()

    @rule()
    def flush_and_die_before_applying(self) -> None:
        seal_all()

    @rule()
    def flush_and_die_before_dropping(self) -> None:
        for group, batch_id in seal_all():
            batch = read_batch(group, batch_id)
            assert batch is not None
            apply_batches([batch], at=now())
        self.flushed()

    def flushed(self) -> None:
        self.spent += self.unflushed
        self.posted(self.unflushed)
        self.unflushed = 0

    @rule()
    def forget_the_account(self) -> None:
        store.client.delete(names.account_record(self.account.shard_tag))
        self.is_known_to_redis = False

    @rule()
    def forget_the_key(self) -> None:
        for name in store.client.scan_iter("uq:*:key:*"):
            store.client.delete(name)

    @rule()
    def lose_redis(self) -> None:
        """Everything goes, and with it the calls that were not flushed and the holds."""
        store.client.flushdb()
        self.unflushed = 0
        self.held.clear()
        self.unsettled.clear()
        self.is_known_to_redis = False

    @rule()
    def rebuild(self) -> None:
        rebuild()
        self.reconciled()

    @invariant()
    def every_microcredit_is_accounted_for(self) -> None:
        found = get_credits(self.account.organisation_id)
        assert (found.granted, found.spent, found.expired) == (self.granted, self.spent, self.expired)
        assert (found.held, found.unflushed) == (sum(self.held.values()), self.unflushed)
        assert found.available == self.available()
        assert found.available >= 0
        lots = list_open_lots(self.account.organisation_id)
        left = [((lot.expires_at - START) // HOUR, lot.remaining) for lot in lots]
        assert {hour: sum(kept for at, kept in left if at == hour) for hour, _ in left} == {
            hour: kept for hour, kept in self.lots.items() if kept
        }
        assert verify() == []


@pytest.fixture(params=stores.DATABASES)
def database_url(request: pytest.FixtureRequest) -> str:
    """The kind of database, in place of a database: each example has its own."""
    kind: str = request.param
    return kind


def test_any_sequence_of_spending_crashing_and_losing_comes_out_exact(  # noqa: PLR0917 - fixtures
    databases: dict[str, SqliteStore | PostgresqlStore],
    database_url: str,
    redis_url: str,
    valkey_url: str,
    environ: dict[str, str],
    tmp_path: Path,
) -> None:
    @contextmanager
    def begin() -> Iterator[FlaskClient]:
        with databases[database_url].fresh(tmp_path) as url:
            urls = {"DATABASE_URL": url, "REDIS_URL": redis_url, "QUEUE_REDIS_URL": valkey_url}
            app = create_app(make_settings(tmp_path, **urls, **environ))
            store.client.flushdb()
            with app.app_context():
                yield app.test_client()
                db.session.remove()
                db.engine.dispose()
            store.close()

    CreditMachine.begin = begin
    run_state_machine_as_test(
        CreditMachine,
        settings=settings(
            max_examples=7 if is_cluster(redis_url) or database_url == "postgresql" else 15,
            stateful_step_count=25,
            derandomize=True,
            # Without shrinking, which takes minutes here: the steps that failed are printed as they were.
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
