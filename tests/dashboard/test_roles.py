"""What each role may do, cell by cell, asked as a browser asks."""

from collections.abc import Iterator
from http import HTTPStatus

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.routing import Rule

from tests.factories import Account, invite_by_mail, log_in, make_account, make_key, make_team
from webapp.accounts.roles import MAY, Permission, Role, is_allowed
from webapp.authentication import LoginRequired, get_authentication

TEAM = {role.value: role for role in Role}

# The table as people read it, apart from the code's: a slip in one of the two fails.
EXPECTED = """
                      owner  admin  developer  billing  viewer
overview:read         yes    yes    yes        yes      yes
jobs:read             yes    yes    yes        -        yes
jobs:manage           yes    yes    yes        -        -
usage:read            yes    yes    yes        yes      yes
credits:read          yes    yes    yes        yes      yes
credits:export        yes    yes    -          yes      -
budgets:manage        yes    yes    -          yes      -
keys:read             yes    yes    yes        -        yes
keys:manage           yes    yes    yes        -        -
members:read          yes    yes    yes        yes      yes
members:manage        yes    yes    -          -        -
owners:manage         yes    -      -          -        -
organisation:manage   yes    yes    -          -        -
audit:read            yes    yes    -          -        -
"""


def test_the_table_is_what_was_agreed() -> None:
    header, *lines = EXPECTED.strip().splitlines()
    agreed = {
        (permission, role): answer == "yes"
        for permission, *answers in map(str.split, lines)
        for role, answer in zip(header.split(), answers, strict=True)
    }
    assert agreed == {(p.value, r.value): is_allowed(r, p) for p in Permission for r in Role}
    assert len(agreed) == len(MAY) * len(Role)


def each_route(app: Flask) -> Iterator[tuple[Rule, str, Permission]]:
    """Give every route that needs a permission, with its methods."""
    for rule in app.url_map.iter_rules():
        declared = get_authentication(app, rule.endpoint)
        if isinstance(declared, LoginRequired) and declared.permission:
            for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"}):
                yield rule, method, declared.permission


def fill(rule: Rule, **values: str) -> str:
    """Give a path of the route, with things in it that are nobody's where there is no better."""
    path = rule.rule
    # A rule with a default for a part of the path has an argument that is not in it.
    for name in filter(lambda name: f"{name}>" in rule.rule, rule.arguments):
        start = path.rindex("<", 0, path.index(f"{name}>"))
        path = path[:start] + values.get(name, "nothing") + path[path.index(">", start) + 1 :]
    return path


def test_every_page_answers_each_role_as_the_table_says(app: Flask) -> None:
    with app.app_context():
        organisation_id, users = make_team(**TEAM)
    for role in Role:
        client = app.test_client()
        log_in(client, users[role], organisation_id=organisation_id)
        for rule, method, permission in each_route(app):
            form: dict[str, str] | None = {} if method == "POST" else None
            answer = client.open(fill(rule, kind="csv"), method=method, data=form, buffered=True)
            is_refused = answer.status_code == HTTPStatus.FORBIDDEN
            assert is_refused != is_allowed(role, permission), (role, method, rule.rule, answer.status_code)
            assert answer.status_code < HTTPStatus.INTERNAL_SERVER_ERROR, rule.rule


def test_nobody_sees_a_page_without_a_login(app: Flask, client: FlaskClient) -> None:
    for rule, method, _ in each_route(app):
        answer = client.open(fill(rule, kind="csv"), method=method)
        assert (answer.status_code, answer.headers["Location"][:12]) == (302, "/login?next="), rule.rule


def test_no_page_offers_what_its_reader_may_not_do(app: Flask) -> None:
    with app.app_context():
        organisation_id, users = make_team(**TEAM)
        owner = users["owner"]
        invite_by_mail(organisation_id, "new@example.com", "viewer", by_id=owner.user_id)
        key = make_key(Account(owner.email, owner.user_id, organisation_id, ""))
    targets = app.url_map.bind("localhost")
    for role in Role:
        client = app.test_client()
        log_in(client, users[role], organisation_id=organisation_id)
        for rule, method, permission in each_route(app):
            if method != "GET" or "kind" in rule.arguments or not is_allowed(role, permission):
                continue
            for target, target_method in find_targets(client.get(fill(rule, key_id=key.row.id)).text):
                endpoint, _ = targets.match(target, method=target_method)
                declared = get_authentication(app, endpoint)
                if isinstance(declared, LoginRequired) and declared.permission:
                    assert is_allowed(role, declared.permission), (role, rule.rule, target)


def find_targets(page: str) -> Iterator[tuple[str, str]]:
    """Give our own addresses that a page links to or sends forms to, with the method."""
    for piece in page.split("<")[1:]:
        tag = piece.partition(">")[0]
        for attribute, method in (('href="', "GET"), ('action="', "POST")):
            if attribute in tag:
                address = tag.split(attribute)[1].partition('"')[0].partition("?")[0]
                if address.startswith("/console"):
                    yield address, "GET" if 'method="get"' in tag else method


def test_another_organisation_s_things_are_not_there(app: Flask, client: FlaskClient) -> None:
    with app.app_context():
        theirs, others = make_team(owner=Role.OWNER, viewer=Role.VIEWER)
        owner = others["owner"]
        key = make_key(Account(owner.email, owner.user_id, theirs, ""))
        invite_by_mail(theirs, "new@example.com", "viewer", by_id=owner.user_id)
        mine, users = make_team(owner=Role.OWNER)
        stranger = make_account()
    log_in(client, users["owner"], organisation_id=mine)
    for method, path in (
        ("GET", f"/console/api-keys/{key.row.id}/revoke"),
        ("POST", f"/console/api-keys/{key.row.id}/revoke"),
        ("POST", f"/console/organisation/members/{others['viewer'].user_id}/role"),
        ("GET", f"/console/organisation/members/{others['viewer'].user_id}/remove"),
        ("POST", f"/console/organisation/members/{stranger.user_id}/remove"),
    ):
        answer = client.open(path, method=method, data={"role": "viewer"} if method == "POST" else None)
        assert answer.status_code == 404, path
    refused = client.post("/console/organisations/switch", data={"to": theirs})
    assert refused.status_code == 404
    assert "a team" in client.get("/console").text
