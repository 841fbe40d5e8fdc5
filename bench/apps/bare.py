"""Our view in a Flask application that does nothing else: no key, no limit, no hook."""

from flask import Flask

from webapp.api.templates import read_template

app = Flask(__name__)
app.json.sort_keys = False  # type: ignore[attr-defined]  # the default provider's, which Flask types as its base
app.get("/api/quantum/v1/templates/<template_id>")(read_template)
