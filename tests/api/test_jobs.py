"""POST /jobs, GET /jobs and GET /jobs/{jobId}: their fields, their limits, and whose jobs they are."""

from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.api.helpers import Service, read_error
from tests.factories import API, Key, make_account, make_key, post_bell
from webapp.core.ids import ALPHABET
from webapp.quantum.limits import MAX_SEED, MAX_SHOTS

HUGE = 10**400


class TestFields:
    """A wrong field is refused with its path and what is allowed."""

    @pytest.mark.parametrize("shots", [0, -1, MAX_SHOTS + 1, HUGE, -HUGE, 10.5, True, False, "10", None, [10], {}])
    def test_shots_are_a_whole_number_in_range(self, refusing: Service, shots: object) -> None:
        self.check(refusing, {"shots": shots}, "shots", "a whole number from 1 to 100000")

    @pytest.mark.parametrize("seed", [-1, MAX_SEED + 1, HUGE, -1.0, 0.5, True, "1", [], "\u0661"])
    def test_a_seed_is_a_whole_number_in_range(self, refusing: Service, seed: object) -> None:
        self.check(refusing, {"seed": seed}, "seed", "a whole number from 0 to 9007199254740991")

    @pytest.mark.parametrize("name", ["", "x" * 81, "é" * 81, "a\0b", "a\nb", "a\u2028b", "\x7f", "\u009f", 1, [], {}])
    def test_a_name_is_one_short_line(self, refusing: Service, name: object) -> None:
        self.check(refusing, {"name": name}, "name", "1 to 80 characters without control characters")

    @pytest.mark.parametrize(
        "amount",
        [
            1,
            0.5,
            True,
            [],
            "",
            " 1",
            "1 ",
            "-1",
            "-0",
            "+1",
            ".5",
            "5.",
            "1e3",
            "1_000",
            "1,5",
            "\u0661",
            "NaN",
            "Infinity",
            "0x10",
            "0.0000001",
            "0.0000009" + "9" * 50,
            "1000000000.000001",
            "1" * 5_000,
            "1e999999999",
            "1\0",
        ],
    )
    def test_the_most_it_may_cost_is_a_string_of_decimal_credits(self, refusing: Service, amount: object) -> None:
        self.check(refusing, {"maxCredits": amount}, "maxCredits", 'decimal credits in a string, such as "0.5"')

    @pytest.mark.parametrize("parameters", [[], "state", 1, None, True])
    def test_parameters_are_an_object(self, refusing: Service, parameters: object) -> None:
        allowed = "an object: parameters of the template, or inputs of the program, by name; lists make a sweep"
        self.check(refusing, {"parameters": parameters}, "parameters", allowed)

    @pytest.mark.parametrize("value", [None, 1, True, "", "PHI_PLUS", "phi_plus\0", {}, "x" * 10_000])
    def test_a_parameter_is_one_of_its_choices(self, refusing: Service, value: object) -> None:
        path, allowed = "parameters.state", "one of phi_plus, phi_minus, psi_plus, psi_minus"
        self.check(refusing, {"parameters": {"state": value}}, path, allowed)

    @pytest.mark.parametrize("value", [0, 21, HUGE, 3.5, True, "3", None])
    def test_a_whole_number_among_the_parameters_is_one(self, refusing: Service, value: object) -> None:
        body = {"templateId": "ghz-state", "parameters": {"qubits": value}}
        self.check(refusing, body, "parameters.qubits", "a whole number from 2 to 20")

    @pytest.mark.parametrize("value", [-0.1, HUGE, -HUGE, True, "1", None])
    def test_a_number_among_the_parameters_is_finite_and_in_range(self, refusing: Service, value: object) -> None:
        body = {"templateId": "two-local-ansatz", "parameters": {"theta": value}}
        self.check(refusing, body, "parameters.theta")

    @pytest.mark.parametrize("literal", ["1e400", "-1e400"])
    def test_a_number_that_is_infinite_only_to_python_is_out_of_range(self, refusing: Service, literal: str) -> None:
        for body, path in (
            ('"templateId": "bell-state", "shots": ?', "shots"),
            ('"templateId": "two-local-ansatz", "shots": 10, "parameters": {"theta": ?}', "parameters.theta"),
        ):
            answer = refusing.post(f"{{{body.replace('?', literal)}}}".encode())
            [detail] = read_error(answer, 422, "invalid_fields")["details"]
            assert detail["path"] == path

    @pytest.mark.parametrize("value", ["", "1" * 17, "10 1", "102", "\uff11\uff10", "1\0", 101, None])
    def test_bits_among_the_parameters_are_bits(self, refusing: Service, value: object) -> None:
        body = {"templateId": "bernstein-vazirani", "parameters": {"secret": value}}
        self.check(refusing, body, "parameters.secret", "1 to 16 characters, each one of 01")

    @pytest.mark.parametrize("field", ["templateId", "shots"])
    def test_what_is_required_may_not_be_missing(self, refusing: Service, field: str) -> None:
        body = {"templateId": "bell-state", "shots": 10}
        del body[field]
        answer = refusing.client.post(f"{API}/jobs", json=body, headers=refusing.key.headers)
        [detail] = read_error(answer, 422, "invalid_fields")["details"]
        assert (detail["path"], detail["message"]) == (field, "This field is required.")
        assert detail["allowed"]

    @pytest.mark.parametrize(
        "field", ["template_id", "Shots", "max_credits", "constructor", "__class__", "organisationId"]
    )
    def test_an_unknown_field_is_refused(self, refusing: Service, field: str) -> None:
        self.check(refusing, {field: 1}, field)

    @pytest.mark.parametrize(
        ("field", "meant"),
        [
            ("template", "templateId"),
            ("template_id", "templateId"),
            ("nshots", "shots"),
            ("params", "parameters"),
            ("noise_model", "noise"),
            ("max_credits", "maxCredits"),
        ],
    )
    def test_a_mistyped_field_is_answered_with_the_one_that_was_meant(
        self, refusing: Service, field: str, meant: str
    ) -> None:
        [detail] = read_error(refusing.post_json(**{field: 1}), 422, "invalid_fields")["details"]
        assert detail["message"] == f"There is no such field; did you mean {meant}?"
        assert detail["allowed"].startswith("only templateId, circuit, circuits, shots")

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"shots": "100"}, "It must be a whole number, without quotes."),
            ({"shots": 10.5}, "It must be a whole number."),
            ({"shots": 10**9}, "It must be at most 100000."),
            ({"name": "a" * 81}, "It must have at most 80 characters."),
            ({"name": ""}, "It must have at least 1 character."),
            ({"memory": "yes"}, "It must be true or false."),
            ({"parameters": [1]}, "It must be an object."),
            ({"observables": ["Z"] * 65}, "It must have at most 64 elements."),
        ],
    )
    def test_what_is_wrong_is_said_without_words_of_python(
        self, refusing: Service, fields: dict[str, Any], message: str
    ) -> None:
        [detail] = read_error(refusing.post_json(**fields), 422, "invalid_fields")["details"]
        assert detail["message"] == message

    @pytest.mark.parametrize("template_id", [1, None, True, [], {}])
    def test_a_template_id_is_a_string(self, refusing: Service, template_id: object) -> None:
        self.check(refusing, {"templateId": template_id}, "templateId")

    @pytest.mark.parametrize("backend", [1, None, True, [], {}])
    def test_a_backend_is_a_string(self, refusing: Service, backend: object) -> None:
        self.check(refusing, {"backend": backend}, "backend")

    def check(self, service: Service, fields: dict[str, Any], path: str, allowed: str | None = None) -> None:
        answer = service.post_json(**fields)
        [detail] = read_error(answer, 422, "invalid_fields")["details"]
        assert detail["path"] == path
        assert detail["message"].endswith((".", "?"))
        assert allowed is None or detail["allowed"] == allowed
        # What was sent is not repeated: it may be huge, or secret.
        assert len(answer.data) < 1_000

    def test_all_wrong_fields_are_named_at_once(self, refusing: Service) -> None:
        answer = refusing.post_json(
            shots=0,
            seed="x",
            name="",
            backend=7,
            maxCredits=1,
            unknown=None,
            parameters={"state": "up", "spin": 1},
        )
        error = read_error(answer, 422, "invalid_fields")
        paths = {detail["path"] for detail in error["details"]}
        expected = {"shots", "seed", "name", "backend", "maxCredits", "unknown", "parameters.state", "parameters.spin"}
        assert paths == expected
        assert error["message"].startswith("8 fields")

    def test_all_wrong_parameters_are_named_at_once(self, refusing: Service) -> None:
        parameters = {"nodes": 2, "graph": "torus", "gamma": "x", "beta": -1, "delta": 0}
        answer = refusing.post_json(templateId="qaoa-optimization", parameters=parameters)
        details = read_error(answer, 422, "invalid_fields")["details"]
        assert {detail["path"] for detail in details} == {f"parameters.{name}" for name in parameters}
        assert all(detail["allowed"] for detail in details)

    @pytest.mark.parametrize("field", ["templateId", "backend"])
    @pytest.mark.parametrize("value", ["", "nothing", "\0", "../bell-state", "x" * 10_000, "Bell-State"])
    def test_an_unknown_template_or_backend_is_a_404(self, refusing: Service, field: str, value: str) -> None:
        answer = refusing.post_json(**{field: value})
        assert read_error(answer, 404, "not_found")["target"] == field
        assert len(answer.data) < 1_000


