"""Leaked keys: reported, or seen in an address."""

import base64
import json
from pathlib import Path

import pytest
import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.api.helpers import read_error
from tests.factories import API, Account, Key, log_in, make_account, make_key, make_key_by
from webapp.accounts.models import AuditEvent
from webapp.core.db import db
from webapp.core.key_tokens import new_token
from webapp.mail.queries import list_letters

URL = f"{API}/keys/report-leak"
SIGNER = ec.generate_private_key(ec.SECP256R1())


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    pem = SIGNER.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    path = tmp_path / "keys.json"
    path.write_text(json.dumps({"public_keys": [{"key_identifier": "abc", "key": pem, "is_current": True}]}))
    return {"LEAK_REPORTER_KEYS": str(path)}


@pytest.fixture
def account(app: Flask) -> Account:
    with app.app_context():
        return make_account(email="ada@example.com")


@pytest.fixture
def key(app: Flask, account: Account) -> Key:
    with app.app_context():
        return make_key(account, name="laptop")


def send_signed(client: FlaskClient, data: bytes, **headers: str) -> TestResponse:
    signature = base64.b64encode(SIGNER.sign(data, ec.ECDSA(SHA256()))).decode()
    sent = {"Github-Public-Key-Identifier": "abc", "Github-Public-Key-Signature": signature} | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return client.post(URL, data=data, content_type="application/json", headers=sent)


def letters(app: Flask) -> list[str]:
    with app.app_context():
        return [letter.body or "" for letter in list_letters() if "exposed" in letter.subject]


def events(app: Flask) -> list[AuditEvent]:
    with app.app_context():
        return list(db.session.scalars(sa.select(AuditEvent).where(AuditEvent.action == "key.leaked")))


def is_refused(client: FlaskClient, key: Key) -> bool:
    return client.get(f"{API}/me", headers=key.headers).status_code == 401


