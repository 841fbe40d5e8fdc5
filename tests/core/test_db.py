"""transaction(): writers wait for each other, see what the others wrote, and leave nothing half done."""

import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing
from datetime import UTC, datetime
from typing import Any

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import Account, now
from webapp.accounts.models import Organisation, User
from webapp.core.db import bare_transaction, db, insert_rows, new_row, transaction
from webapp.core.errors import StoreAwayError
from webapp.jobs.models import Job, JobResult

AT = datetime(2026, 2, 28, 23, 59, 59, 999_999, tzinfo=UTC)


def rename(account: Account, name: str) -> None:
    with transaction() as session:
        session.get_one(Organisation, account.organisation_id).name = name


def read_name(account: Account) -> str | None:
    return db.session.scalar(sa.select(Organisation.name).where(Organisation.id == account.organisation_id))


def test_writers_wait_for_each_other_and_lose_no_update(app: Flask, account: Account) -> None:
    writers, rounds = 4, 5
    together = threading.Barrier(writers)
    with app.app_context():
        rename(account, "0")

    def count(_: int) -> None:
        with app.app_context():
            together.wait(timeout=10)
            for _ in range(rounds):
                with transaction() as session:
                    organisation = session.get_one(Organisation, account.organisation_id, with_for_update=True)
                    organisation.name = str(int(organisation.name) + 1)

    with ThreadPoolExecutor(max_workers=writers) as threads:
        list(threads.map(count, range(writers)))
    with app.app_context():
        assert read_name(account) == str(writers * rounds)


def test_a_second_writer_waits_for_the_first(app: Flask, account: Account) -> None:
    if not app.config["SQLALCHEMY_DATABASE_URI"].startswith("sqlite"):
        pytest.skip("PostgreSQL lets writers of different rows go on")
    has_begun, may_end = threading.Event(), threading.Event()

    def write_slowly() -> None:
        with app.app_context(), transaction() as session:
            session.execute(sa.update(Organisation).values(name="first"))
            has_begun.set()
            may_end.wait(timeout=10)

    def write() -> str | None:
        has_begun.wait(timeout=10)
        with app.app_context():
            # Read before the write lock is to be had: what was read must not make the write fail.
            assert read_name(account) == account.email
            threading.Timer(0.05, may_end.set).start()
            rename(account, "second")
            return read_name(account)

    with ThreadPoolExecutor(max_workers=2) as threads:
        slow = threads.submit(write_slowly)
        assert threads.submit(write).result() == "second"
        slow.result()


def rename_elsewhere(app: Flask, account: Account, name: str) -> None:
    def write() -> None:
        with app.app_context():
            rename(account, name)

    with ThreadPoolExecutor(max_workers=1) as threads:
        threads.submit(write).result()


@pytest.mark.usefixtures("context")
def test_what_was_read_before_is_read_again_inside(app: Flask, account: Account) -> None:
    organisation = db.session.get_one(Organisation, account.organisation_id)
    db.session.rollback()
    rename_elsewhere(app, account, "theirs")
    with transaction() as session:
        assert session.get_one(Organisation, account.organisation_id).name == organisation.name == "theirs"


@pytest.mark.usefixtures("context")
def test_what_was_committed_before_is_read_again_inside(app: Flask, account: Account) -> None:
    with transaction() as session:
        organisation = session.get_one(Organisation, account.organisation_id)
        organisation.name = "mine"
    rename_elsewhere(app, account, "theirs")
    with transaction() as session:
        assert session.get_one(Organisation, account.organisation_id).name == organisation.name == "theirs"


