"""Passwords: argon2id hashes with the library's current defaults (RFC 9106, low-memory profile)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from webapp.core.errors import FieldError, StoreAwayError

MIN_LENGTH = 8
# A bound on what we hash, far above any pass phrase.
MAX_LENGTH = 256

# Hashing one password takes 64 MiB and a core for a while, and anybody can ask for it: few are hashed at one time, so
# that the rest of the process goes on.
PLACES = BoundedSemaphore(2)
# Those who hash and those who wait for a place: fewer than the web process has threads.
QUEUE = BoundedSemaphore(6)
WAIT_SECONDS = 3.0

hasher = PasswordHasher()


class BusyError(StoreAwayError):
    """Too many people log in or sign up at this moment."""

    code = "busy"

    def __init__(self) -> None:
        super().__init__("Too many people are logging in at this moment; try again in a few seconds.")


@cache
def nobody_hash() -> str:
    """Give a hash to check an unknown user's password against, so that it takes as long as a known one's."""
    return hasher.hash("nobody has this password")


def check_password_rules(password: str, *, email: str) -> FieldError | None:
    """Give what is wrong with a new password, or None. Length only: no composition rules (OWASP ASVS 5.0, 6.2)."""
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        allowed = f"{MIN_LENGTH} to {MAX_LENGTH} characters"
        return FieldError("password", f"A password has {allowed}.", allowed)
    if password.casefold() == email.casefold():
        return FieldError("password", "The password must not be the e-mail address.")
    return None


def hash_password(password: str) -> str:
    """Hash a new password. Raises BusyError."""
    with one_of_few():
        return hasher.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Tell whether the password is right; None stands for an unknown user and takes as long as a wrong password.

    Raises BusyError.
    """
    with one_of_few():
        try:
            return hasher.verify(password_hash or nobody_hash(), password) and password_hash is not None
        except (VerifyMismatchError, InvalidHashError):
            return False


@contextmanager
def one_of_few() -> Iterator[None]:
    """Wait for one of the places where a password may be hashed.

    Raises BusyError after a while, and at once when enough others wait.
    """
    if not QUEUE.acquire(blocking=False):
        raise BusyError
    try:
        if not PLACES.acquire(timeout=WAIT_SECONDS):
            raise BusyError
        try:
            yield
        finally:
            PLACES.release()
    finally:
        QUEUE.release()
