"""Secrets that we must be able to read again, encrypted at rest with keys derived from SECRET_KEY.

What need only be compared (passwords, session tokens, links) is stored as a hash instead.
"""

import hmac
import secrets
from base64 import urlsafe_b64encode

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12


class UnsealError(Exception):
    """These bytes were not sealed here for this purpose: another SECRET_KEY, another row, or damaged."""


class Sealer:
    """Seals with AES-256-GCM under SECRET_KEY; connected once by create_app(), like the Redis store."""

    def __init__(self) -> None:
        self._secret = b""

    def use(self, secret_key: str) -> None:
        """Seal and unseal with this SECRET_KEY."""
        self._secret = secret_key.encode()

    def seal(self, text: str, *, purpose: str, row: str) -> bytes:
        """Encrypt text; it can be read again only for the same purpose and row."""
        nonce = secrets.token_bytes(NONCE_BYTES)
        return nonce + self._cipher(purpose).encrypt(nonce, text.encode(), row.encode())

    def unseal(self, sealed: bytes, *, purpose: str, row: str) -> str:
        """Give the text back. Raises UnsealError."""
        try:
            plain = self._cipher(purpose).decrypt(sealed[:NONCE_BYTES], sealed[NONCE_BYTES:], row.encode())
        except (InvalidTag, ValueError) as error:
            raise UnsealError(f"what was sealed for {purpose} cannot be read with this SECRET_KEY") from error
        return plain.decode()

    def tag(self, text: str, *, purpose: str) -> str:
        """Give a tag that only we can make for this text: HMAC-SHA-256, in base64url."""
        digest = hmac.digest(self._derive_key(purpose), text.encode(), "sha256")
        return urlsafe_b64encode(digest).decode().rstrip("=")

    def _cipher(self, purpose: str) -> AESGCM:
        return AESGCM(self._derive_key(purpose))

    def _derive_key(self, purpose: str) -> bytes:
        """Derive the purpose's key: one block of NIST SP 800-108's counter mode with HMAC-SHA-256."""
        if not self._secret:
            raise RuntimeError("give the sealer its SECRET_KEY first")
        label = b"\0\0\0\1" + b"upcube " + purpose.encode() + b"\0" + (256).to_bytes(4)
        return hmac.digest(self._secret, label, "sha256")


sealer = Sealer()
