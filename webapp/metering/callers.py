"""Where calls come from."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Caller:
    """The address of a call, and what of the API it uses. An unknown address is in no network."""

    address: str = ""
    operation: str = ""


NOWHERE = Caller()
