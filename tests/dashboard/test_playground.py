"""The playground: circuits that members run in the console, without a key."""

import re
from html import unescape
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.factories import API, Account, count_jobs, log_in, make_account, make_key, make_team, now, post_bell
from webapp.accounts.audit import OPERATOR
from webapp.accounts.roles import Role
from webapp.core.db import db
from webapp.jobs.confirmation import set_confirmation
from webapp.jobs.models import Job
from webapp.jobs.operations import cancel_job
from webapp.jobs.queries import list_jobs
from webapp.jobs.results import load_result
from webapp.jobs.running import claim_job, complete_job
from webapp.metering.budgets import list_spent_budgets, set_budget
from webapp.metering.credits import get_credits
from webapp.metering.flush import flush
from webapp.metering.models import OpenHold
from webapp.metering.rebuild import rebuild
from webapp.metering.usage import roll_up_usage
from webapp.metering.verify import verify
from webapp.privacy.export import list_sections, write_section
from webapp.quantum.engines import RunResult
from webapp.quantum.templates import list_templates

PAGE = "/console/playground"
BELL = {"kind": "template", "template": "bell-state", "shots": "100", "seed": "1"}
# Beyond what runs while a request waits.
LARGE = {
    "kind": "openqasm3",
    "source": 'OPENQASM 3.0; include "stdgates.inc"; qubit[20] q; for int i in [0:18] { ry(1) q[i]; cx q[i], q[i+1]; }',
}


def read_hidden(page: str, name: str) -> str:
    """Read a hidden field of the page."""
    found = re.search(f'name="{name}" value="([^"]*)"', page)
    return found[1] if found else ""


def estimate(client: FlaskClient, **form: str) -> TestResponse:
    """Send the form as the button Estimate does."""
    return client.post(PAGE, data={**BELL, **form, "action": "estimate"})


def fill_in(client: FlaskClient, **form: str) -> dict[str, str]:
    """Fill in the form, look at its price, and give what the button Run sends."""
    page = estimate(client, **form).text
    hidden = {name: read_hidden(page, name) for name in ("ticket", "price")}
    return {**BELL, **form, **hidden, "action": "run"}


def run(client: FlaskClient, **form: str) -> str:
    """Fill in the form and run it; give the job's id."""
    answer = client.post(PAGE, data=fill_in(client, **form))
    assert answer.status_code == 302, answer.text
    found = re.search(r"job=(job_\w+)", answer.headers["Location"])
    assert found
    return found[1]