@pytest.mark.usefixtures("context")
class TestMisuse:
    """What would lose data without a sign is refused instead."""

    def test_one_transaction_inside_another_is_refused(self, account: Account) -> None:
        def nest() -> None:
            with transaction() as session:
                session.get_one(Organisation, account.organisation_id).name = "outer"
                session.flush()
                rename(account, "inner")

        with pytest.raises(RuntimeError, match="inside another"):
            nest()
        assert read_name(account) == account.email
        rename(account, "later")
        assert read_name(account) == "later"

    def test_a_change_before_the_transaction_is_refused(self, account: Account) -> None:
        db.session.get_one(Organisation, account.organisation_id).name = "dirty"
        with pytest.raises(RuntimeError, match="not before it"), transaction():
            pass
        db.session.rollback()
        assert read_name(account) == account.email

    def test_a_new_or_deleted_row_before_the_transaction_is_refused(self, account: Account) -> None:
        db.session.add(User(id="user_new", email="new@example.com", password_hash="", created_at=now()))
        with pytest.raises(RuntimeError, match="not before it"), transaction():
            pass
        db.session.rollback()
        db.session.delete(db.session.get_one(User, account.user_id))
        with pytest.raises(RuntimeError, match="not before it"), transaction():
            pass
        db.session.rollback()

    @pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, GeneratorExit])
    def test_any_exception_undoes_everything(self, account: Account, error: type[BaseException]) -> None:
        def fail() -> None:
            with transaction() as session:
                session.execute(sa.update(Organisation).values(name="half done"))
                raise error

        with pytest.raises(error):
            fail()
        assert read_name(account) == account.email
        rename(account, "done")
        assert read_name(account) == "done"

    def test_a_moment_without_a_zone_is_refused(self, account: Account) -> None:
        naive = datetime(2026, 1, 1)  # noqa: DTZ001 - this is the mistake
        with pytest.raises(sa.exc.StatementError, match="time zone"), transaction() as session:
            session.get_one(User, account.user_id).disabled_at = naive
        assert db.session.get_one(User, account.user_id).disabled_at is None


