"""The WSGI application, and the one that `flask --app wsgi` works on."""

from config import ConfigurationError, load_settings
from webapp import create_app, logs
from webapp.core.interpreter import prepare_interpreter

try:
    settings = load_settings()
    logs.configure(in_json=settings.logs_are_json)
    app = create_app(settings)
except ConfigurationError as error:
    raise SystemExit(str(error)) from None

prepare_interpreter()
