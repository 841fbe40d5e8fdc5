"""The pages of jobs: what an open job says, how it is watched and cancelled; and the page of confirmations."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Account, Key, make_account, make_key, now, post_bell, queue_bell
from webapp.core.db import db
from webapp.dashboard.jobs import SOON
from webapp.jobs.models import Job
from webapp.jobs.queries import list_jobs
from webapp.jobs.running import claim_job, complete_job
from webapp.quantum.engines import ExpectationValue, RunResult


def test_a_page_that_watches_is_sent_again_only_when_something_has_happened(
    app: Flask, client: FlaskClient, key: Key
) -> None:
    first, second = queue_bell(client, key), queue_bell(client, key)
    page = client.get(f"/console/jobs/{second}")
    assert "Number 2 in the queue" in page.text
    assert "data-live-quick" in page.text
    seen = {"If-None-Match": page.headers["ETag"]}
    assert client.get(f"/console/jobs/{second}", headers=seen).status_code == 304
    with app.app_context():
        assignment = claim_job(at=now())
        assert assignment is not None
        assert assignment.job.id == first
    moved = client.get(f"/console/jobs/{second}", headers=seen)
    assert (moved.status_code, "Next to start" in moved.text) == (200, True)
    with app.app_context():
        means = (ExpectationValue("ZZ", 0.25, 0.0),)
        result = RunResult({"00": 100}, None, "odd", "1", 0.0, expectation_values=means)
        assert complete_job(assignment, [result], at=now())
    done = client.get(f"/console/jobs/{first}")
    assert "data-live" not in done.text
    assert "Cancel the job" not in done.text
    assert "0.25" in done.text


def test_a_page_looks_often_only_when_its_job_may_soon_start(client: FlaskClient, key: Key) -> None:
    job_ids = [queue_bell(client, key) for _ in range(SOON + 1)]
    pages = [client.get(f"/console/jobs/{job_id}").text for job_id in job_ids[-2:]]
    assert ["data-live=" in page for page in pages] == [True, True]
    assert ["data-live-quick" in page for page in pages] == [True, False]


def test_a_job_is_cancelled_from_its_page(client: FlaskClient, account: Account, key: Key, app: Flask) -> None:
    job_id = queue_bell(client, key)
    page = client.post(f"/console/jobs/{job_id}/cancel", follow_redirects=True)
    assert "The job was cancelled. It cost nothing." in page.text
    ended = post_bell(client, key).get_json()["id"]
    page = client.post(f"/console/jobs/{ended}/cancel", follow_redirects=True)
    assert "The job is completed; it cannot be cancelled." in page.text
    with app.app_context():
        statuses = {job.id: job.status for job in list_jobs(organisation_id=account.organisation_id, limit=5).rows}
    assert statuses == {job_id: "cancelled", ended: "completed"}


def test_nobody_cancels_a_strangers_job(app: Flask, client: FlaskClient, account: Account) -> None:
    with app.app_context():
        stranger = make_key(make_account())
    job_id = queue_bell(client, stranger)
    assert account.organisation_id != stranger.row.organisation_id
    assert client.post(f"/console/jobs/{job_id}/cancel").status_code == 404
    with app.app_context():
        assert db.session.get_one(Job, job_id).status == "queued"


def test_a_program_has_its_page_and_its_file(client: FlaskClient, key: Key) -> None:
    source = 'OPENQASM 3.0; include "stdgates.inc"; qubit q; bit c; h q; c = measure q;'
    circuit = {"format": "openqasm3", "source": source}
    job_id = post_bell(client, key, templateId=None, circuit=circuit, observables=["Z"], name="<b>").get_json()["id"]
    page = client.get(f"/console/jobs/{job_id}").text
    assert "Expectation values" in page
    assert "&lt;b&gt;" in page
    file = client.get(f"/console/jobs/{job_id}/result.json").get_json()
    assert file["circuit"] == circuit
    assert file["expectationValues"][0]["observable"] == "Z"


def test_a_program_is_shown_as_it_was_sent_unless_it_is_large(client: FlaskClient, key: Key) -> None:
    source = "qubit q; // <b>mine\n"
    short = {"templateId": None, "circuit": {"format": "openqasm3", "source": source}}
    assert "qubit q; // &lt;b&gt;mine" in client.get(f"/console/jobs/{queue_bell(client, key, **short)}").text
    long = {"templateId": None, "circuit": {"format": "openqasm3", "source": source + "//" + " " * 40_000}}
    page = client.get(f"/console/jobs/{queue_bell(client, key, **long)}").text
    assert "The program has 40 kB, which is too much for a page" in page
    assert len(page) < 20_000


@pytest.mark.parametrize(
    ("text", "status", "shown"),
    [("0.001", 302, "0.001"), (" 2 ", 302, "2"), ("", 302, ""), ("x", 422, "x"), ("-1", 422, "-1")],
)
def test_the_amount_to_confirm_above_is_set(  # noqa: PLR0917 - fixtures
    client: FlaskClient, account: Account, key: Key, text: str, status: int, shown: str
) -> None:
    assert account.organisation_id == key.row.organisation_id
    answer = client.post("/console/price-confirmation", data={"credits": text})
    assert answer.status_code == status
    page = answer.text if status == 422 else client.get("/console/price-confirmation").text
    assert f'value="{shown}"' in page
    assert post_bell(client, key).status_code == (409 if text == "0.001" else 201)


def test_a_sweep_shows_its_circuits_and_one_of_them_in_full(client: FlaskClient, key: Key) -> None:
    source = 'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit q; bit c; rx(theta) q; c = measure q;'
    circuit = {"format": "openqasm3", "source": source}
    swept = {"circuit": circuit, "parameters": {"theta": [0.0, 3.141592653589793]}, "observables": ["Z"]}
    job_id = post_bell(client, key, templateId=None, **swept).get_json()["id"]
    address = f"/console/jobs/{job_id}"
    page = client.get(address).text
    assert "Sweep of 2 circuits" in page
    assert "Result of circuit 0" in page
    assert "theta&nbsp;=&nbsp;3.14" in page
    assert "Result of circuit 1" in client.get(f"{address}?circuit=1").text
    for nowhere in ("2", "-1", "x", "9999", "\u0661"):
        assert "Result of circuit 0" in client.get(address, query_string={"circuit": nowhere}).text
    file = client.get(f"{address}/result.json").get_json()
    assert [result["counts"] for result in file["results"]] == [{"0": 100}, {"1": 100}]
    assert [result["parameters"] for result in file["results"]] == [{"theta": 0.0}, {"theta": 3.141592653589793}]
    assert "2 circuits" in client.get("/console/jobs").text


def test_a_queued_and_a_finished_batch_have_pages(client: FlaskClient, key: Key) -> None:
    circuit = {"format": "openqasm3", "source": "qubit[2] q;"}
    body = {"templateId": None, "circuits": [circuit, circuit]}
    queued = client.get(f"/console/jobs/{queue_bell(client, key, **body)}").text
    assert "Batch of 2 circuits" in queued
    assert "Most frequent" not in queued
    done = client.get(f"/console/jobs/{post_bell(client, key, **body).get_json()['id']}").text
    assert "Most frequent" in done


def test_the_list_finds_a_tag_and_leads_to_a_job_by_its_id(client: FlaskClient, key: Key) -> None:
    job_id = post_bell(client, key, name="wanted", tags=["night"]).get_json()["id"]
    post_bell(client, key, name="untagged job")
    found = client.get("/console/jobs", query_string={"tag": "night", "status": "completed"}).text
    assert "wanted" in found
    assert "untagged job" not in found
    assert 'value="night"' in found
    answer = client.get("/console/jobs", query_string={"tag": f" {job_id}"})
    assert answer.location == f"/console/jobs/{job_id}"


def test_tags_and_metadata_are_shown_as_text_and_a_tag_leads_to_its_jobs(client: FlaskClient, key: Key) -> None:
    job_id = post_bell(client, key, name="tagged", tags=["<b>&=", "4", "5", "6"], metadata={"<i>": "<u>"}).get_json()[
        "id"
    ]
    post_bell(client, key, name="untagged job")
    page = client.get(f"/console/jobs/{job_id}").text
    address = "/console/jobs?tag=%3Cb%3E%26%3D"
    assert f'href="{address}"' in page
    assert all(text in page for text in ("&lt;b&gt;&amp;=", "&lt;i&gt;", "&lt;u&gt;"))
    found = client.get(address).text
    assert ("tagged" in found, "untagged job" in found) == (True, False)
    assert "+1" in found
    assert 'href="/console/jobs?status=completed&amp;tag=%3Cb%3E%26%3D"' in found


def test_what_its_sender_wrote_on_a_job_stands_apart_from_what_we_say_of_it(client: FlaskClient, key: Key) -> None:
    job_id = post_bell(client, key, metadata={"Charged": "nothing"}).get_json()["id"]
    ours, sent = client.get(f"/console/jobs/{job_id}").text.split('id="metadata-title"')
    assert ">Charged<" in ours
    assert "nothing" not in ours
    assert "nothing" in sent
    plain = post_bell(client, key).get_json()["id"]
    assert "Metadata" not in client.get(f"/console/jobs/{plain}").text


def test_the_list_of_a_tag_that_ends_in_a_question_mark_keeps_to_it(client: FlaskClient, key: Key) -> None:
    post_bell(client, key, tags=["why?"])
    assert 'data-live="/console/jobs?tag=why?"' in client.get("/console/jobs?tag=why?").text
    assert 'data-live="/console/jobs"' in client.get("/console/jobs?").text


@pytest.mark.parametrize("tag", ["nothing", "Thesis", "thes%25", "a" * 3_000])
def test_a_tag_of_nothing_finds_nothing(client: FlaskClient, key: Key, tag: str) -> None:
    post_bell(client, key, tags=["thesis"])
    assert "bell-state" not in client.get(f"/console/jobs?tag={tag}").text
    assert "bell-state" in client.get("/console/jobs?tag=thesis").text


def test_what_cannot_be_a_tag_is_none(client: FlaskClient, key: Key) -> None:
    post_bell(client, key)
    page = client.get("/console/jobs?tag=%00").text
    assert ("bell-state" in page, "has the tag" in page) == (True, False)