class TestReport:
    """Somebody has found a key."""

    def test_the_key_is_revoked_its_owner_told_and_it_is_written_down(
        self, app: Flask, client: FlaskClient, key: Key
    ) -> None:
        assert not is_refused(client, key)
        answer = client.post(URL, json={"token": key.raw, "url": "https://evil.example/click-me"})
        assert (answer.status_code, answer.json) == (202, {"received": 1})
        assert is_refused(client, key)
        [letter] = letters(app)
        assert "We have revoked it" in letter
        # A stranger writes no letters in our name.
        assert "evil.example" not in letter
        [event] = events(app)
        assert (event.target_label, event.details["revoked"]) == ("laptop", True)
        assert key.raw not in str(vars(event))
        client.post(URL, json={"token": key.raw})
        assert len(letters(app)) == 1

    def test_what_the_key_made_ends_with_it(self, app: Flask, client: FlaskClient, key: Key) -> None:
        first_id, first = make_key_by(client, key.headers, name="backdoor")
        second_id, second = make_key_by(client, first)
        client.post(URL, json={"token": key.raw})
        assert [client.get(f"{API}/me", headers=each).status_code for each in (first, second)] == [401, 401]
        [letter] = letters(app)
        assert "we have revoked them too" in letter
        assert "- backdoor (upcube_sk_" in letter
        [event] = events(app)
        assert event.details["made"] == [first_id, second_id]

    def test_an_owner_who_is_only_warned_is_told_what_it_made(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        log_in(client, account)
        client.post("/console/organisation/leaked-keys", data={"revokes": "0"})
        _, made = make_key_by(client, key.headers, name="backdoor")
        client.post(URL, json={"token": key.raw})
        assert client.get(f"{API}/me", headers=made).status_code == 200
        [letter] = letters(app)
        assert "and they still work" in letter

    def test_the_answer_tells_nothing_of_what_there_is(self, client: FlaskClient, account: Account, key: Key) -> None:
        unknown = new_token(account.shard_tag)
        answers = [client.post(URL, json={"token": raw}) for raw in (unknown, "upcube_sk_x", key.raw, key.raw, "\0")]
        assert {(answer.status_code, answer.text) for answer in answers} == {(202, '{"received":1}\n')}

    def test_an_owner_may_choose_to_be_warned_alone(
        self, app: Flask, client: FlaskClient, account: Account, key: Key
    ) -> None:
        log_in(client, account)
        client.post("/console/organisation/leaked-keys", data={"revokes": "0"})
        for _ in range(3):
            client.post(URL, json={"token": key.raw})
        assert not is_refused(client, key)
        assert len(letters(app)) == len(events(app)) == 1

    def test_everything_wrong_is_named_and_nothing_done(self, client: FlaskClient, key: Key) -> None:
        good = {"token": key.raw}
        bodies: list[object] = [[good, {"token": 1}], [good, 1], {}, [good] * 101, "x"]
        for wrong in bodies:
            read_error(client.post(URL, json=wrong), 422, "invalid_fields")
        read_error(client.post(URL, data=b"{", content_type="application/json"), 400, "malformed_json")
        assert not is_refused(client, key)

    def test_a_stranger_asks_only_so_often(self, client: FlaskClient) -> None:
        statuses = [client.post(URL, json={"token": "x"}).status_code for _ in range(31)]
        assert statuses == [202] * 30 + [429]
        assert client.post(URL, json={"token": "x"}).headers["Retry-After"]


class TestSignature:
    """GitHub signs what it sends."""

    def test_a_signed_report_is_taken_and_says_where(self, app: Flask, client: FlaskClient, key: Key) -> None:
        report = {"token": key.raw, "type": "upcube_key", "url": "https://github.com/ada/x", "source": "commit"}
        answer = send_signed(client, json.dumps([report, {"token": "x"}]).encode())
        assert answer.json == {"received": 2}
        assert is_refused(client, key)
        assert "https://github.com/ada/x" in letters(app)[0]
        assert events(app)[0].actor_label == "GitHub secret scanning"

    def test_a_place_that_is_no_address_does_not_stop_it(self, app: Flask, client: FlaskClient, key: Key) -> None:
        report = {"token": key.raw, "type": "upcube_key", "url": "https://[github.com/x", "source": "commit"}
        assert send_signed(client, json.dumps([report]).encode()).status_code == 202
        assert "was found by GitHub's secret scanning. Whoever" in letters(app)[0]
        assert is_refused(client, key)

    @pytest.mark.parametrize(
        "headers",
        [
            {"Github_Public_Key_Signature": ""},
            {"Github_Public_Key_Signature": "not base64!"},
            {"Github_Public_Key_Signature": base64.b64encode(b"x" * 70).decode()},
            {"Github_Public_Key_Identifier": "unknown"},
        ],
    )
    def test_a_wrong_signature_is_refused(self, client: FlaskClient, key: Key, headers: dict[str, str]) -> None:
        read_error(send_signed(client, json.dumps([{"token": key.raw}]).encode(), **headers), 403, "bad_signature")
        assert not is_refused(client, key)

    def test_another_body_under_a_signature_is_refused(self, client: FlaskClient, key: Key) -> None:
        signature = base64.b64encode(SIGNER.sign(b"[]", ec.ECDSA(SHA256()))).decode()
        headers = {"Github-Public-Key-Identifier": "abc", "Github-Public-Key-Signature": signature}
        read_error(client.post(URL, json=[{"token": key.raw}], headers=headers), 403, "bad_signature")
        assert not is_refused(client, key)


class TestAddress:
    """A key has no place in an address."""

    def test_it_is_refused_and_the_owner_warned_once(self, app: Flask, client: FlaskClient, key: Key) -> None:
        for path in (
            f"{API}/me?api_key={key.raw}",
            f"{API}/jobs/{key.raw}",
            f"/docs?x=1&key=Bearer%20{key.raw}",
            f"/nowhere/{key.raw}/",
        ):
            for headers in ({}, key.headers):
                answer = client.get(path, headers=headers)
                assert answer.status_code == 400, path
                assert key.raw not in answer.text
        [letter] = letters(app)
        assert "Rotate it" in letter
        [event] = events(app)
        assert event.details["revoked"] is False
        assert not is_refused(client, key)

    def test_what_only_looks_like_one_is_let_through(self, client: FlaskClient, key: Key) -> None:
        other = "y" if key.raw.endswith("x") else "x"
        assert client.get(f"/docs?key={key.raw[:-1]}{other}").status_code == 200
        assert client.get("/docs?key=upcube_sk_").status_code == 200
