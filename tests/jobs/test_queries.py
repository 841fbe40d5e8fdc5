"""Lists of jobs, however much their senders have written of them."""

import pytest
import sqlalchemy as sa
from flask import Flask

from tests.factories import Key, queue_bell
from webapp.core import pages
from webapp.core.db import transaction
from webapp.jobs.models import Job
from webapp.jobs.queries import list_jobs

LONG_OPTIONS = {"observables": [{"XX": 0.5, "YY": 0.25, "ZZ": -1}] * 25}
LONG_NOTES = {"metadata": {f"note {number}": "☃" * 30 for number in range(5)}}


@pytest.mark.parametrize("tag", [None, "all"])
def test_a_page_of_jobs_with_much_written_of_them_ends_early_and_the_next_goes_on(
    app: Flask, key: Key, monkeypatch: pytest.MonkeyPatch, tag: str | None
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 800)
    client = app.test_client()
    made = [queue_bell(client, key, tags=["all"], **more) for more in (LONG_OPTIONS, {}, LONG_NOTES, {}, {}, {})]
    found: list[list[int]] = []
    cursor = None
    with app.app_context():
        while not found or cursor:
            page = list_jobs(organisation_id=key.row.organisation_id, limit=2, cursor=cursor, tag=tag)
            found.append([made.index(job.id) for job in page.rows])
            cursor = page.next_cursor
    # The longest jobs are each alone: one is always given, and nobody turns the same page for ever.
    assert found == [[5, 4], [3], [2], [1], [0]]


def test_what_a_page_of_jobs_has_is_counted_together_and_their_parameters_with_it(
    app: Flask, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MAX_PAGE_BYTES", 800)
    client = app.test_client()
    made = [queue_bell(client, key) for _ in range(4)]
    with app.app_context():
        with transaction() as session:
            session.execute(sa.update(Job).values(parameters={"angle": ["x" * 300]}))
        page = list_jobs(organisation_id=key.row.organisation_id, limit=4)
    # Two have less than 800 bytes, and three have more.
    assert [job.id for job in page.rows] == made[:1:-1]
    assert page.next_cursor == made[2]
