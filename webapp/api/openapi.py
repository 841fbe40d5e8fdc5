"""The API described for programs: OpenAPI 3.1, made from the routes, their scopes and the shapes they declare."""

import inspect
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from http import HTTPStatus
from typing import Any, get_type_hints

from flask import Flask, current_app
from pydantic import TypeAdapter
from werkzeug.routing import Rule

from webapp.api import api
from webapp.api.examples import BODY_EXAMPLES, CONFLICT_EXAMPLES, ERROR_EXAMPLES, SUCCESS_EXAMPLES
from webapp.api.responses import ErrorEnvelopeJson
from webapp.api.schemas import HeaderField, Schema
from webapp.authentication import Authentication, KeyRequired, get_authentication, public
from webapp.endpoints import methods_of, to_camel_case, to_path

DESCRIPTION = (
    "Run quantum circuits with an API key. Credits are decimal strings with up to 6 places; times are RFC 3339 in UTC. "
    "Every answer to a known key carries the RateLimit and RateLimit-Policy fields, and every answer an X-Request-Id."
)

# What each status means here, by method: what any call may be answered, and what a body adds.
REFUSALS = {
    401: "No API key, or one that is malformed, unknown, expired or revoked.",
    402: "Not enough credits: required, available and limitSource say more.",
    403: "The key lacks the scope, or a gate refused the job; the message says which and what to change. "
    "Too many jobs open at one time is a gate that opens again: Retry-After says when to come back.",
    404: "There is no such thing in this account.",
    422: "A field is wrong; details names each with its path and what is allowed.",
    429: "Too many calls, or too many keys that nobody has from your network (too_many_unknown_keys): Retry-After says "
    "when to come back.",
    503: "A store is away, or too many large results or programs are being read: nothing was charged; Retry-After says "
    "when to come back.",
}
BODY_REFUSALS = {
    400: "The body is not JSON that can be read.",
    411: "The body came without Content-Length.",
    413: "The body is too large.",
    415: "The body is not declared to be JSON.",
}
REFERENCE = "#/components/schemas/{model}"


@api.get("/openapi.json")
@public
def read_openapi() -> dict[str, Any]:
    """Describe the API."""
    return describe_api()