@pytest.mark.usefixtures("account")
class TestForm:
    """What is shown before anything runs."""

    def test_every_template_has_its_form_and_its_price(self, client: FlaskClient) -> None:
        for template in list_templates():
            page = client.get(f"{PAGE}?template={template.id}").text
            assert 'id="price"' in page, template.id
            for parameter in template.parameters:
                assert f'name="parameters.{parameter.name}"' in page

    @pytest.mark.parametrize("kind", ["openqasm2", "openqasm3", "ionq.circuit.v1"])
    def test_every_format_has_an_example_that_runs(self, client: FlaskClient, kind: str) -> None:
        page = client.get(f"{PAGE}?kind={kind}").text
        source = re.search(r"<textarea[^>]*>\n(.*?)</textarea>", page, re.DOTALL)
        assert source
        job_id = run(client, kind=kind, source=unescape(source[1]))
        counts = client.get(f"/console/jobs/{job_id}/result.json").get_json()["counts"]
        assert set(counts) == {"000", "111"}

    def test_the_same_is_given_as_curl_and_as_python(self, client: FlaskClient) -> None:
        page = unescape(re.sub("<[^>]+>", "", estimate(client, template="grover-search").text))
        assert """-d '{"templateId": "grover-search", "shots": 100, "seed": 1}'""" in page
        assert "json={'templateId': 'grover-search', 'shots': 100, 'seed': 1}" in page

    def test_everything_that_is_wrong_is_named_at_once(self, client: FlaskClient, app: Flask, account: Account) -> None:
        wrong = {"template": "grover-search", "parameters_of": "grover-search", "parameters.marked": "2"}
        wrong |= {"parameters.iterations": "many", "shots": "0", "seed": "-1", "backend": "nowhere", "name": "x" * 81}
        answer = estimate(client, **wrong)
        assert answer.status_code == 422
        for path in ("parameters.marked", "parameters.iterations", "shots", "seed", "backend", "name"):
            assert re.search(f'id="{path}"[^>]* aria-invalid="true"', answer.text), path
        with app.app_context():
            assert count_jobs(account.organisation_id) == 0

    def test_a_program_s_first_mistake_is_shown_with_its_place(self, client: FlaskClient) -> None:
        answer = estimate(client, kind="openqasm3", source="OPENQASM 3.0;\r\nqubit q;\r\n<b> q;")
        assert (answer.status_code, "Line 3, column 1" in answer.text) == (422, True)
        assert "<b>" not in answer.text

    def test_the_parameters_of_another_template_are_left(self, client: FlaskClient) -> None:
        typed = {"parameters_of": "qaoa-optimization", "parameters.qubits": "9"}
        page = estimate(client, template="ghz-state", **typed).text
        assert re.search(r'name="parameters.qubits" value="(\d+)"', page)
        assert read_hidden(page, "parameters.qubits") != "9"

    @pytest.mark.parametrize("form", [{}, {"kind": "no", "template": "no", "shots": "9" * 5000}, {"seed": "٣"}])
    def test_no_form_breaks_it(self, client: FlaskClient, form: dict[str, str]) -> None:
        assert client.post(PAGE, data=form).status_code == 422

    def test_noise_observables_and_inputs_are_estimated_and_given_to_copy(self, client: FlaskClient) -> None:
        source = 'OPENQASM 3.0; include "stdgates.inc"; input float theta; qubit[2] q; ry(theta) q[0]; cx q[0], q[1];'
        typed = {"observables": 'zz\r\n\r\n{"XX": 0.5, "II": 2}', "inputs": "theta = 0.5", "noise": "trapped-ion"}
        answer = estimate(client, kind="openqasm3", source=source, **typed)
        page = unescape(re.sub("<[^>]+>", "", answer.text))
        assert answer.status_code == 200
        for part in (
            '"noise": "trapped-ion"',
            '"observables": ["ZZ", {"XX": 0.5, "II": 2}]',
            '"parameters": {"theta": 0.5}',
        ):
            assert part in page
        # What was typed is still there, and not folded away.
        assert "theta = 0.5</textarea>" in answer.text
        assert re.search(r'<details class="disclosure" open>', answer.text)

    @pytest.mark.parametrize(
        ("typed", "field", "message"),
        [
            ({"observables": "ZZ\n\nZQ"}, "observables", "Line 3: It is not a sum of Pauli strings."),
            ({"observables": '{"ZZ": "x"}'}, "observables", "It is not a sum of Pauli strings."),
            ({"observables": '{"ZZ"'}, "observables", "It is not a sum of Pauli strings."),
            ({"observables": "ZZZ"}, "observables", "Line 1: It is longer than the circuit&#39;s 2 qubits."),
            ({"observables": "Z\n" * 65}, "observables", "There are too many."),
            ({"noise": "none"}, "noise", "There is no such preset."),
            ({"kind": "openqasm3", "source": "qubit q;", "inputs": "theta 5"}, "inputs", "Line 1: expected a name"),
            (
                {"kind": "openqasm3", "source": "qubit q;", "inputs": "a=1\n a = 2"},
                "inputs",
                "Line 2: a was given before.",
            ),
            ({"kind": "openqasm3", "source": "qubit q;", "inputs": "a = inf"}, "inputs", "Line 1: expected a name"),
            (
                {"kind": "openqasm3", "source": "qubit q;", "inputs": "a = 1"},
                "inputs",
                "a: The program declares no such",
            ),
            (
                {"kind": "openqasm3", "source": "input float a; qubit q;"},
                "inputs",
                "a: The program declares this input, and no value was sent.",
            ),
            (
                {
                    "kind": "openqasm3",
                    "source": "qubit q;",
                    "inputs": "\n".join(f"a{number}=1e-9" for number in range(35_000)),
                },
                "inputs",
                "bytes as JSON.",
            ),
        ],
    )
    def test_what_is_wrong_with_them_is_said_beside_them(
        self, client: FlaskClient, typed: dict[str, str], field: str, message: str
    ) -> None:
        answer = estimate(client, **typed)
        assert answer.status_code == 422
        assert re.search(f'id="{field}"[^>]* aria-invalid="true"', answer.text)
        slot = re.search(f'id="{field}-error" data-slot>([^<]*)<', answer.text)
        assert slot
        assert message in slot[1]
        assert f'href="#{field}"' in answer.text

    def test_hardware_that_is_off_is_refused_by_its_gate(self, client: FlaskClient) -> None:
        page = estimate(client, backend="ionq-forte").text
        assert "The backend ionq-forte is disabled" in page
        assert "Run for" not in page