class TestList:
    """The account's jobs, newest first."""

    @pytest.mark.parametrize(
        ("query", "path"),
        [
            ("limit=0", "limit"),
            ("limit=101", "limit"),
            ("limit=-1", "limit"),
            ("limit=x", "limit"),
            ("limit=", "limit"),
            ("limit=%D9%A1", "limit"),
            ("limit=1.5", "limit"),
            ("limit=1.0", "limit"),
            ("limit=+5", "limit"),
            ("limit=1_0", "limit"),
            ("limit=" + "9" * 5_000, "limit"),
            ("limit=101&limit=1", "limit"),
            ("cursor=", "cursor"),
            ("cursor=x", "cursor"),
            ("cursor=job_" + "U" * 26, "cursor"),
            ("cursor=job_" + "0" * 26 + "%0A", "cursor"),
            ("cursor=job_" + "0" * 27, "cursor"),
            ("cursor=" + "%00" * 30, "cursor"),
            ("status=", "status"),
            ("status=COMPLETED", "status"),
            ("status=completed%00", "status"),
            ("status=completed,failed", "status"),
            ("backend=%00", "backend"),
            ("backend=qulacs%00", "backend"),
            ("page=1", "page"),
            ("%00=1", "\0"),
        ],
    )
    def test_a_wrong_query_is_refused(self, refusing: Service, query: str, path: str) -> None:
        answer = refusing.get(f"/jobs?{query}")
        [detail] = read_error(answer, 422, "invalid_fields")["details"]
        assert detail["path"] == path
        assert len(answer.data) < 1_000

    def test_all_of_a_wrong_query_is_named_at_once(self, refusing: Service) -> None:
        error = read_error(refusing.get("/jobs?limit=0&status=x&cursor=x&page=1"), 422, "invalid_fields")
        assert [detail["path"] for detail in error["details"]] == ["limit", "cursor", "status", "page"]

    def test_nothing_is_found_among_nothing(self, refusing: Service) -> None:
        last = "job_" + ALPHABET[-1] * 26
        for query in (
            "",
            "?limit=1",
            "?limit=100",
            f"?cursor={last}",
            "?status=queued",
            "?backend=nowhere",
            "?limit=1&limit=9",
        ):
            assert refusing.get(f"/jobs{query}").get_json() == {"jobs": [], "nextCursor": None}

    def test_pages_give_every_job_once_newest_first(self, client: FlaskClient, key: Key) -> None:
        made = [post_bell(client, key, name=str(number)).get_json()["id"] for number in range(5)]
        read: list[str] = []
        cursor = ""
        for _ in range(3):
            page = client.get(f"{API}/jobs?limit=2{cursor}", headers=key.headers).get_json()
            read += [job["id"] for job in page["jobs"]]
            cursor = f"&cursor={page['nextCursor']}"
        assert page["nextCursor"] is None
        assert sorted(read) == sorted(made)
        assert read == sorted(read, reverse=True)

    def test_a_full_last_page_says_that_it_is_the_last(self, client: FlaskClient, key: Key) -> None:
        for _ in range(2):
            post_bell(client, key)
        page = client.get(f"{API}/jobs?limit=2", headers=key.headers).get_json()
        assert (len(page["jobs"]), page["nextCursor"]) == (2, None)

    def test_jobs_are_found_by_status_and_backend(self, client: FlaskClient, key: Key) -> None:
        post_bell(client, key)
        post_bell(client, key, backend="qulacs")
        for query, found in (
            ("status=completed", 2),
            ("status=failed", 0),
            ("backend=qulacs", 1),
            ("backend=local-simulator&status=completed", 1),
            ("backend=QULACS", 0),
        ):
            page = client.get(f"{API}/jobs?{query}", headers=key.headers).get_json()
            assert len(page["jobs"]) == found


