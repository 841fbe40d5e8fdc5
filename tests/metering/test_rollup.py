"""Old hours become days, and no reader notices."""

import signal
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from flask import Flask

from config import Settings
from tests.factories import Key
from tests.live import run_command
from webapp.core.db import db, transaction
from webapp.metering import usage
from webapp.metering.models import Usage
from webapp.metering.queries import list_hourly_usage, list_keys_with_usage
from webapp.metering.usage import UsageChange, add_usage, roll_up_usage

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
START = datetime(2025, 1, 1, tzinfo=UTC)
# In the middle of a day: the whole of that day is kept by the hour.
BEFORE = START + 3 * DAY + 12 * HOUR


def add(key_ids: Sequence[str], hours: range) -> None:
    """Add a call, ten micro-credits and a last use to each of these hours since the start."""
    changes = [
        UsageChange(key_id, START + hour * HOUR, "read_me", 1, 10, START + hour * HOUR + timedelta(minutes=hour % 60))
        for key_id in key_ids
        for hour in hours
    ]
    with transaction() as session:
        add_usage(session.connection(), changes)


def rows() -> list[tuple[datetime, int, int, int, datetime | None]]:
    statement = sa.select(Usage.hour, Usage.hours, Usage.calls, Usage.microcredits, Usage.last_used_at)
    return [(*row,) for row in db.session.execute(statement.order_by(Usage.key_id, Usage.hour))]


def totals(key: Key) -> list[tuple[int, int, datetime | None]]:
    return [
        (found.calls, found.microcredits, found.last_used_at) for found in list_keys_with_usage(key.row.organisation_id)
    ]


@pytest.mark.usefixtures("context")
class TestRollUp:
    """Hours of days that are long ago."""

    def test_each_day_becomes_one_row_and_the_totals_stay(self, key: Key) -> None:
        add([key.row.id], range(4 * 24))
        before = totals(key)
        assert roll_up_usage(before=BEFORE) == 3 * 24
        assert totals(key) == before == [(96, 960, START + 95 * HOUR + timedelta(minutes=35))]
        assert [(hour, hours, calls) for hour, hours, calls, _, _ in rows()] == [
            *((START + day * DAY, 24, 24) for day in range(3)),
            *((START + 3 * DAY + hour * HOUR, 1, 1) for hour in range(24)),
        ]

    def test_a_second_run_changes_nothing(self, key: Key) -> None:
        add([key.row.id], range(5, 60))
        roll_up_usage(before=BEFORE)
        once = rows()
        assert roll_up_usage(before=BEFORE) == 0
        assert rows() == once

    def test_what_comes_late_is_merged_by_the_next_run(self, key: Key) -> None:
        add([key.row.id], range(24))
        roll_up_usage(before=BEFORE)
        add([key.row.id], range(2))
        assert roll_up_usage(before=BEFORE) == 1
        assert rows() == [(START, 24, 26, 260, START + 23 * HOUR + timedelta(minutes=23))]

    def test_many_keys_take_many_small_transactions(self, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(usage, "HOURS_AT_A_TIME", 7)
        add([key.row.id, "key_a", "key_z"], range(30))
        assert roll_up_usage(before=BEFORE) == 90
        assert [(hours, calls) for _, hours, calls, _, _ in rows()] == [(24, 24), (24, 6)] * 3

    def test_a_row_that_was_charged_and_never_used_stays_unused(self, key: Key) -> None:
        with transaction() as session:
            add_usage(session.connection(), [UsageChange(key.row.id, START + HOUR, microcredits=5)])
        roll_up_usage(before=BEFORE)
        assert rows() == [(START, 24, 0, 5, None)]

    def test_operations_stay_apart(self, key: Key) -> None:
        hours = [(START + hour * HOUR, operation) for hour in range(3) for operation in ("read_me", "read_jobs")]
        with transaction() as session:
            add_usage(
                session.connection(), [UsageChange(key.row.id, *each, calls=2, last_used_at=each[0]) for each in hours]
            )
        assert roll_up_usage(before=BEFORE) == 6
        statement = sa.select(Usage.operation, Usage.hours, Usage.calls, Usage.last_used_at)
        assert [(*row,) for row in db.session.execute(statement.order_by(Usage.operation))] == [
            ("read_jobs", 24, 6, START + 2 * HOUR),
            ("read_me", 24, 6, START + 2 * HOUR),
        ]

    def test_old_days_are_listed_with_the_hours(self, key: Key) -> None:
        add([key.row.id], range(2 * 24))
        roll_up_usage(before=START + DAY)
        listed = list_hourly_usage(key.row.organisation_id, since=START)
        assert [row.hours for row in listed] == [1] * 24 + [24]
        assert sum(row.calls for row in listed) == 48


def test_it_runs_beside_itself_and_beside_flushes(app: Flask, key: Key) -> None:
    with app.app_context():
        add([key.row.id], range(72))

    def work(number: int) -> None:
        with app.app_context():
            if number % 3 == 0:
                roll_up_usage(before=BEFORE)
            else:
                add([key.row.id], range(number, number + 5))

    with ThreadPoolExecutor(max_workers=6) as threads:
        list(threads.map(work, range(30)))
    with app.app_context():
        roll_up_usage(before=BEFORE)
        assert [(found[0], found[1]) for found in totals(key)] == [(72 + 20 * 5, 10 * (72 + 20 * 5))]
        assert [hours for _, hours, _, _, _ in rows()] == [24, 24, 24]


def test_it_can_be_killed_and_run_again(settings: Settings, app: Flask, key: Key) -> None:
    with app.app_context():
        add([key.row.id], range(30))
        before = totals(key)
    killed = run_command(settings, "metering", "roll-up", UPCUBE_FAULT="roll_up_before_commit")
    assert killed.returncode == -signal.SIGKILL
    with app.app_context():
        assert totals(key) == before
    assert run_command(settings, "metering", "roll-up").stdout == "Rolled up 30 hours.\n"
    with app.app_context():
        assert totals(key) == before
        assert len(rows()) == 2
