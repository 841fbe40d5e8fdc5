"""A process that deletes all results, for a test that kills it: `python -m tests.jobs.pruner`."""

import os

from config import load_settings
from tests.factories import now
from webapp import create_app
from webapp.jobs.pruning import prune_results

if __name__ == "__main__":
    with create_app(load_settings(os.environ)).app_context():
        prune_results(before=now())
