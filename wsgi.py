"""The WSGI application, and the one that `flask --app wsgi` works on."""

from config import ConfigurationError
from webapp import create_app

try:
    app = create_app()
except ConfigurationError as error:
    raise SystemExit(str(error)) from None
