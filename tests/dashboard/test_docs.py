"""The documentation page says what is true of the API."""

import re

from flask import Flask
from flask.testing import FlaskClient

from tests.factories import API


def test_the_page_lists_every_route_of_the_api(app: Flask, client: FlaskClient) -> None:
    page = client.get("/docs").text
    listed = set(re.findall(r"<td><code>(GET|POST|PATCH|DELETE) (/[a-zA-Z/{}-]*)</code></td>", page))
    routes = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.read_openapi":
            path = re.sub(r"<(\w+)_id>", r"{\1Id}", rule.rule.removeprefix(API))
            routes |= {(method, path) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert listed == routes
    assert f"{API}/openapi.json" in page
