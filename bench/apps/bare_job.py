"""A Flask application that runs a Bell state and inserts one row: no key, no limit, no price, no credit."""

from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from flask import Flask, request
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from bench.apps.bell import run_bell
from config import load_settings

# On SQLite its connections are prepared as ours are: a write-ahead log, and every commit on the disk.
from webapp.core.db import engine_options


class Base(DeclarativeBase):
    """The base of the one model."""


class BareJob(Base):
    """What was run, and what came of it."""

    __tablename__ = "bare_jobs"

    id: Mapped[str] = mapped_column(sa.String(40), primary_key=True)
    template_id: Mapped[str]
    shots: Mapped[int]
    counts: Mapped[dict[str, int]] = mapped_column(sa.JSON)
    created_at: Mapped[datetime]


url = f"sqlite:///{load_settings().data_dir / 'bare.sqlite3'}"
app = Flask(__name__)
app.config.update(SQLALCHEMY_DATABASE_URI=url, SQLALCHEMY_ENGINE_OPTIONS=engine_options(url))
db = SQLAlchemy(app, model_class=Base)
with app.app_context():
    db.create_all()


@app.post("/api/quantum/v1/jobs")
def create_job() -> tuple[dict[str, Any], int]:
    """Run it, store it, and answer."""
    body = request.get_json()
    return insert_job(body, run_bell(body["shots"]))


def insert_job(body: dict[str, Any], counts: dict[str, int]) -> tuple[dict[str, Any], int]:
    """Insert the row and give the answer."""
    job = BareJob(
        id=uuid4().hex,
        template_id=body["templateId"],
        shots=body["shots"],
        counts=counts,
        created_at=datetime.now(UTC),
    )
    answer = {"id": job.id, "status": "completed", "shots": job.shots, "counts": job.counts}
    db.session.add(job)
    db.session.commit()
    return answer, 201
