"""The background processes: `work` runs tasks, `clock` enqueues the periodic ones, `jobs` runs jobs."""

import logging
import sys
from contextlib import suppress

from redis import Redis
from rq import Queue
from rq.cron import CronScheduler
from rq.utils import import_attribute
from rq.worker import Worker

from config import ConfigurationError, Settings, load_settings
from webapp import create_app, logs
from webapp.core.errors import StoreAwayError
from webapp.core.health import list_redis_risks
from worker.job_worker import serve_jobs
from worker.schedule import METERING_QUEUE, list_periodic_tasks

# A dead worker's task is seen to be lost within this time.
WORKER_TTL_SECONDS = 30
# Nobody reads a finished task's result: the database is what it leaves.
RESULT_TTL_SECONDS = 60
FAILURE_TTL_SECONDS = 86_400

log = logging.getLogger(__name__)


def work(settings: Settings) -> None:
    """Run tasks until stopped. One queue for one worker: RQ may lose a task popped from several at a bad moment."""
    app = create_app(settings)
    connection = Redis.from_url(settings.queue_redis_url)
    with app.app_context():
        warn_of_risks()
        worker = Worker([Queue(METERING_QUEUE, connection=connection)], worker_ttl=WORKER_TTL_SECONDS)
        worker.work(logging_level="WARNING")


def warn_of_risks() -> None:
    """Log what in Redis's settings would lose something. This process is the one that every installation has once."""
    with suppress(StoreAwayError):
        for risk in list_redis_risks():
            log.warning("REDIS_URL: %s", risk)


def tick(settings: Settings) -> None:
    """Enqueue the periodic tasks until stopped."""
    scheduler = CronScheduler(connection=Redis.from_url(settings.queue_redis_url), logging_level=logging.WARNING)
    for periodic in list_periodic_tasks(flush_interval_seconds=settings.flush_interval_seconds):
        scheduler.register(
            import_attribute(periodic.task),
            METERING_QUEUE,
            interval=periodic.interval_seconds,
            job_timeout=periodic.timeout_seconds,
            result_ttl=RESULT_TTL_SECONDS,
            failure_ttl=FAILURE_TTL_SECONDS,
            # A run that nobody has taken by the time of the next is dropped: the next does its work.
            ttl=periodic.interval_seconds,
        )
    scheduler.start()  # type: ignore[no-untyped-call]  # RQ leaves it without a return type


def main(arguments: list[str]) -> int:
    """Run what the one argument names."""
    processes = {"work": work, "clock": tick, "jobs": serve_jobs}
    if len(arguments) != 1 or arguments[0] not in processes:
        sys.stderr.write("Usage: python -m worker work|clock|jobs\n")
        return 2
    # RQ tells of every task twice.
    logging.getLogger("rq").setLevel(logging.WARNING)
    try:
        settings = load_settings()
        logs.configure(in_json=settings.logs_are_json)
        processes[arguments[0]](settings)
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