def test_a_lock_that_is_not_to_be_had_is_the_stores_fault(
    app: Flask, account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The line of this process's writers; the waits of the databases themselves are set below.
    monkeypatch.setattr("webapp.core.db.SQLITE_BUSY_SECONDS", 0.05)
    with app.app_context():
        engine = db.engine
    impatient = {"sqlite": "PRAGMA busy_timeout = 1", "postgresql": "SET lock_timeout = 1"}[engine.dialect.name]

    def be_impatient(connection: Any, *_: object) -> None:  # noqa: ANN401 - a DB-API connection of either driver
        cursor = connection.cursor()
        cursor.execute(impatient)
        cursor.close()

    with app.app_context(), transaction() as session:
        session.execute(sa.update(Organisation).values(name="locked"))
        sa.event.listen(engine, "checkout", be_impatient)
        with pytest.raises(StoreAwayError):
            rename_elsewhere(app, account, "refused")
        sa.event.remove(engine, "checkout", be_impatient)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("begin", [transaction, bare_transaction])
def test_a_transaction_takes_the_lock_of_sqlite_before_it_reads(
    begin: Callable[[], AbstractContextManager[object]],
) -> None:
    engine = db.engine
    if engine.dialect.name != "sqlite":
        pytest.skip("PostgreSQL has no such lock")
    db.session.execute(sa.select(1))
    db.session.rollback()
    before = engine.pool.status()

    def be_impatient(connection: sqlite3.Connection, *_: object) -> None:
        connection.execute("PRAGMA busy_timeout = 1")

    sa.event.listen(engine, "checkout", be_impatient)
    # As another process would.
    with closing(sqlite3.connect(engine.url.database or "", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreAwayError) as refused, begin():
            pytest.fail("it began")
        assert refused.value.__cause__
        db.session.rollback()
        assert engine.pool.status() == before
        other.rollback()
    with begin():
        pass
    sa.event.remove(engine, "checkout", be_impatient)


@pytest.mark.usefixtures("context")
class TestBareTransaction:
    """A transaction without a session."""

    def insert(self, account: Account, job_id: str) -> None:
        with bare_transaction() as connection:
            insert_rows(connection, Job, [vars(make_job(job_id, account))])

    def count(self) -> int:
        return db.session.scalar(sa.select(sa.func.count()).select_from(Job)) or 0

    def test_it_commits_beside_a_session_that_has_read(self, account: Account) -> None:
        assert self.count() == 0
        self.insert(account, "job_1")
        assert self.count() == 1

    def test_an_error_undoes_it(self, account: Account) -> None:
        self.insert(account, "job_1")
        with pytest.raises(sa.exc.IntegrityError), bare_transaction() as connection:
            insert_rows(connection, Job, [vars(make_job(job_id, account)) for job_id in ("job_2", "job_1")])
        assert self.count() == 1
        self.insert(account, "job_2")
        assert self.count() == 2

    def test_it_begins_neither_in_a_transaction_nor_after_something_unwritten(self, account: Account) -> None:
        with transaction(), pytest.raises(RuntimeError, match="inside another"):
            self.insert(account, "job_1")
        db.session.add(make_job("job_unwritten", account))
        with pytest.raises(RuntimeError, match="before it"):
            self.insert(account, "job_1")
        db.session.rollback()
        assert self.count() == 0

    def test_no_transaction_begins_in_it(self, account: Account) -> None:
        with bare_transaction() as connection:
            insert_rows(connection, Job, [vars(make_job("job_1", account))])
            with pytest.raises(RuntimeError, match="inside another"), transaction():
                pass
        assert self.count() == 1

    def test_its_connection_goes_back_to_the_pool(self, account: Account) -> None:
        db.session.rollback()
        before = db.engine.pool.status()
        self.insert(account, "job_1")
        assert db.engine.pool.status() == before


def test_a_row_that_no_session_keeps_reads_as_one_that_the_constructor_made(app: Flask) -> None:
    with app.app_context():
        row, made = new_row(Job, id="job_1", qubits=2), Job(id="job_1", qubits=2)
        names = [attribute.key for attribute in sa.inspect(Job).column_attrs]
        assert [getattr(row, name) for name in names] == [getattr(made, name) for name in names]
        row.qubits = 3
        del row.circuit
        assert (row.qubits, row.circuit) == (3, None)
        assert row not in db.session
        with pytest.raises(TypeError, match="Job has no qbits"):
            new_row(Job, qbits=2)


@pytest.mark.usefixtures("context")
@pytest.mark.parametrize("is_full", [False, True])
def test_rows_inserted_by_hand_read_as_if_the_session_had_written_them(account: Account, *, is_full: bool) -> None:
    by_hand, by_session = (
        make_job("job_by_hand", account, is_full=is_full),
        make_job("job_by", account, is_full=is_full),
    )
    with transaction() as session:
        insert_rows(session.connection(), Job, [vars(by_hand)])
        session.add(by_session)
    read = sa.select(*[column for column in Job.__table__.c if column.name != "id"], sa.text("error IS NULL"))
    rows = [db.session.execute(read.where(Job.id == job_id)).one() for job_id in (by_hand.id, by_session.id)]
    assert rows[0] == rows[1]
    assert rows[0].created_at == AT


@pytest.mark.usefixtures("context")
def test_many_rows_are_inserted_at_once(account: Account) -> None:
    with transaction() as session:
        insert_rows(session.connection(), Job, [vars(make_job("job_by_hand", account))])
        insert_rows(
            session.connection(),
            JobResult,
            [{"job_id": "job_by_hand", "circuit": 0, "piece": piece, "content": f"% ü {piece}"} for piece in (0, 1)],
        )
    contents = db.session.scalars(sa.select(JobResult.content).order_by(JobResult.piece))
    assert contents.all() == ["% ü 0", "% ü 1"]


@pytest.mark.usefixtures("context")
def test_a_value_that_the_model_has_no_place_for_is_refused() -> None:
    row = {"job_id": "job_1", "circuit": 0, "piece": 0, "content": "", "contents": ""}
    with pytest.raises(TypeError, match="there is no contents in INSERT INTO job_results"), transaction() as session:
        insert_rows(session.connection(), JobResult, [row])


def make_job(job_id: str, account: Account, *, is_full: bool = False) -> Job:
    """Make a job's row with a value in each column that may be null, or in none."""
    full = {
        "name": "ü % :x",
        "circuit": {"format": "openqasm3", "source": 'bit[2] c; // "?" %s'},
        "engines": ["qulacs", "stim"],
        "error": {"code": "engine_failed", "message": "ü"},
        "result_bytes": 2**31 - 1,
        "completed_at": AT,
    }
    return Job(
        id=job_id,
        organisation_id=account.organisation_id,
        status="completed",
        lane="inline",
        attempt=0,
        losses=0,
        parameters={"qubits": 3, "list": [0.5, None]},
        options={},
        backend="local-simulator",
        engine="qulacs",
        engine_reason="It is.",
        qubits=2,
        shots=100,
        seed=2**53 - 1,
        price_list="4",
        estimated_microcredits=2**40,
        held_microcredits=2**40,
        charged_microcredits=0,
        created_at=AT,
        **(full if is_full else {}),
    )
