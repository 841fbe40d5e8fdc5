"""Credits as integer micro-credits: 1 credit is 1,000,000 micro-credits, and no float ever touches them."""

import re
from decimal import Decimal

MICROCREDITS_PER_CREDIT = 1_000_000

# Redis scripts compute in doubles, which are exact up to 2**53 ≈ 9.007e15. No balance may come near.
MAX_MICROCREDITS = 10**15

# Plain ASCII digits, few enough for the arithmetic below to be exact: Decimal rounds to 28 digits, and also reads
# exponents, underscores and the digits of every script.
AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,16})?")


class InvalidAmountError(ValueError):
    """The text is not an amount of credits; the message says what is."""


def parse_credits(text: str | Decimal) -> int:
    """Read decimal credits ("12.5") as micro-credits.

    Raises InvalidAmountError for anything but a number from 0 to a billion with at most 6 decimal places.
    """
    if not AMOUNT.fullmatch(text if isinstance(text, str) else f"{text:f}"):
        raise InvalidAmountError(
            "This is not an amount of credits: write a decimal number such as 12.5, with at most 6 decimal places."
        )
    amount = Decimal(text)
    if amount > MAX_MICROCREDITS // MICROCREDITS_PER_CREDIT:
        raise InvalidAmountError("This is not an amount of credits: it is more than 1000000000.")
    microcredits = amount * MICROCREDITS_PER_CREDIT
    if microcredits != microcredits.to_integral_value():
        raise InvalidAmountError("This is not an amount of credits: it has more than 6 decimal places.")
    return int(microcredits)


def format_credits(microcredits: int) -> str:
    """Write micro-credits as decimal credits with as few places as needed: 1500000 is "1.5"."""
    sign = "-" if microcredits < 0 else ""
    whole, fraction = divmod(abs(microcredits), MICROCREDITS_PER_CREDIT)
    places = f"{fraction:06d}".rstrip("0")
    return f"{sign}{whole}.{places}" if places else f"{sign}{whole}"