@cache
def describe_api() -> dict[str, Any]:
    """Build the document, once: routes do not change while the process lives."""
    schemas: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for rule, method, view in list_operations(current_app):
        authentication = get_authentication(current_app, rule.endpoint)
        if isinstance(authentication, KeyRequired) or getattr(view, "body_schema", None):
            operation = describe_operation(rule, view, authentication, schemas)
            paths.setdefault(to_path(rule), {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Upcube Quantum", "version": "1", "description": DESCRIPTION},
        "servers": [{"url": api.url_prefix}],
        "paths": paths,
        "components": {
            "schemas": dict(sorted(schemas.items())),
            "securitySchemes": {"apiKey": {"type": "http", "scheme": "bearer", "bearerFormat": "upcube_sk_…"}},
        },
    }


def list_operations(app: Flask) -> Iterator[tuple[Rule, str, Callable[..., Any]]]:
    """Give the API's routes with their methods and views, in the order of their paths."""
    for rule in sorted(app.url_map.iter_rules(), key=lambda rule: rule.rule):
        if rule.endpoint.startswith(f"{api.name}."):
            for method in sorted(methods_of(rule)):
                yield rule, method, app.view_functions[rule.endpoint]


def describe_operation(
    rule: Rule, view: Callable[..., Any], authentication: Authentication, schemas: dict[str, Any]
) -> dict[str, Any]:
    """Describe one method of one path."""
    body: type[Schema] | None = getattr(view, "body_schema", None)
    query: type[Schema] | None = getattr(view, "query_schema", None)
    conflict = getattr(view, "conflict", None)
    refusals = REFUSALS | (BODY_REFUSALS if body else {}) | ({409: conflict} if conflict else {})
    operation: dict[str, Any] = {
        "operationId": name_operation(rule),
        "summary": inspect.getdoc(view),
        "description": describe_authentication(authentication),
        "security": [{"apiKey": []}] if isinstance(authentication, KeyRequired) else [],
        "parameters": [
            *path_parameters(rule),
            *(query_parameters(query) if query else []),
            *header_parameters(getattr(view, "header_fields", ())),
        ],
        "responses": {
            **{str(status): succeed(view, status, text, schemas) for status, text in list_successes(view).items()},
            **{str(status): refuse(rule, status, text, schemas) for status, text in sorted(refusals.items())},
        },
    }
    if body:
        content = {"schema": refer(body, schemas)}
        if body.__name__ in BODY_EXAMPLES:
            content["example"] = BODY_EXAMPLES[body.__name__]
        operation["requestBody"] = {"required": True, "content": {"application/json": content}}
    return operation


def describe_authentication(authentication: Authentication) -> str:
    """Say who may call."""
    if not isinstance(authentication, KeyRequired):
        return "Needs no key."
    return f"Needs the scope {authentication.scope}." if authentication.scope else "Any key may call this."


def list_successes(view: Callable[..., Any]) -> Mapping[int, str]:
    """Give the statuses that mean success: what the view has declared, or 201 where it makes something."""
    made = {201: "Done."} if getattr(view, "body_schema", None) else {200: "Done."}
    found: Mapping[int, str] = getattr(view, "successes", made)
    return found


def succeed(view: Callable[..., Any], status: int, text: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """Describe a success, with an example."""
    shape = getattr(view, "shape", None) or first_shape(get_type_hints(view)["return"])
    names = [(shape.__name__, status), (shape.__name__, None)]
    example = next(SUCCESS_EXAMPLES[name] for name in names if name in SUCCESS_EXAMPLES)
    return answer(text, refer(shape, schemas), example=example)


def refuse(rule: Rule, status: int, text: str, schemas: dict[str, Any]) -> dict[str, Any]:
    """Describe a refusal, with an example."""
    example = ERROR_EXAMPLES[status]
    if status == HTTPStatus.CONFLICT:
        example = CONFLICT_EXAMPLES.get(name_operation(rule), example)
    return answer(text, refer(ErrorEnvelopeJson, schemas), example=example)


def name_operation(rule: Rule) -> str:
    """Give the operationId: the name of the view."""
    return str(rule.endpoint).rpartition(".")[2]


def first_shape(declared: Any) -> Any:  # noqa: ANN401 - any annotation
    """Give the body's shape from what a view returns: itself, or the first of a tuple with status and headers."""
    return declared.__args__[0] if getattr(declared, "__origin__", None) is tuple else declared


def refer(shape: Any, schemas: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401 - a TypedDict or a pydantic model
    """Add the shape, and those inside it, to the document's schemas; give the reference to it."""
    schema = TypeAdapter(shape).json_schema(by_alias=True, ref_template=REFERENCE)
    schemas.update(schema.pop("$defs", {}))
    schemas[shape.__name__] = schema
    return {"$ref": REFERENCE.format(model=shape.__name__)}


def answer(description: str, schema: Mapping[str, Any], *, example: object = None) -> dict[str, Any]:
    """Describe an answer in JSON."""
    content = {"schema": schema} | ({} if example is None else {"example": example})
    return {"description": description, "content": {"application/json": content}}


def path_parameters(rule: Rule) -> list[dict[str, Any]]:
    """Describe the parts of a path that vary."""
    return [
        {"name": to_camel_case(name), "in": "path", "required": True, "schema": {"type": "string"}}
        for name in sorted(rule.arguments)
    ]


def query_parameters(schema: type[Schema]) -> list[dict[str, Any]]:
    """Describe a query."""
    described = schema.model_json_schema(by_alias=True)
    inner = described.get("$defs", {})
    return [
        {"name": name, "in": "query", "required": False, "schema": resolve(field, inner)}
        for name, field in described["properties"].items()
    ]


def header_parameters(fields: Sequence[HeaderField]) -> list[dict[str, Any]]:
    """Describe the header fields that a view reads."""
    return [
        {
            "name": field.name,
            "in": "header",
            "required": False,
            "description": field.description,
            "schema": {"type": "string"},
            "example": field.example,
        }
        for field in fields
    ]


def resolve(field: Any, definitions: Mapping[str, Any]) -> Any:  # noqa: ANN401 - a JSON schema
    """Put definitions in place of references to them."""
    if isinstance(field, dict):
        if "$ref" in field:
            return definitions[field["$ref"].rpartition("/")[2]]
        return {name: resolve(value, definitions) for name, value in field.items()}
    return [resolve(value, definitions) for value in field] if isinstance(field, list) else field
