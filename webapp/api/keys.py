"""API keys, managed by programs."""

from collections.abc import Sequence
from datetime import timedelta

from flask import request, url_for

from webapp.api import api
from webapp.api.key_responses import KeyBudgetJson, ManagedKeyJson, ManagedKeyListJson, NewKeyJson, RevokedKeyJson
from webapp.api.key_schemas import KeyBody, KeyChangesBody, KeyListQuery, RevocationQuery, RotationBody
from webapp.api.schemas import answers, read_body, read_query, takes
from webapp.authentication import key_required
from webapp.core import clock
from webapp.core.clock import format_time
from webapp.core.money import format_credits
from webapp.extensions import runtime
from webapp.hooks import get_key_actor, get_principal
from webapp.keys.models import ApiKey
from webapp.keys.operations import NewKey, revoke_key
from webapp.keys.queries import get_own_key, list_keys_page
from webapp.keys.settings import KeySettings, status_of
from webapp.ledger.budgets import Budget, list_key_budgets
from webapp.metering.delegation import create_delegated_key, rotate_delegated_key, update_delegated_key


@api.get("/keys")
@key_required("keys:read")
@takes(query=KeyListQuery)
def read_keys() -> ManagedKeyListJson:
    """List the account's keys, newest first, revoked ones included."""
    query = read_query(KeyListQuery)
    page = list_keys_page(get_principal().organisation_id, limit=query.limit, cursor=query.cursor)
    return {"keys": render_keys(page.rows), "nextCursor": page.next_cursor}


@api.post("/keys")
@key_required("keys:write")
@takes(body=KeyBody)
def create_key() -> tuple[NewKeyJson, int, dict[str, str]]:
    """Make a key that may do no more than the one that asks. The raw key is in this answer and in no other."""
    body = read_body(KeyBody, max_bytes=runtime().max_body_bytes)
    new = create_delegated_key(
        giver_id=get_principal().key_id,
        organisation_id=get_principal().organisation_id,
        settings=KeySettings(
            name=body.name,
            scopes=body.scopes,
            description=body.description,
            mode=body.mode,
            expires_at=body.expires_at,
            rate_limits=[limit.read() for limit in body.rate_limits],
            addresses=body.addresses,
            tags=body.tags,
        ),
        budgets=[budget.read() for budget in body.budgets],
        actor=get_key_actor(),
        at=clock.now(),
    )
    return render_new(new), 201, {"Location": url_for("api.read_key", key_id=new.key.id)}


@api.get("/keys/<key_id>")
@key_required("keys:read")
def read_key(key_id: str) -> ManagedKeyJson:
    """Give one key."""
    return render_key(get_own_key(organisation_id=get_principal().organisation_id, key_id=key_id))


@api.patch("/keys/<key_id>")
@key_required("keys:write")
@takes(body=KeyChangesBody)
@answers({200: "Done."})
def update_key(key_id: str) -> ManagedKeyJson:
    """Change what a key may do, from its next call on, to no more than the key that asks may. What is absent stays."""
    body = read_body(KeyChangesBody, max_bytes=runtime().max_body_bytes)
    key = update_delegated_key(
        giver_id=get_principal().key_id,
        organisation_id=get_principal().organisation_id,
        key_id=key_id,
        changes=body.read(),
        budgets=None if body.budgets is None else [budget.read() for budget in body.budgets],
        disabled=body.disabled,
        actor=get_key_actor(),
        at=clock.now(),
    )
    return render_key(key)


@api.post("/keys/<key_id>/rotate")
@key_required("keys:write")
@takes(body=RotationBody)
def rotate_key(key_id: str) -> tuple[NewKeyJson, int]:
    """Give a key a new token, and end the old one after a grace. The raw key is in this answer and in no other."""
    new = rotate_delegated_key(
        giver_id=get_principal().key_id,
        organisation_id=get_principal().organisation_id,
        key_id=key_id,
        grace=timedelta(seconds=read_grace()),
        actor=get_key_actor(),
        at=clock.now(),
    )
    return render_new(new), 201


@api.delete("/keys/<key_id>")
@key_required("keys:write")
@takes(query=RevocationQuery)
def delete_key(key_id: str) -> RevokedKeyJson:
    """Revoke a key for good, with all that it made where that is asked; the very next call with any is refused."""
    with_made = read_query(RevocationQuery).descendants
    key, made = revoke_key(
        organisation_id=get_principal().organisation_id,
        key_id=key_id,
        with_made=with_made,
        actor=get_key_actor(),
        at=clock.now(),
    )
    return {**render_key(key), "revokedDescendants": [each.id for each in made]}


def read_grace() -> int:
    """Read how many seconds the old token goes on; without a body it ends at once."""
    if not request.content_length and not request.is_json:
        return 0
    return read_body(RotationBody, max_bytes=runtime().max_body_bytes).grace_seconds


def render_new(new: NewKey) -> NewKeyJson:
    """Write a key with the raw token as JSON."""
    return {**render_key(new.key), "key": new.raw}


def render_key(key: ApiKey) -> ManagedKeyJson:
    """Write a key as JSON."""
    return render_keys([key])[0]


def render_keys(keys: Sequence[ApiKey]) -> list[ManagedKeyJson]:
    """Write keys as JSON."""
    budgets = list_key_budgets([key.id for key in keys])
    return [
        {
            "id": key.id,
            "name": key.name,
            "description": key.description,
            "prefix": key.prefix,
            "status": status_of(key, at=clock.now()),
            "mode": key.mode,
            "scopes": key.scopes.split(),
            "rateLimits": [{"calls": calls, "seconds": seconds} for calls, seconds in key.rate_limits],
            "budgets": [render_budget(budget) for budget in budgets if budget.spender == key.id],
            "addresses": list(key.addresses),
            "tags": list(key.tags),
            "createdAt": format_time(key.created_at),
            "createdByKeyId": key.created_by_key_id,
            "expiresAt": format_time(key.expires_at) if key.expires_at else None,
            "revokedAt": format_time(key.revoked_at) if key.revoked_at else None,
        }
        for key in keys
    ]


def render_budget(budget: Budget) -> KeyBudgetJson:
    """Write a key's own budget as JSON."""
    return {
        "period": budget.period,
        "limit": format_credits(budget.microcredits),
        "refuses": budget.refuses,
    }
