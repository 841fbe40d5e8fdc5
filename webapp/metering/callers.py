"""Where calls come from."""

from typing import NamedTuple


class Caller(NamedTuple):
    """The address of a call, and what of the API it uses. An unknown address is in no network."""

    address: str = ""
    operation: str = ""


NOWHERE = Caller()

# Under which a job's charge is counted, whoever ran it.
RUN_JOB = "create_job"
