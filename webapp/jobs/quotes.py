"""Quotes: a price put to the account, which confirms it by sending the quote back."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from itsdangerous import BadSignature, URLSafeSerializer

LIFETIME = timedelta(minutes=10)


@dataclass(frozen=True)
class Quote:
    """A quote, and until when it holds."""

    id: str
    expires_at: datetime


class QuoteBook:
    """Makes and recognises quotes. They are signed, not stored: a quote holds all that it is about.

    One quote may confirm its request more than once: it stands for a price that was seen, not for a payment.
    """

    def __init__(self, secret_key: str) -> None:
        self._signer = URLSafeSerializer(secret_key, salt="job-quote")

    def make(self, *, organisation_id: str, digest: str, microcredits: int, at: datetime) -> Quote:
        """Quote a price for exactly this request."""
        expires_at = (at + LIFETIME).replace(microsecond=0)
        content = [organisation_id, digest, microcredits, int(expires_at.timestamp())]
        return Quote(str(self._signer.dumps(content)), expires_at)

    def confirms(self, quote_id: str, *, organisation_id: str, digest: str, microcredits: int, at: datetime) -> bool:
        """Tell whether this quote is ours, of this request at this price, and not too old."""
        try:
            *subject, expires_at = self._signer.loads(quote_id)
        except BadSignature:
            return False
        is_about_this = subject == [organisation_id, digest, microcredits]
        return is_about_this and at <= datetime.fromtimestamp(expires_at, UTC)
