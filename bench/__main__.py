"""Measure everything, print the table and write docs/benchmarks.md. `--quick` is for work on the benchmark itself."""

import os
import sys
import tempfile
import time
from pathlib import Path

from bench.flushing import measure_flush, measure_flush_sizes
from bench.jobs import measure_jobs
from bench.report import Report, describe_machine, show
from bench.serving import measure_serving
from bench.sizes import measure_admission_sizes, measure_verify_sizes
from bench.systems import install_peers


def main() -> None:
    """Run the benchmark."""
    if not Path("/proc/self/stat").exists():
        sys.exit("The benchmark reads CPU times from /proc: it needs Linux.")
    quick = "--quick" in sys.argv
    show("Installing the peers (the first time only) …")
    problems = install_peers()
    load, start = os.getloadavg()[0], time.monotonic()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="upcube-bench-") as name:
        folder = Path(name)
        measure_serving(
            report, folder / "serving", rounds=2 if quick else 5, seconds=1 if quick else 3, problems=problems
        )
        measure_jobs(report, folder / "jobs", rounds=2 if quick else 5, seconds=1 if quick else 3)
        measure_flush(report, folder / "flush", rounds=1 if quick else 5)
        measure_admission_sizes(report, folder / "admission", rounds=1 if quick else 5)
        measure_flush_sizes(report, folder / "flush-sizes", rounds=1 if quick else 5)
        measure_verify_sizes(report, folder / "verify", rounds=1 if quick else 3)
    show(report.write(describe_machine(load, time.monotonic() - start)))


if __name__ == "__main__":
    main()
