"""The form that a key's settings are chosen with."""

import re
import secrets
from datetime import date, datetime, timedelta

from flask import session
from flask_wtf import FlaskForm
from wtforms import DateField, HiddenField, SelectMultipleField, StringField, TextAreaField
from wtforms.validators import Optional

from webapp.core.errors import FieldError, InvalidFieldsError
from webapp.dashboard.audit import end_of
from webapp.dashboard.forms import add_errors
from webapp.keys.models import ApiKey, KeyMode
from webapp.keys.scopes import SCOPES
from webapp.keys.settings import KeySettings, RateLimit

# How many of this browser's last forms are remembered, so that none is taken twice.
REMEMBERED_FORMS = 10
MAX_FORM_ID_LENGTH = 40

RATE_LIMIT = re.compile(r"([0-9]{1,9}) */ *([0-9]{1,9})")
# What operations call the fields that have other names here.
FIELDS = {"expiresAt": "expires", "rateLimits": "rate_limits"}


class KeyForm(FlaskForm):  # type: ignore[misc]  # Flask-WTF has no types
    """What a key is for, what it may do, and until when."""

    name = StringField("Name")
    scopes = SelectMultipleField("Scopes", default=list(SCOPES), validate_choice=False)
    description = StringField("Description")
    mode = StringField("Mode", default=KeyMode.LIVE)
    expires = DateField("Last day", [Optional()])
    rate_limits = StringField("Rate limits of its own")
    addresses = TextAreaField("Addresses it may call from")
    tags = StringField("Tags")
    # Drawn anew for each page: the page that shows a new key answers a POST, and a reload sends it again.
    form_id = HiddenField(default=lambda: secrets.token_urlsafe(9))

    def read(self, key: ApiKey | None = None) -> KeySettings:
        """Give the settings that the form holds, for a new key or in place of this one's. Raises InvalidFieldsError."""
        if not self.validate():
            raise InvalidFieldsError([])
        return KeySettings(
            name=self.name.data or "",
            scopes=self.scopes.data or [],
            description=self.description.data or "",
            mode=key.mode if key else self.mode.data or KeyMode.LIVE,
            expires_at=self.read_expiry(key),
            rate_limits=read_rate_limits(self.rate_limits.data or ""),
            addresses=(self.addresses.data or "").replace(",", " ").split(),
            tags=(self.tags.data or "").replace(",", " ").split(),
        )

    def read_expiry(self, key: ApiKey | None) -> datetime | None:
        """Give the moment after the last day; one that was set to the second stays so while its day does."""
        if key and key.expires_at and self.expires.data == last_day(key.expires_at):
            return key.expires_at
        return end_of(self.expires.data)

    def show(self, key: ApiKey) -> None:
        """Put a key's settings into the form."""
        self.name.data, self.description.data = key.name, key.description
        self.scopes.data = key.scopes.split()
        self.expires.data = last_day(key.expires_at) if key.expires_at else None
        self.rate_limits.data = ", ".join(f"{calls}/{seconds}" for calls, seconds in key.rate_limits)
        self.addresses.data = "\n".join(key.addresses)
        self.tags.data = ", ".join(key.tags)

    def add(self, error: InvalidFieldsError) -> None:
        """Put what an operation found wrong beside the fields."""
        details = [
            FieldError(FIELDS.get(detail.path, detail.path), detail.message, detail.allowed) for detail in error.details
        ]
        add_errors(self, InvalidFieldsError(details))

    @property
    def was_sent(self) -> bool:
        """Tell whether this form has had its effect, and this is a reload of the page that showed it."""
        return (self.form_id.data or "")[:MAX_FORM_ID_LENGTH] in session.get("sent_forms", [])

    def remember(self) -> None:
        """Note in the browser's session that this form has had its effect."""
        remember_form(self.form_id.data or "")


def remember_form(form_id: str) -> None:
    """Note in the browser's session that a form has had its effect."""
    if form_id:
        sent = [form_id[:MAX_FORM_ID_LENGTH], *session.get("sent_forms", [])]
        session["sent_forms"] = sent[:REMEMBERED_FORMS]


def last_day(expires_at: datetime) -> date:
    """Give the last day on which a key that expires then works."""
    return (expires_at - timedelta(microseconds=1)).date()


def read_rate_limits(text: str) -> list[RateLimit]:
    """Read limits written as calls/seconds with commas between. Raises InvalidFieldsError."""
    found = [RATE_LIMIT.fullmatch(part.strip()) for part in text.split(",") if part.strip()]
    limits = [RateLimit(int(match[1]), int(match[2])) for match in found if match]
    if len(limits) != len(found):
        message = "Write calls/seconds, such as 60/60, or several with commas between."
        raise InvalidFieldsError([FieldError("rateLimits", message)])
    return limits
