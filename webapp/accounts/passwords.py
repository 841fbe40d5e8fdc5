"""Passwords: argon2id hashes with the library's current defaults (RFC 9106, low-memory profile)."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from webapp.accounts.breaches import breached_passwords
from webapp.core.errors import FieldError, StoreAwayError

MIN_LENGTH = 8
# A bound on what we hash, far above any pass phrase.
MAX_LENGTH = 256
# Shorter words are in too many passwords by chance.
MIN_WORD_LENGTH = 4
PRODUCT = "upcube"

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


@cache
def common_passwords() -> frozenset[str]:
    """Give the ten thousand most frequent passwords that are long enough, in lower case."""
    return frozenset(Path(__file__).with_name("common_passwords.txt").read_text().splitlines())


def check_password_rules(password: str, *, email: str) -> FieldError | None:
    """Give what is wrong with a new password, or None (OWASP ASVS 5.0, 6.2).

    Any characters will do, in any mixture; what everybody would guess first will not.
    """
    if not MIN_LENGTH <= len(password) <= MAX_LENGTH:
        allowed = f"{MIN_LENGTH} to {MAX_LENGTH} characters"
        return FieldError("password", f"A password has {allowed}.", allowed)
    folded = password.casefold()
    if count_unguessable(folded, email=email) < MIN_LENGTH:
        return FieldError(
            "password", f"Besides your e-mail address and our name, a password has {MIN_LENGTH} characters."
        )
    if folded in common_passwords():
        return FieldError("password", "This is one of the passwords that are guessed first. Choose another.")
    if breached_passwords.has(password):
        message = "This password is known from a breach of another site, and is guessed early. Choose another."
        return FieldError("password", message)
    return None


def count_unguessable(folded: str, *, email: str) -> int:
    """Give the length of a password without what anybody would put into it: the address, its local part, our name."""
    address = email.strip().casefold()
    for word in (address, address.partition("@")[0], PRODUCT):
        if len(word) >= MIN_WORD_LENGTH:
            folded = folded.replace(word, "")
    return len(folded)


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
        except (VerificationError, InvalidHashError):
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
