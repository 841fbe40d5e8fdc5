"""The documentation page says what is true of the API."""

import json
import re
from html import unescape
from typing import get_type_hints

from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API, make_account, make_key
from webapp.api.job_responses import ResultJson
from webapp.quantum.noise import NOISE_NAMES, PRESETS


def test_the_page_lists_every_route_of_the_api(app: Flask, client: FlaskClient) -> None:
    page = client.get("/docs").text
    listed = set(re.findall(r"<td[^>]*><code>(GET|POST|PATCH|DELETE) (/[a-zA-Z/{}-]*)</code></td>", page))
    routes = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.read_openapi":
            path = re.sub(r"<(\w+)_id>", r"{\1Id}", rule.rule.removeprefix(API))
            routes |= {(method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert listed == routes
    assert f"{API}/openapi.json" in page


def test_every_job_of_the_page_would_be_accepted(app: Flask, client: FlaskClient) -> None:
    page = unescape(re.sub(r"</?span[^>]*>", "", client.get("/docs").text))
    bodies = re.findall(r"/jobs(?:/estimate)? \\\n(?:  -H .*\n)+  -d '(.*)'", page)
    assert len(bodies) >= 10
    with app.app_context():
        key = make_key(make_account())
    for body in bodies:
        answer = client.post(f"{API}/jobs/estimate", headers=key.headers, json=json.loads(body))
        assert answer.get_json().get("wouldBeAccepted"), body


def test_the_kinds_of_noise_and_the_fields_of_a_result_are_those_that_there_are(client: FlaskClient) -> None:
    page = client.get("/docs").text
    for name in (*NOISE_NAMES, *PRESETS):
        assert name in page
    for field in get_type_hints(ResultJson).keys() - {"parameters", "seed", "engineVersion"}:
        assert f"<code>{field}</code>" in page
