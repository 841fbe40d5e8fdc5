"""What we write to the people who answer for an organisation's credits, in plain text."""

from datetime import datetime

from webapp.accounts.letters import Letter
from webapp.core.money import format_credits
from webapp.ledger.budgets import Budget, end_of_period


def describe_period(period: str) -> str:
    """Name a period as it stands before the word budget."""
    return {"day": "daily", "month": "monthly"}.get(period, period)


def write_threshold(
    budget: Budget, *, organisation: str, key_name: str | None, threshold: int, used: int, at: datetime
) -> Letter:
    """Say how much of a budget is used, and what happens beyond it; without a key's name it is the account's."""
    whose = f"the API key {key_name}" if key_name else f"the account {organisation}"
    resets_at = end_of_period(budget.period, at)
    until = f" until {resets_at:%Y-%m-%d} (UTC)" if resets_at else ""
    beyond = (
        f"What goes beyond it is refused{until}, before anything is spent."
        if budget.refuses
        else "It only warns: nothing is refused."
    )
    return Letter(
        f"{threshold} % of a budget are used",
        f"The {describe_period(budget.period)} budget of {whose} is {format_credits(budget.microcredits)} credits; "
        f"{format_credits(used)} are used, which is {threshold} % or more.\n\n{beyond}\n\n"
        "See and change budgets in the console, under Credits.",
    )
