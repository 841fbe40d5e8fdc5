"""What is run when. RQ's cron enqueues these; with two clocks each runs twice, which harms nothing."""

from dataclasses import dataclass

METERING_QUEUE = "metering"


@dataclass(frozen=True)
class Periodic:
    """A task, by dotted name, and the seconds between its runs."""

    task: str
    interval_seconds: int
    timeout_seconds: int


def list_periodic_tasks(*, flush_interval_seconds: int) -> list[Periodic]:
    """Give the periodic tasks."""
    return [
        Periodic("worker.tasks.flush_usage", flush_interval_seconds, timeout_seconds=120),
        Periodic("worker.tasks.end_overdue_holds", 10, timeout_seconds=60),
        Periodic("worker.tasks.check_budgets", 60, timeout_seconds=120),
        Periodic("worker.tasks.expire_credits", 60, timeout_seconds=600),
        Periodic("worker.tasks.roll_up_usage", 86_400, timeout_seconds=3_600),
        Periodic("worker.tasks.prune", 86_400, timeout_seconds=600),
    ]
