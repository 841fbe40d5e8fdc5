"""Credits as integer micro-credits: 1 credit is 1,000,000 micro-credits, and no float ever touches them."""

from decimal import Decimal, InvalidOperation

MICROCREDITS_PER_CREDIT = 1_000_000

# Redis scripts compute in doubles, which are exact up to 2**53 ≈ 9.007e15. No balance may come near.
MAX_MICROCREDITS = 10**15


class InvalidAmountError(ValueError):
    """The text is not an amount of credits; the message says what is."""


def parse_credits(text: str | Decimal) -> int:
    """Read decimal credits ("12.5") as micro-credits.

    Raises InvalidAmountError for anything but a number from 0 to a billion with at most 6 decimal places.
    """
    try:
        amount = Decimal(text)
    except InvalidOperation:
        raise InvalidAmountError(f"{text!r} is not a number of credits such as 12.5.") from None
    if not amount.is_finite() or not 0 <= amount <= MAX_MICROCREDITS // MICROCREDITS_PER_CREDIT:
        raise InvalidAmountError(f"{text} is not an amount from 0 to 1000000000 credits.")
    microcredits = amount * MICROCREDITS_PER_CREDIT
    if microcredits != microcredits.to_integral_value():
        raise InvalidAmountError(f"{text} has more than 6 decimal places.")
    return int(microcredits)


def format_credits(microcredits: int) -> str:
    """Write micro-credits as decimal credits with as few places as needed: 1500000 is "1.5"."""
    sign = "-" if microcredits < 0 else ""
    whole, fraction = divmod(abs(microcredits), MICROCREDITS_PER_CREDIT)
    places = f"{fraction:06d}".rstrip("0")
    return f"{sign}{whole}.{places}" if places else f"{sign}{whole}"