class TestOwnership:
    """A job belongs to an account, and to all of its keys."""

    def test_another_accounts_job_does_not_exist(self, app: Flask, client: FlaskClient, key: Key) -> None:
        with app.app_context():
            stranger = make_key(make_account())
        job_id = post_bell(client, key).get_json()["id"]
        theirs = read_error(client.get(f"{API}/jobs/{job_id}", headers=stranger.headers), 404, "not_found")
        nobodys = read_error(client.get(f"{API}/jobs/job_{'0' * 26}", headers=stranger.headers), 404, "not_found")
        assert {**theirs, "requestId": ""} == {**nobodys, "requestId": ""}
        assert client.get(f"{API}/jobs", headers=stranger.headers).get_json()["jobs"] == []

    def test_another_accounts_cursor_opens_nothing(self, app: Flask, client: FlaskClient, key: Key) -> None:
        with app.app_context():
            stranger = make_key(make_account())
        own = post_bell(client, stranger).get_json()["id"]
        theirs = post_bell(client, key).get_json()["id"]
        page = client.get(f"{API}/jobs?cursor={theirs}", headers=stranger.headers).get_json()
        assert {job["id"] for job in page["jobs"]} <= {own}

    def test_every_key_of_the_account_sees_it(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            account = make_account()
            first, second = make_key(account), make_key(account, scopes=("jobs:read",))
        answer = post_bell(client, first)
        for url in (answer.headers["Location"], f"{API}/jobs/{answer.get_json()['id']}"):
            assert client.get(url, headers=second.headers).get_json() == answer.get_json()

    @pytest.mark.parametrize(
        "job_id", ["nothing", "%ff", "job_", "a" * 10_000, "' OR 1=1 --", "%F0%9F%94%91", "job_%25"]
    )
    def test_an_id_of_nothing_is_a_404(self, refusing: Service, job_id: str) -> None:
        answer = refusing.get(f"/jobs/{job_id}")
        read_error(answer, 404, "not_found")
        assert job_id not in answer.text


def test_a_name_of_any_script_is_kept(client: FlaskClient, key: Key) -> None:
    for name in (
        "x" * 80,
        "🔑" * 80,
        "👩\u200d🔬",
        "a\u00a0b",
        "\u0645\u06cc\u200c\u062e",
        "<b>&amp;",
        "'; --",
        " ",
        "\\u0000",
        "%00",
    ):
        answer = post_bell(client, key, name=name)
        assert answer.status_code == 201, answer.text
        read = client.get(answer.headers["Location"], headers=key.headers).get_json()
        assert read["name"] == name == answer.get_json()["name"]
