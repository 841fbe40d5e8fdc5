"""The WSGI application, and the one that `flask --app wsgi` works on."""

from webapp import create_app

app = create_app()
