"""The Authorization header, and the order in which a call is checked."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.helpers import Service, assert_nothing_happened, read_error
from tests.factories import API, make_account, make_key
from webapp.core.key_tokens import new_token

WRONG = b"{"


@pytest.mark.parametrize("written", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer    {}", "Bearer {}  "])
def test_the_scheme_is_read_as_rfc_9110_has_it(refusing: Service, written: str) -> None:
    answer = refusing.client.get(f"{API}/me", headers={"Authorization": written.format(refusing.key.raw)})
    assert answer.status_code == 200


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "Bearer",
        "Bearer ",
        "{}",
        "Bearer{}",
        "Bearer\t{}",
        "Basic {}",
        "Token {}",
        "Bearer: {}",
        'Bearer "{}"',
        "Bearer token={}",
        "Bearer {},",
        "Bearer {} {}",
        "Bearer {},Bearer {}",
        "Basic eDp5, Bearer {}",
        "Bearer {}\0",
        "Bearer \xe9\xff{}",
        "Bearer \xa0{}",
        "Bearer " + "x" * 100_000,
        "Bearer" + " " * 100_000 + "{}x",
        "Bearer x" + " " * 100_000 + "y",
    ],
)
def test_anything_else_is_refused_and_not_repeated(refusing: Service, written: str) -> None:
    header = written.format(refusing.key.raw, refusing.key.raw)
    answer = refusing.client.get(f"{API}/me", headers={"Authorization": header})
    error = read_error(answer, 401, "invalid_api_key")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Upcube Quantum", error="invalid_token"'
    assert error["target"] == "Authorization"
    assert refusing.key.raw[10:] not in answer.text
    assert len(answer.data) < 1_000


def test_no_header_at_all_is_told_apart(refusing: Service) -> None:
    answer = refusing.client.get(f"{API}/me")
    read_error(answer, 401, "missing_api_key")
    assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Upcube Quantum"'


def test_a_key_is_not_taken_from_anywhere_else(refusing: Service) -> None:
    headers = {"X-Api-Key": refusing.key.raw, "Cookie": f"upcube_session={refusing.key.raw}"}
    read_error(refusing.client.get(f"{API}/me", headers=headers), 401, "missing_api_key")


def test_a_well_formed_key_of_nobody_is_unknown(refusing: Service) -> None:
    for shard_tag in (refusing.account.shard_tag, "zzzzzz"):
        headers = {"Authorization": f"Bearer {new_token(shard_tag)}"}
        read_error(refusing.client.get(f"{API}/me", headers=headers), 401, "unknown_api_key")


class TestOrder:
    """A key may call once in an hour, has one scope, and sends a body that is wrong in every way."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"KEY_RATE_LIMITS": "1/3600"}

    def test_is_authentication_then_scope_then_rate_then_body(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            account = make_account(microcredits=1)
            reader, writer = make_key(account, scopes=("jobs:read",)), make_key(account, scopes=("jobs:write",))
        url = f"{API}/jobs"
        read_error(client.post(url, data=WRONG), 401, "missing_api_key")
        for _ in range(2):
            error = read_error(client.post(url, data=WRONG, headers=reader.headers), 403, "insufficient_scope")
            assert error["requiredScope"] == "jobs:write"
        # The refusals for want of scope have not used up the one call.
        assert client.get(url, headers=reader.headers).status_code == 200
        assert client.get(url, headers=reader.headers).status_code == 429
        read_error(client.post(url, data=WRONG, headers=reader.headers), 403, "insufficient_scope")
        read_error(client.post(url, data=WRONG, headers=writer.headers), 415, "not_json")
        answer = client.post(url, data=WRONG, headers=writer.headers)
        error = read_error(answer, 429, "rate_limited")
        assert int(answer.headers["Retry-After"]) > 3_500
        assert "RateLimit-Policy" in answer.headers
        with app.app_context():
            assert_nothing_happened(account)


def test_the_order_goes_on_with_fields_existence_gates_and_credits(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        account = make_account(microcredits=1)
        key = make_key(account)

    def post(**body: object) -> tuple[int, str]:
        answer = client.post(f"{API}/jobs", json=body, headers=key.headers)
        return answer.status_code, answer.get_json()["error"]["code"]

    nowhere = {"templateId": "nothing", "backend": "nowhere", "maxCredits": "0"}
    assert post(**nowhere, shots=0) == (422, "invalid_fields")
    assert post(**nowhere, shots=1) == (404, "not_found")
    on_hardware = nowhere | {"templateId": "bell-state", "backend": "ionq-forte"}
    assert post(**on_hardware | {"backend": "nowhere"}, shots=1) == (404, "not_found")
    assert post(**on_hardware, shots=1) == (403, "gate_refused")
    assert post(templateId="bell-state", shots=1) == (402, "insufficient_credits")
    with app.app_context():
        assert_nothing_happened(account)
