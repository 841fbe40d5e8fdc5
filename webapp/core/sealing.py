"""Secrets that we must be able to read again, encrypted at rest with keys derived from SECRET_KEY.

What need only be compared (passwords, session tokens, links) is stored as a hash instead.
"""

import hmac
import secrets

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

    def _cipher(self, purpose: str) -> AESGCM:
        """Derive the purpose's key: one block of NIST SP 800-108's counter mode with HMAC-SHA-256."""
        if not self._secret:
            raise RuntimeError("give the sealer its SECRET_KEY first")
        label = b"\0\0\0\1" + b"upcube " + purpose.encode() + b"\0" + (256).to_bytes(4)
        return AESGCM(hmac.digest(self._secret, label, "sha256"))


sealer = Sealer()
