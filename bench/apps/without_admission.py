"""Our whole application, with the one view that is measured open to everyone: what is missing is admission alone."""

from webapp import create_app
from webapp.authentication import public

app = create_app()
public(app.view_functions["api.read_template"])
