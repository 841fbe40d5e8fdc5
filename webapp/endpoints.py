"""The API's endpoints as people write them: GET /jobs/{jobId}, whose operationId is read_job."""

import re

from flask import current_app
from werkzeug.routing import Rule

API_NAME = "api"
API_PREFIX = "/api/quantum/v1"


def name_endpoint(operation: str) -> str:
    """Write an endpoint, given its operationId; what the API does not have (any more) keeps that."""
    endpoint = f"{API_NAME}.{operation}"
    if endpoint not in current_app.view_functions:
        return operation
    rule = next(current_app.url_map.iter_rules(endpoint))
    return f"{min(methods_of(rule))} {to_path(rule)}"


def methods_of(rule: Rule) -> set[str]:
    """Give the methods that a route was declared with."""
    return (rule.methods or set()) - {"HEAD", "OPTIONS"}


def to_path(rule: Rule) -> str:
    """Write a route as OpenAPI does: /jobs/<job_id> is /jobs/{jobId}."""
    path = rule.rule.removeprefix(API_PREFIX)
    return re.sub(r"<(\w+)>", lambda match: "{" + to_camel_case(match[1]) + "}", path)


def to_camel_case(name: str) -> str:
    """Write a name as the API does: job_id is jobId."""
    first, *others = name.split("_")
    return first + "".join(word.capitalize() for word in others)
