"""Schemathesis calls a live server as the OpenAPI document says, and otherwise, and finds nothing wrong."""

import re
import subprocess
import sys

import pytest
from flask import Flask

from config import Settings
from tests import stores
from tests.factories import make_account, make_key
from tests.live import environment, web_process

# Left out: positive_data_acceptance, as no schema says which templates, backends and keys there are; and
# allow_header_conformance, as /jobs/estimate is also a /jobs/{jobId}, whose methods are allowed there as well.
EXCLUDED = "positive_data_acceptance,allow_header_conformance"


@pytest.fixture
def environ() -> dict[str, str]:
    """Limits that a thousand calls in seconds stay below."""
    return {"KEY_RATE_LIMITS": "1000000/60", "ACCOUNT_RATE_LIMITS": "1000000/60"}


@pytest.mark.parametrize("database_url", stores.DATABASES[:1], indirect=True)
def test_a_live_server_does_what_its_document_says(settings: Settings, app: Flask, environ: dict[str, str]) -> None:
    with app.app_context():
        key = make_key(make_account())
    log = settings.data_dir / "web.log"
    with web_process(settings, log=log, **environ) as address:
        found = subprocess.run(
            [
                *(sys.executable, "-m", "schemathesis.cli", "run", f"{address}/openapi.json", "--url", address),
                *("--header", f"Authorization: Bearer {key.raw}"),
                # Not stateful, where it would find its own key and revoke it.
                *("--phases", "examples,coverage,fuzzing", "--max-examples", "5", "--generation-deterministic"),
                *("--checks", "all", "--exclude-checks", EXCLUDED, "--continue-on-failure", "--no-color"),
                *("--warnings", "off"),
            ],
            cwd=settings.data_dir,
            env=environment(settings),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
    assert found.returncode == 0, found.stdout
    assert re.search(r"Operations: +([0-9]+) selected / \1 total", found.stdout)
    assert "Traceback" not in log.read_text()
