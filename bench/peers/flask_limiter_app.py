"""A peer: Flask-Login asks Flask-SQLAlchemy for the key's user, Flask-Limiter counts in the same Redis.

As Flask-Login's documentation ("Custom Login using Request Loader") and Flask-Limiter's ("Recipes": rate limit by
the current user) set them up, with the key stored as a hash.
"""

import hashlib
import json
import os
import secrets
from pathlib import Path

from flask import Flask, Request
from flask.typing import ResponseReturnValue
from flask_limiter import Limiter
from flask_limiter.util import get_remote_address
from flask_login import LoginManager, UserMixin, current_user, login_required
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

FOLDER = Path(os.environ["BENCH_FOLDER"])
KEYS = int(os.environ["BENCH_KEYS"])
ANSWER = json.loads((FOLDER.parent / "answer.json").read_text())


class Base(DeclarativeBase):
    """The base that Flask-SQLAlchemy asks for."""


db = SQLAlchemy(model_class=Base)
login_manager = LoginManager()


class User(UserMixin, db.Model):  # type: ignore[name-defined]
    """A user with one key."""

    id: Mapped[int] = mapped_column(primary_key=True)
    api_key: Mapped[str] = mapped_column(unique=True)


app = Flask(__name__)
app.config.from_mapping(SECRET_KEY="for the benchmark", SQLALCHEMY_DATABASE_URI=f"sqlite:///{FOLDER}/peer.sqlite3")
app.json.sort_keys = False  # type: ignore[attr-defined]
db.init_app(app)
login_manager.init_app(app)


def caller() -> str:
    """Name whom a call counts for."""
    return current_user.get_id() or get_remote_address()


limiter = Limiter(
    caller,
    app=app,
    default_limits=[f"{os.environ['BENCH_QUOTA']} per minute"],
    storage_uri=os.environ["BENCH_REDIS_URL"].replace("unix://", "redis+unix://"),
)


def digest(raw: str) -> str:
    """Hash a key."""
    return hashlib.sha256(raw.encode()).hexdigest()


@login_manager.request_loader
def load_user(request: Request) -> User | None:
    """Find the user of the key."""
    raw = request.headers.get("Authorization", "").removeprefix("Bearer ")
    return db.session.execute(db.select(User).filter_by(api_key=digest(raw))).scalar_one_or_none()


@app.get("/api/quantum/v1/templates/<template_id>")
@login_required
def read_template(template_id: str) -> ResponseReturnValue:  # noqa: ARG001 - one template is measured
    """Give the same JSON as ours."""
    return ANSWER


def make_keys() -> None:
    """Make the users, and write their keys for the benchmark."""
    raw_keys = [f"key_{secrets.token_urlsafe(32)}" for _ in range(KEYS + 1)]
    with app.app_context():
        db.create_all()
        db.session.add_all(User(api_key=digest(raw)) for raw in raw_keys)
        db.session.commit()
    headers = [f"Authorization: Bearer {raw}" for raw in [*raw_keys, "key_unknown"]]
    (FOLDER / "headers.json").write_text(json.dumps(headers))


if not (FOLDER / "headers.json").exists():
    make_keys()
