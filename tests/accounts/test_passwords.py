"""What a stored password costs whoever tries to guess it."""

import pytest
from argon2 import PasswordHasher, Type

from webapp.accounts import passwords
from webapp.accounts.passwords import BusyError, hash_password, verify_password


def test_users_passwords_are_hashed_as_rfc_9106_recommends(production_hasher: PasswordHasher) -> None:
    assert production_hasher.type is Type.ID
    # Its second recommendation, for where memory is short: 64 MiB, three passes, four lanes.
    assert production_hasher.memory_cost >= 64 * 1024
    assert production_hasher.time_cost >= 3
    assert production_hasher.salt_len >= 16


def test_the_same_password_never_has_the_same_hash() -> None:
    assert hash_password("correct horse") != hash_password("correct horse")


def test_a_hash_that_is_damaged_or_missing_verifies_nothing() -> None:
    good = hash_password("correct horse")
    assert verify_password(good, "correct horse")
    for damaged in (
        None,
        "",
        "x",
        good[:-1] + ("A" if good[-1] != "A" else "E"),
        good[:-1] + "B",
        good.replace("argon2id", "argon2i"),
    ):
        assert not verify_password(damaged, "correct horse")
    assert not verify_password(None, "nobody has this password")


def test_few_passwords_are_hashed_at_one_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)
    places = [passwords.PLACES.acquire(blocking=False) for _ in range(3)]
    try:
        assert places == [True, True, False]
        with pytest.raises(BusyError) as caught:
            hash_password("correct horse battery")
    finally:
        passwords.PLACES.release(2)
    waiting = [passwords.QUEUE.acquire(blocking=False) for _ in range(7)]
    try:
        assert waiting == [True] * 6 + [False]
        with pytest.raises(BusyError):
            verify_password(None, "correct horse battery")
    finally:
        passwords.QUEUE.release(6)
    assert (caught.value.status, caught.value.headers["Retry-After"]) == (503, "2")
    assert verify_password(hash_password("correct horse battery"), "correct horse battery")
