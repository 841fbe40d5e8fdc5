"""How often somebody may guess, and that guessing locks nobody else out."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from redis import Redis

from tests.accounts.steps import log_in_by_form, read_link
from tests.factories import PASSWORD, Account, make_account, now
from tests.live import free_port
from webapp.accounts.audit import HERE
from webapp.accounts.devices import MAX_ACCOUNTS, find_device, remember_device
from webapp.accounts.password_changes import answer_reset_requests, ask_reset
from webapp.accounts.throttle import (
    Counter,
    LocalCounters,
    TooManyAttemptsError,
    count_codes,
    describe_wait,
    give_back_attempt,
    local_counters,
    network_of,
    take_attempt,
)
from webapp.core.redis import store

GUESSES = 10


@pytest.fixture(autouse=True)
def account(app: Flask) -> Iterator[Account]:
    with app.app_context():
        account = make_account(email="ada@example.com")
    yield account
    local_counters.clear()


def guess(client: FlaskClient, *, address: str, email: str = "ada@example.com", password: str = "wrong") -> int:  # noqa: S107 - nobody has it
    answer = client.post(
        "/login", data={"email": email, "password": password}, environ_overrides={"REMOTE_ADDR": address}
    )
    return answer.status_code


@pytest.mark.parametrize("email", ["ada@example.com", "nobody@example.com"])
def test_guesses_at_one_account_from_one_address_come_to_an_end_whoever_has_it(app: Flask, email: str) -> None:
    stranger = app.test_client()
    statuses = [guess(stranger, address="192.0.2.1", email=email) for _ in range(GUESSES + 1)]
    assert statuses == [422] * GUESSES + [429]
    answer = stranger.post(
        "/login", data={"email": email, "password": PASSWORD}, environ_base={"REMOTE_ADDR": "192.0.2.1"}
    )
    assert answer.status_code == 429
    assert 0 < int(answer.headers["Retry-After"]) <= 15 * 60
    assert "Try again in 15 minutes" in answer.text


def test_guesses_at_once_do_not_pass_together(app: Flask) -> None:
    def guess_once(_: int) -> int:
        return guess(app.test_client(), address="192.0.2.1")

    with ThreadPoolExecutor(max_workers=4) as threads:
        statuses = list(threads.map(guess_once, range(GUESSES + 6)))
    assert statuses.count(422) == GUESSES
    assert statuses.count(429) == 6


def test_the_owner_comes_in_from_elsewhere_while_an_attacker_guesses(app: Flask) -> None:
    for _ in range(GUESSES + 1):
        guess(app.test_client(), address="192.0.2.1")
    assert guess(app.test_client(), address="198.51.100.7", password=PASSWORD) == 302


def test_the_owner_s_browser_comes_in_even_while_a_thousand_machines_guess(app: Flask, client: FlaskClient) -> None:
    assert log_in_by_form(client) == 302
    client.post("/logout")
    statuses = [guess(app.test_client(), address=f"192.0.2.{number}") for number in range(60)]
    assert statuses == [422] * 50 + [429] * 10
    # Nobody knows this browser, and it is refused; the owner's is known and is not.
    assert guess(app.test_client(), address="198.51.100.7", password=PASSWORD) == 429
    assert log_in_by_form(client) == 302


def test_the_owner_gets_in_from_a_new_browser_by_a_reset_while_a_thousand_machines_guess(
    app: Flask, client: FlaskClient, account: Account
) -> None:
    for number in range(50):
        guess(app.test_client(), address=f"192.0.2.{number}")
    assert log_in_by_form(client) == 429
    with app.app_context():
        ask_reset(email=account.email, site_url="http://q.test", origin=HERE, at=now())
        answer_reset_requests(at=now())
        token = read_link(account.email)
    client.get(f"/reset/{token}")
    assert client.post("/reset/password", data={"password": "another good phrase"}).status_code == 302
    assert log_in_by_form(client, password="another good phrase") == 302


def test_a_known_browser_has_a_limit_of_its_own(client: FlaskClient) -> None:
    assert log_in_by_form(client) == 302
    client.post("/logout")
    assert [log_in_by_form(client, password="wrong") for _ in range(GUESSES + 1)] == [422] * GUESSES + [429]


def test_a_right_password_uses_nothing_up(app: Flask) -> None:
    assert {guess(app.test_client(), address="192.0.2.1", password=PASSWORD) for _ in range(GUESSES * 2)} == {302}


def test_one_address_cannot_try_one_password_on_everybody(app: Flask) -> None:
    statuses = [guess(app.test_client(), address="192.0.2.1", email=f"p{each}@example.com") for each in range(101)]
    assert statuses == [422] * 100 + [429]


def test_while_redis_is_away_the_owner_comes_in_and_guesses_still_end(app: Flask, redis_url: str) -> None:
    store.connect(f"redis://127.0.0.1:{free_port()}")
    assert guess(app.test_client(), address="198.51.100.7", password=PASSWORD) == 302
    statuses = [guess(app.test_client(), address="192.0.2.1") for _ in range(GUESSES + 1)]
    assert statuses == [422] * GUESSES + [429]
    store.connect(redis_url)


def test_every_counter_expires_by_itself(app: Flask, redis_url: str) -> None:
    guess(app.test_client(), address="192.0.2.1")
    with Redis.from_url(redis_url) as redis:
        keys = list(redis.scan_iter("uq:{attempts}:*"))
        assert len(keys) == 3
        assert all(0 < redis.ttl(key) <= 15 * 60 for key in keys)
        # A success that comes after its counter has gone leaves none behind that never ends.
        redis.delete(*keys)
        give_back_attempt([Counter("gone", 1)])
        assert list(redis.scan_iter("uq:{attempts}:*")) == []


@pytest.mark.usefixtures("context")
def test_a_refused_attempt_counts_nowhere() -> None:
    full, roomy = Counter("full", 1), Counter("roomy", 2)
    take_attempt([full])
    for _ in range(5):
        with pytest.raises(TooManyAttemptsError):
            take_attempt([full, roomy])
    take_attempt([roomy])
    take_attempt([roomy])


def test_a_process_remembers_a_bounded_number_of_counters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webapp.accounts.throttle.MAX_LOCAL_COUNTERS", 10)
    counters = LocalCounters()
    assert {counters.take([Counter(str(number), 1)]) for number in range(100)} == {0}
    assert len(vars(counters)["_counts"]) <= 10
    assert counters.take([Counter("99", 1)]) > 0


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("", ""),
    ],
)
def test_an_ipv6_household_is_one_guesser(address: str, network: str) -> None:
    assert network_of(address) == network


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(1, "1 second"), (59, "59 seconds"), (61, "2 minutes"), (900, "15 minutes"), (7201, "3 hours")],
)
def test_the_wait_is_written_in_the_unit_that_fits(seconds: int, text: str) -> None:
    assert describe_wait(seconds) == text


class TestDevices:
    """The cookie that a browser is known by."""

    def test_a_browser_is_known_for_those_who_logged_in_from_it_and_for_nobody_else(self) -> None:
        cookie = remember_device("", "ada@example.com")
        name = find_device(cookie, "ada@example.com")
        assert name
        assert find_device(cookie, "eve@example.com") is None
        shared = remember_device(cookie, "eve@example.com")
        assert find_device(shared, "ada@example.com") == find_device(shared, "eve@example.com") == name
        assert remember_device(shared, "eve@example.com") == shared

    def test_it_remembers_a_few_people_and_forgets_the_oldest(self) -> None:
        cookie = ""
        for number in range(MAX_ACCOUNTS + 1):
            cookie = remember_device(cookie, f"{number}@example.com")
        assert find_device(cookie, "0@example.com") is None
        assert find_device(cookie, "1@example.com")

    @given(st.text(max_size=200))
    def test_a_cookie_that_was_made_up_is_known_to_nobody(self, cookie: str) -> None:
        assert find_device(cookie, "ada@example.com") is None

    def test_a_tag_of_another_browser_is_worth_nothing(self) -> None:
        first, second = (remember_device("", "ada@example.com") for _ in range(2))
        assert find_device(f"{first.split('.')[0]}.{second.split('.')[1]}", "ada@example.com") is None


def test_codes_come_to_an_end_however_often_the_password_is_reset() -> None:
    """Who reads the account's mail can set another password, and make another browser known, again and again."""
    for number in range(50):
        for device in ("", remember_device("", "ada@example.com")):
            take_attempt(count_codes("ada@example.com", f"hash {number}", f"192.0.2.{number}", device))
    with pytest.raises(TooManyAttemptsError):
        take_attempt(count_codes("ada@example.com", "yet another", "198.51.100.1", ""))
    # Nobody else's.
    take_attempt(count_codes("bob@example.com", "another", "198.51.100.1", ""))
