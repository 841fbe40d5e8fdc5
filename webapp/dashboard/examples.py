"""The example that the landing page, the guide and the docs show, priced by the price list itself."""

import json
from dataclasses import dataclass
from typing import Any

from webapp.core.money import format_credits
from webapp.extensions import runtime
from webapp.quantum.circuits import measure
from webapp.quantum.engines.costs import Demands
from webapp.quantum.pricing import Price, price_microcredits
from webapp.quantum.templates import get_template

EXAMPLE_TEMPLATE_ID = "bell-state"
EXAMPLE_SHOTS = 1024
EXAMPLE_SEED = 7
EXAMPLE_BODY: dict[str, Any] = {"templateId": EXAMPLE_TEMPLATE_ID, "shots": EXAMPLE_SHOTS}
# What this seed gives on every machine; a test runs it.
SEEDED_BODY: dict[str, Any] = {**EXAMPLE_BODY, "seed": EXAMPLE_SEED}
SEEDED_COUNTS = {"00": 527, "11": 497}


@dataclass(frozen=True)
class Example:
    """The first job that anybody runs: its body, its price, and what a new account's credits come to in such jobs."""

    body: dict[str, Any]
    price: Price
    starting_microcredits: int

    @property
    def seeded_body(self) -> dict[str, Any]:
        """Give the body with the seed that the answer below was got with."""
        return SEEDED_BODY

    @property
    def seeded_counts(self) -> dict[str, int]:
        """Give the counts that the seed gives."""
        return SEEDED_COUNTS

    @property
    def answer(self) -> str:
        """Write the answer to it, shortened to what matters first."""
        price = format_credits(self.price.total)
        lines = (
            ("status", "completed"),
            ("engine", "qulacs"),
            ("shots", EXAMPLE_SHOTS),
            ("seed", EXAMPLE_SEED),
            ("counts", SEEDED_COUNTS),
            ("cost", {"held": price, "charged": price}),
        )
        members = ",\n".join(f'  "{name}": {json.dumps(value)}' for name, value in lines)
        return f"{{\n{members}\n}}"

    @property
    def starting_runs(self) -> int:
        """Give how many times the starting credits pay for it."""
        return self.starting_microcredits // self.price.total


def get_example() -> Example:
    """Give the example under the current price list and settings."""
    circuit = get_template(EXAMPLE_TEMPLATE_ID).create_circuit({})
    return Example(
        body=EXAMPLE_BODY,
        price=price_microcredits(measure(circuit), Demands(EXAMPLE_SHOTS)),
        starting_microcredits=runtime().starting_microcredits,
    )
