"""The example that the landing page, the guide and the docs show, priced by the price list itself."""

from dataclasses import dataclass
from typing import Any

from webapp.extensions import runtime
from webapp.quantum.circuits import measure
from webapp.quantum.pricing import Price, price_microcredits
from webapp.quantum.templates import get_template

EXAMPLE_TEMPLATE_ID = "bell-state"
EXAMPLE_SHOTS = 1024
EXAMPLE_BODY: dict[str, Any] = {"templateId": EXAMPLE_TEMPLATE_ID, "shots": EXAMPLE_SHOTS}


@dataclass(frozen=True)
class Example:
    """The first job that anybody runs: its body, its price, and what a new account's credits come to in such jobs."""

    body: dict[str, Any]
    price: Price
    starting_microcredits: int

    @property
    def starting_runs(self) -> int:
        """Give how many times the starting credits pay for it."""
        return self.starting_microcredits // self.price.total


def get_example() -> Example:
    """Give the example under the current price list and settings."""
    circuit = get_template(EXAMPLE_TEMPLATE_ID).create_circuit({})
    return Example(
        body=EXAMPLE_BODY,
        price=price_microcredits(measure(circuit), EXAMPLE_SHOTS),
        starting_microcredits=runtime().starting_microcredits,
    )
