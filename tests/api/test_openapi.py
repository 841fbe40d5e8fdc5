"""The OpenAPI document is valid, complete, and true of real answers."""

from collections.abc import Callable
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.factories import API, Key, body, post_bell

Check = Callable[[str, object], None]


@pytest.fixture
def document(client: FlaskClient) -> dict[str, Any]:
    answer = client.get(f"{API}/openapi.json")
    assert answer.status_code == 200
    return body(answer)


@pytest.fixture
def check(document: dict[str, Any]) -> Check:
    """Check a value against one of the document's schemas, in which no member may be missing or unknown."""
    closed = {
        name: schema | {"additionalProperties": False} if name != "JobJson" else schema
        for name, schema in document["components"]["schemas"].items()
        if "properties" in schema
    }
    closed["ErrorJson"] = document["components"]["schemas"]["ErrorJson"]

    def validate(name: str, value: object) -> None:
        schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": closed}}
        Draft202012Validator(schema).validate(value)

    return validate


def test_the_document_is_valid_openapi(document: dict[str, Any]) -> None:
    OpenAPIV31SpecValidator(document).validate()


def test_every_route_with_a_key_is_described(app: Flask, document: dict[str, Any]) -> None:
    described = {
        (path.replace("{", "<").replace("}", ">"), method.upper())
        for path, operations in document["paths"].items()
        for method in operations
    }
    names = {
        "<template_id>": "<templateId>",
        "<backend_id>": "<backendId>",
        "<job_id>": "<jobId>",
        "<key_id>": "<keyId>",
    }
    routes = set()
    for rule in app.url_map.iter_rules():
        if rule.endpoint.startswith("api.") and rule.endpoint != "api.read_openapi":
            path = rule.rule.removeprefix(API)
            for ours, theirs in names.items():
                path = path.replace(ours, theirs)
            routes |= {(path, method) for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}}
    assert described == routes


def test_answers_have_the_shapes_that_are_described(client: FlaskClient, key: Key, check: Check) -> None:
    job = body(post_bell(client, key))
    check("JobJson", job)
    for path, shape in {
        f"/jobs/{job['id']}": "JobJson",
        "/jobs": "JobListJson",
        "/templates": "TemplateListJson",
        "/templates/grover-search": "TemplateJson",
        "/backends": "BackendListJson",
        "/backends/ionq-forte": "BackendJson",
        "/me": "KeyJson",
        "/credits": "CreditsJson",
        "/keys": "ManagedKeyListJson",
        f"/keys/{key.row.id}": "ManagedKeyJson",
    }.items():
        check(shape, body(client.get(API + path, headers=key.headers)))


def test_refusals_have_the_shape_that_is_described(client: FlaskClient, key: Key, check: Check) -> None:
    for answer in (
        client.get(f"{API}/me"),
        client.get(f"{API}/jobs/nothing", headers=key.headers),
        post_bell(client, key, shots=0),
        post_bell(client, key, maxCredits="0"),
    ):
        check("ErrorEnvelopeJson", body(answer))


def test_the_body_that_is_described_is_the_one_that_is_taken(client: FlaskClient, key: Key, check: Check) -> None:
    request = {"templateId": "bell-state", "shots": 10, "seed": 1, "maxCredits": "0.5", "name": "a job"}
    check("JobBody", request)
    assert post_bell(client, key, **request).status_code == 201


def test_every_example_has_the_shape_that_it_stands_beside(document: dict[str, Any], check: Check) -> None:
    found = 0
    for operations in document["paths"].values():
        for operation in operations.values():
            answers = [operation.get("requestBody", {}), *operation["responses"].values()]
            for content in [answer["content"]["application/json"] for answer in answers if answer]:
                if "example" in content:
                    check(content["schema"]["$ref"].rpartition("/")[2], content["example"])
                    found += 1
            for answer in operation["responses"].values():
                assert "example" in answer["content"]["application/json"]
    assert found > 50
