"""Stored programs, sent as the text that the database has: whole, and as long as was said beforehand."""

import json

import pytest
from flask import Flask

from tests.factories import Key, queue_bell
from webapp.jobs.program_texts import add_program
from webapp.jobs.queries import get_job, list_jobs
from webapp.jobs.results import read_result

PROGRAM = {"format": "openqasm3", "source": 'qubit[2] q; // größer "☃" 🔑 \\ %s \u2028 \x7f'}
OTHER = {"format": "openqasm2", "source": "qreg q[2]; // \0"}


@pytest.mark.parametrize(
    "subject",
    [{"circuit": PROGRAM}, {"circuit": OTHER}, {"circuits": [PROGRAM, OTHER] * 3}, {"templateId": "bell-state"}],
)
def test_what_was_sent_comes_back_and_is_as_long_as_was_said(app: Flask, key: Key, subject: dict[str, object]) -> None:
    job_id = queue_bell(app.test_client(), key, **({"templateId": None} | subject))
    with app.app_context():
        job = get_job(organisation_id=key.row.organisation_id, job_id=job_id)
        found = add_program(job, read_result(job), is_whole=True)
        text = "".join(found.pieces)
    assert len(text.encode()) == found.size_bytes
    members = json.loads(f"{{{text}}}")
    for name in ("circuit", "circuits"):
        assert members[name] == subject.get(name)


def test_jobs_are_found_by_tags_that_databases_might_take_for_something_else(app: Flask, key: Key) -> None:
    tags = ["café ☃", "%_'", "a,b"]
    found_by = {tag: queue_bell(app.test_client(), key, tags=[tag, "all"]) for tag in tags}
    organisation_id = key.row.organisation_id
    with app.app_context():
        for tag, job_id in found_by.items():
            assert [job.id for job in list_jobs(organisation_id=organisation_id, limit=9, tag=tag).rows] == [job_id]
        page = list_jobs(organisation_id=organisation_id, limit=2, tag="all")
        rest = list_jobs(organisation_id=organisation_id, limit=2, tag="all", cursor=page.next_cursor)
        assert [job.id for job in (*page.rows, *rest.rows)] == [*found_by.values()][::-1]
