"""Somebody who looks at the pages."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from tests.factories import Account, log_in, make_account


@pytest.fixture
def account(app: Flask, client: FlaskClient) -> Account:
    """An account whose user is logged in."""
    with app.app_context():
        account = make_account()
    log_in(client, account)
    return account
