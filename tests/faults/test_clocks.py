"""Clocks set an hour forward or back, ours or the server's: nobody is locked out, and the ledger stays exact."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from flask import Flask
from redis import Redis

from config import Settings
from tests.factories import API, Key, hold_credits, now, post_bell
from tests.faults.service import count_exactly
from tests.live import wait_until
from tests.stores import make_settings
from webapp.core import clock
from webapp.metering.flush import flush
from webapp.metering.holds import end_overdue_holds, settle_hold
from webapp.metering.reconcile import peek_account
from webapp.metering.verify import verify
from worker.embedded_valkey import is_ready, valkey_command

ME = f"{API}/me"
HOUR = timedelta(hours=1)
MINUTE_SECONDS = 60

# Debian's package faketime: a library that a program is started with, to see the time that a file says.
LIBRARIES = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))


@pytest.fixture
def environ() -> dict[str, str]:
    return {"CALL_PRICE_CREDITS": "0.0001", "KEY_RATE_LIMITS": "6/60"}


@pytest.mark.parametrize("moves", [(HOUR, -HOUR), (-HOUR, HOUR)])
def test_a_web_process_whose_clock_moves_counts_and_limits_as_ever(
    app: Flask, key: Key, monkeypatch: pytest.MonkeyPatch, moves: tuple[timedelta, ...]
) -> None:
    client = app.test_client()
    real_now = clock.now
    for shift in (timedelta(), *moves):
        monkeypatch.setattr(clock, "now", lambda shift=shift: real_now() + shift)
        assert client.get(ME, headers=key.headers).status_code == 200
        assert post_bell(client, key).status_code == 201
        with app.app_context():
            flush(at=clock.now())
            assert end_overdue_holds(at=clock.now()) == 0
            assert verify() == []
    # The limit is by Redis' clock, which did not move.
    assert client.get(ME, headers=key.headers).status_code == 429
    assert count_exactly(app, key) == (6, 3)


class ShiftedValkey:
    """A Valkey of this test's own, whose clock can be set."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "shifted.sock"
        self.shift = folder / "shift"
        self.shift.write_text("+0")
        seen_time = {
            "LD_PRELOAD": str(LIBRARIES[0]),
            "FAKETIME_TIMESTAMP_FILE": str(self.shift),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        }
        self.process = subprocess.Popen(
            valkey_command(folder, self.socket),
            env=os.environ | seen_time,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(lambda: is_ready(self.socket))
        self.client = Redis(unix_socket_path=str(self.socket))

    def set_clock(self, shift: timedelta) -> None:
        """Let the server's clock be so far ahead of ours from now on."""
        new = self.shift.with_suffix(".new")
        new.write_text(f"{shift.total_seconds():+.0f}")
        new.replace(self.shift)
        wait_until(lambda: abs(self.client.time()[0] - time.time() - shift.total_seconds()) < MINUTE_SECONDS)

    def close(self) -> None:
        self.client.close()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.mark.skipif(not LIBRARIES, reason="libfaketime, which moves a program's clock, is not installed")
class TestServersClock:
    """The clock of Redis' host is set."""

    @pytest.fixture
    def valkey(self, short_folder: Path) -> Iterator[ShiftedValkey]:
        folder = short_folder / "shifted"
        folder.mkdir()
        shifted = ShiftedValkey(folder)
        yield shifted
        shifted.close()
        shutil.rmtree(folder)

    @pytest.fixture
    def settings(self, tmp_path: Path, database_url: str, valkey: ShiftedValkey, environ: dict[str, str]) -> Settings:
        return make_settings(tmp_path, DATABASE_URL=database_url, REDIS_URL=f"unix://{valkey.socket}", **environ)

    @pytest.mark.parametrize("shift", [HOUR, -HOUR])
    def test_nobody_is_locked_out_and_the_ledger_stays_exact(
        self, app: Flask, valkey: ShiftedValkey, key: Key, shift: timedelta
    ) -> None:
        client = app.test_client()
        statuses = [client.get(ME, headers=key.headers).status_code for _ in range(7)]
        assert statuses == [200] * 6 + [429]
        tag = key.raw[-12:-6]
        with app.app_context():
            hold = hold_credits(shard_tag=tag, hold_id="open", microcredits=75, max_holds=16)
        valkey.set_clock(shift)
        # The limit begins anew, whichever way the clock went, and holds from there on.
        answers = [client.get(ME, headers=key.headers) for _ in range(7)]
        assert [answer.status_code for answer in answers] == [200] * 6 + [429]
        assert 1 <= int(answers[-1].headers["Retry-After"]) <= 10
        with app.app_context():
            assert verify() == []
            # Forward, a hold is overdue and is ended, once; back, it stays for its holder to end.
            assert end_overdue_holds(at=now()) == (1 if shift > timedelta() else 0)
            settle_hold(hold, charged_microcredits=0)
            assert peek_account(tag).holds == {}
        valkey.set_clock(timedelta(0))
        assert post_bell(client, key).status_code == 201
        assert count_exactly(app, key) == (13, 1)
