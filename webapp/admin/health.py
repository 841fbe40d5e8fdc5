"""Whether this process can do its work."""

from flask import Blueprint
from flask.typing import ResponseReturnValue
from sqlalchemy import text

from webapp.authentication import public
from webapp.core.db import db
from webapp.core.redis import asking_redis, store

health = Blueprint("health", __name__)


@health.get("/healthz")
@public
def read_health() -> ResponseReturnValue:
    """Answer ok when both stores answer; 503 otherwise."""
    db.session.execute(text("SELECT 1"))
    with asking_redis():
        store.servers.ping()
    return {"status": "ok"}
