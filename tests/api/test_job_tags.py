"""Tags and metadata: what the sender of a job writes on it, kept as it is, and tags by which jobs are found."""

import pytest
import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient

from tests.api.helpers import Service, read_error
from tests.factories import API, Key, make_account, make_key, post_bell, queue_bell
from webapp.core.db import db
from webapp.jobs.models import JobTag

TAGS = ["thesis", "\U0001f511 caf\u00e9", "%_'", "a,b"]


def find(client: FlaskClient, key: Key, **query: str) -> list[str]:
    """Give the ids of the jobs that a query finds."""
    page = client.get(f"{API}/jobs", query_string=query, headers=key.headers)
    assert page.status_code == 200, page.text
    return [job["id"] for job in page.get_json()["jobs"]]


def test_what_was_written_on_a_job_is_read_wherever_the_job_is(client: FlaskClient, key: Key) -> None:
    words = {"tags": TAGS, "metadata": {"run": "7", "note": ""}}
    made = post_bell(client, key, **words).get_json()
    read = client.get(f"{API}/jobs/{made['id']}", headers=key.headers).get_json()
    [listed] = client.get(f"{API}/jobs", headers=key.headers).get_json()["jobs"]
    for job in (made, read, listed):
        assert {name: job[name] for name in words} == words


def test_a_job_without_any_has_empty_ones(client: FlaskClient, key: Key) -> None:
    empty: dict[str, object] = {"tags": [], "metadata": {}}
    for words in ({}, empty):
        job = post_bell(client, key, **words).get_json()
        assert (job["tags"], job["metadata"]) == ([], {})


def test_jobs_are_found_by_each_of_their_tags_newest_first_and_page_by_page(client: FlaskClient, key: Key) -> None:
    ids = [post_bell(client, key, tags=[*TAGS, str(number)]).get_json()["id"] for number in range(3)]
    queued = queue_bell(client, key, tags=["thesis"])
    for tag in TAGS[1:]:
        assert find(client, key, tag=tag) == ids[::-1]
    assert find(client, key, tag="1") == [ids[1]]
    assert find(client, key, tag="thesis", status="completed") == ids[::-1]
    assert find(client, key, tag="thesis", status="queued") == [queued]
    assert find(client, key, tag="Thesis") == find(client, key, tag="") == []
    page = client.get(f"{API}/jobs?tag=thesis&limit=3", headers=key.headers).get_json()
    assert find(client, key, tag="thesis", cursor=page["nextCursor"]) == [ids[0]]


def test_another_accounts_tags_find_nothing(app: Flask, client: FlaskClient, key: Key) -> None:
    with app.app_context():
        stranger = make_key(make_account())
    post_bell(client, key, tags=["thesis"])
    assert find(client, stranger, tag="thesis") == []


def test_a_tag_that_is_there_twice_is_there_once(app: Flask, client: FlaskClient, key: Key) -> None:
    assert post_bell(client, key, tags=["b", "a", "b"]).get_json()["tags"] == ["b", "a"]
    with app.app_context():
        assert db.session.scalar(sa.select(sa.func.count()).select_from(JobTag)) == 2


@pytest.mark.parametrize(
    ("tags", "path"),
    [
        ("thesis", "tags"),
        (None, "tags"),
        ({}, "tags"),
        (["x"] * 17, "tags"),
        (["fine", ""], "tags[1]"),
        (["x" * 65], "tags[0]"),
        (["a\0b"], "tags[0]"),
        (["a\nb"], "tags[0]"),
        ([7], "tags[0]"),
        ([None], "tags[0]"),
    ],
)
def test_tags_are_a_few_short_texts(refusing: Service, tags: object, path: str) -> None:
    answer = refusing.post_json(tags=tags)
    [detail] = read_error(answer, 422, "invalid_fields")["details"]
    assert (detail["path"], detail["allowed"]) == (path, "at most 16 texts of 1 to 64 characters")


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ("run", "metadata"),
        (None, "metadata"),
        ([], "metadata"),
        ({str(number): "" for number in range(21)}, "metadata"),
        ({"": "x"}, "metadata."),
        ({"x" * 41: "x"}, f"metadata.{'x' * 41}"),
        ({"a\0b": "x"}, "metadata.a\0b"),
        ({"run": 7}, "metadata.run"),
        ({"run": None}, "metadata.run"),
        ({"run": {"deep": "er"}}, "metadata.run"),
        ({"run": "x" * 201}, "metadata.run"),
        ({"run": "a\0b"}, "metadata.run"),
    ],
)
def test_metadata_is_a_few_short_texts_by_name(refusing: Service, metadata: object, path: str) -> None:
    answer = refusing.post_json(metadata=metadata)
    [detail] = read_error(answer, 422, "invalid_fields")["details"]
    assert (detail["path"], detail["allowed"]) == (
        path,
        "an object: at most 20 names of 1 to 40 characters with texts of at most 200",
    )


def test_it_is_the_name_that_is_said_to_be_wrong_where_it_is(refusing: Service) -> None:
    answer = refusing.post_json(metadata={"x" * 41: "x", "[key]": 7})
    details = read_error(answer, 422, "invalid_fields")["details"]
    assert [(detail["path"], detail["message"]) for detail in details] == [
        (f"metadata.{'x' * 41}", "Its name must have at most 40 characters."),
        ("metadata.[key]", "It must be a string."),
    ]


def test_of_too_much_metadata_nothing_else_is_said(refusing: Service) -> None:
    """A mebibyte of wrong texts had every other request wait for 0.13 s, and took 50 MB."""
    answer = refusing.post_json(metadata=dict.fromkeys(map(str, range(21)), 7))
    [detail] = read_error(answer, 422, "invalid_fields")["details"]
    assert (detail["path"], detail["message"]) == ("metadata", "It must have at most 20 elements.")


def test_they_are_part_of_what_an_idempotency_key_stands_for(client: FlaskClient, key: Key) -> None:
    body = {"templateId": "bell-state", "shots": 10, "tags": ["a"]}
    headers = key.headers | {"Idempotency-Key": "once"}
    first = client.post(f"{API}/jobs", json=body, headers=headers)
    again = client.post(f"{API}/jobs", json=body, headers=headers)
    assert first.get_json() == again.get_json()
    assert client.post(f"{API}/jobs", json=body | {"tags": ["b"]}, headers=headers).status_code == 409
