"""Passwords: argon2id hashes with the library's current defaults (RFC 9106, low-memory profile)."""

from functools import cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerifyMismatchError

from webapp.core.errors import FieldError

MIN_LENGTH = 8
# A bound on what we hash, far above any pass phrase.
MAX_LENGTH = 256

hasher = PasswordHasher()


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
    """Hash a new password."""
    return hasher.hash(password)


def verify_password(password_hash: str | None, password: str) -> bool:
    """Tell whether the password is right; None stands for an unknown user and takes as long as a wrong password."""
    try:
        return hasher.verify(password_hash or nobody_hash(), password) and password_hash is not None
    except (VerifyMismatchError, InvalidHashError):
        return False
