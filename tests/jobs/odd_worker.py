"""`python -m tests.jobs.odd_worker`: the worker of jobs, with an engine that does as it is told in place of qulacs."""

from tests.jobs import odd_engine
from webapp.quantum.engines import catalogue
from worker.__main__ import main

if __name__ == "__main__":
    entries = catalogue._ENTRIES  # noqa: SLF001 - the catalogue is where an engine is registered
    entries["qulacs"] = type(entries["qulacs"])(odd_engine.__name__, entries["qulacs"].capabilities)  # type: ignore[index]  # a Mapping to everybody else
    main(["jobs"])