class TestRun:
    """What running does, and what it costs."""

    def test_a_run_is_charged_and_counted_for_the_account(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        job_id = run(client)
        page = client.get(f"{PAGE}?job={job_id}").text
        assert ("Your run" in page, "histogram" in page) == (True, True)
        with app.app_context():
            job = db.session.get_one(Job, job_id)
            assert (job.key_id, job.created_by_id, job.status) == (None, account.user_id, "completed")
            assert job.charged_microcredits > 0
            assert get_credits(account.organisation_id).spent == job.charged_microcredits
            charged = job.charged_microcredits
            assert f"{charged / 10**6:f} credits charged" in page
            key = make_key(account)
            assert verify() == []
        assert "Run in the console by" in client.get(f"/console/jobs/{job_id}").text
        assert "Run by members in the playground" in client.get("/console/usage").text
        assert "Run by members in the playground" in client.get("/console/usage?by=hour").text
        usage = client.get(f"{API}/usage?groupBy=key", headers=key.headers).get_json()
        assert [line["name"] for line in usage["usage"]] == ["Console"]
        assert usage["total"]["credits"] == f"{charged / 10**6:f}"
        # It is the program's job as well: the account's.
        assert client.get(f"{API}/jobs/{job_id}", headers=key.headers).get_json()["status"] == "completed"

    def test_the_same_counts_come_by_key_at_the_same_price(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        job_id = run(client)
        with app.app_context():
            key = make_key(account)
            ours = db.session.get_one(Job, job_id)
            theirs = post_bell(client, key).get_json()
            assert load_result(ours)["counts"] == theirs["counts"]
            assert f"{ours.charged_microcredits / 10**6:f}" == theirs["cost"]["charged"]
            flush(at=now())
            assert verify() == []
            roll_up_usage(before=now().replace(year=now().year + 1))
            assert verify() == []

    def test_the_means_of_observables_are_shown_and_the_form_is_found_as_it_was(
        self, client: FlaskClient, account: Account
    ) -> None:
        del account
        source = 'include "stdgates.inc"; input float theta; qubit[2] q; rx(theta) q[0]; cx q[0], q[1];'
        typed = {"observables": "ZZ\nZI", "inputs": "theta = 0", "kind": "openqasm3", "source": source}
        job_id = run(client, **typed)
        page = client.get(f"{PAGE}?job={job_id}").text
        assert "Expectation values" in page
        assert re.search(r'<td class="mono">ZZ</td><td class="is-number">1</td><td class="is-number">exact</td>', page)
        assert "theta = 0</textarea>" in page
        assert "ZZ\nZI</textarea>" in page
        assert f"playground?job={job_id}" in unescape(client.get(f"/console/jobs/{job_id}").text)

    def test_a_job_that_asked_for_more_than_the_form_has_is_not_opened_in_it(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        with app.app_context():
            key = make_key(account)
        for more in (
            {"memory": True},
            {"noise": {"depolarizing": 0.1}},
            {"templateId": "ghz-state", "parameters": {"qubits": [2, 3]}},
        ):
            job_id = post_bell(client, key, **more).get_json()["id"]
            assert "Open in the playground" not in client.get(f"/console/jobs/{job_id}").text

    def test_one_form_is_one_job_however_often_it_is_sent(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        form = fill_in(client)
        first, second = client.post(PAGE, data=form), client.post(PAGE, data=form)
        assert first.headers["Location"] == second.headers["Location"]
        changed = client.post(PAGE, data=form | {"seed": "2"})
        assert changed.status_code == 409
        with app.app_context():
            assert count_jobs(account.organisation_id) == 1

    @pytest.mark.parametrize("change", [{"shots": "200"}, {"price": ""}, {"ticket": ""}, {"ticket": "x" * 300}])
    def test_nothing_runs_at_a_price_that_was_not_shown(
        self, app: Flask, client: FlaskClient, account: Account, change: dict[str, str]
    ) -> None:
        answer = client.post(PAGE, data=fill_in(client) | change)
        assert (answer.status_code, "nothing has run yet" in answer.text) == (409, True)
        with app.app_context():
            assert count_jobs(account.organisation_id) == 0

    def test_a_program_cannot_take_the_form_s_ticket(self, app: Flask, client: FlaskClient, account: Account) -> None:
        form = fill_in(client)
        client.post(PAGE, data=form)
        with app.app_context():
            key = make_key(account)
        headers = key.headers | {"Idempotency-Key": f"console:{form['ticket']}"}
        body = {"templateId": "bell-state", "shots": 100, "seed": 1}
        assert client.post(f"{API}/jobs", json=body, headers=headers).status_code == 409

    def test_the_price_that_was_pressed_is_confirmed(self, app: Flask, client: FlaskClient, account: Account) -> None:
        with app.app_context():
            set_confirmation(organisation_id=account.organisation_id, above_microcredits=1, actor=OPERATOR, at=now())
        assert "running it confirms the price" in estimate(client).text
        run(client)
        with app.app_context():
            assert count_jobs(account.organisation_id) == 1

    def test_the_account_s_budgets_bound_it(self, app: Flask, client: FlaskClient, account: Account) -> None:
        form = fill_in(client)
        price = int(form["price"])
        with app.app_context():
            budget: dict[str, Any] = {"organisation_id": account.organisation_id, "key_id": None, "period": "day"}
            set_budget(**budget, microcredits=price * 2 - 1, refuses=True, actor=OPERATOR, at=now())
        assert client.post(PAGE, data=form).status_code == 302
        form = fill_in(client)
        page = estimate(client).text
        assert "daily budget has" in page
        assert "Run for" not in page
        refused = client.post(PAGE, data=form)
        assert (refused.status_code, "daily budget" in refused.text) == (402, True)
        with app.app_context():
            [spent] = list_spent_budgets(account.organisation_id, at=now())
            assert spent.used_microcredits == price
            assert count_jobs(account.organisation_id) == 1
            assert verify() == []
            rebuild()
            assert verify() == []

    def test_an_empty_account_runs_nothing(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            poor = make_account(microcredits=0)
        log_in(client, poor)
        answer = client.post(PAGE, data=fill_in(client))
        assert (answer.status_code, "0 are available" in answer.text) == (402, True)
        with app.app_context():
            assert count_jobs(poor.organisation_id) == 0

    def test_a_large_circuit_waits_for_a_worker_on_its_own_page(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        job_id = run(client, **LARGE)
        there = client.get(f"{PAGE}?job={job_id}")
        assert there.headers["Location"] == f"/console/jobs/{job_id}"
        assert "data-live-quick" in client.get(there.headers["Location"]).text
        with app.app_context():
            assert db.session.get_one(OpenHold, job_id).key_id is None
            held = get_credits(account.organisation_id).held
            assert held > 0
            rebuild()
            assert get_credits(account.organisation_id).held == held
            assert verify() == []
            assignment = claim_job(at=now())
            assert assignment is not None
            assert complete_job(assignment, [RunResult({"0": 100}, None, "odd", "1", 0.0)], at=now())
            assert get_credits(account.organisation_id).spent == held
            assert verify() == []

    def test_a_waiting_job_counts_against_the_budget_and_is_given_back(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        with app.app_context():
            budget: dict[str, Any] = {"organisation_id": account.organisation_id, "key_id": None, "period": "month"}
            set_budget(**budget, microcredits=10_000_000, refuses=True, actor=OPERATOR, at=now())
        job_id = run(client, **LARGE)
        with app.app_context():
            assert verify() == []
            cancel_job(organisation_id=account.organisation_id, job_id=job_id, at=now())
            assert verify() == []
            assert get_credits(account.organisation_id).spent == 0

    def test_jobs_belong_to_the_organisation_that_is_looked_at(self, app: Flask, client: FlaskClient) -> None:
        with app.app_context():
            organisation_id, users = make_team(owner=Role.OWNER, developer=Role.DEVELOPER)
        log_in(client, users["developer"], organisation_id=organisation_id)
        stale = client.post(PAGE, data={**BELL, "organisation_id": users["developer"].organisation_id})
        assert stale.status_code == 409
        # A new organisation has no credits.
        assert client.post(PAGE, data=fill_in(client)).status_code == 402
        with app.app_context():
            stranger = make_key(make_account())
        theirs = post_bell(client, stranger).get_json()["id"]
        assert client.get(f"{PAGE}?job={theirs}").status_code == 404

    def test_a_forged_form_is_refused(self, app: Flask, client: FlaskClient, account: Account) -> None:
        form = fill_in(client)
        app.config["WTF_CSRF_ENABLED"] = True
        assert client.post(PAGE, data=form).status_code == 400
        with app.app_context():
            assert list_jobs(organisation_id=account.organisation_id, limit=5).rows == []

    def test_what_was_run_is_in_the_copy_of_somebody_s_data(
        self, app: Flask, client: FlaskClient, account: Account
    ) -> None:
        job_id = run(client)
        with app.app_context():
            document = "".join("".join(write_section(section)) for section in list_sections(account.user_id))
        assert f'"id": "{job_id}", "keyId": null, "createdById": "{account.user_id}"' in document
        assert f'"keyId": "{account.organisation_id}", "hour"' in document


class TestUnverified:
    """People whose address is not confirmed, where it must be."""

    @pytest.fixture
    def environ(self) -> dict[str, str]:
        return {"REQUIRE_VERIFIED_EMAIL": "1"}

    def test_they_see_the_price_and_run_nothing(self, client: FlaskClient) -> None:
        client.post("/signup", data={"email": "new@example.com", "password": "correct horse battery"})
        answer = client.post(PAGE, data=fill_in(client))
        assert (answer.status_code, "Confirm your e-mail address first" in answer.text) == (403, True)
