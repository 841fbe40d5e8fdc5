"""Somebody with more credits than any of these tests spends, and a Valkey that can be killed."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from flask import Flask

from tests.factories import Account, make_account
from tests.faults.own_valkey import OwnValkey


@pytest.fixture
def account(app: Flask) -> Account:
    """An account; a test that counts what is left of its credits overrides this one."""
    with app.app_context():
        return make_account(microcredits=100_000_000)


@pytest.fixture
def valkey(short_folder: Path) -> Iterator[OwnValkey]:
    """A Valkey that holds nothing, for this test alone."""
    folder = short_folder / "own"
    folder.mkdir()
    own = OwnValkey(folder)
    yield own
    own.kill()
    shutil.rmtree(folder)
