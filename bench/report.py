"""The table, the machine, and the file that they are written to."""

import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from config import ROOT

PATH = ROOT / "docs" / "benchmarks.md"

INTRODUCTION = """\
# Benchmarks

Written by `make bench` (a few minutes on 2 cores); nothing here is typed by hand. The program is `bench/`, and reads
from `bench/__main__.py`.

- What is compared is measured in turn, A B C A B C, in one run: a ratio is the median of its rounds' ratios, with the
  smallest and the largest beside it.
- CPU is user and system time of a whole server (or of the benchmark where none is named), all its processes and
  threads. The CPU of the Valkey that a row uses is a column of its own, in the order of the figures.
- All servers answer the same JSON, our `GET /templates/bell-state`. Granian serves those in Python, with the threads of
  the Procfile. wrk asks on 16 connections, with 1,000 keys in turn, so that none comes near its limit of 600 a minute.
- Ours counts every call and checks a second limit, the account's; the peers check the key's alone.
- A Bell job is `POST /jobs` with 1,024 shots of the template, answered with its result, and all that belongs to it: the
  key, limits, price, gates, hold, charge and usage. The bare work is the same request to a Flask view that has Qulacs
  run the circuit and inserts one row, on the same server with the same threads and the same kind of SQLite file. RQ is
  its worker as it comes, which forks for each job: asked by that view in place of Qulacs, which then inserts the row;
  and without HTTP, polled each millisecond.
- Rows of admission by keys call it in a loop, on one processor together with Valkey.
"""


@dataclass(frozen=True)
class Ratio:
    """One number for each round, and their middle."""

    rounds: Sequence[float]

    @property
    def middle(self) -> float:
        """The median."""
        return statistics.median(self.rounds)

    def __str__(self) -> str:
        """Write the median with its spread."""
        return f"**{self.middle:.2f}** ({min(self.rounds):.2f} to {max(self.rounds):.2f})"


def ratio_of(above: Sequence[float], below: Sequence[float]) -> Ratio:
    """Divide round by round."""
    return Ratio([one / other for one, other in zip(above, below, strict=True)])


@dataclass(frozen=True)
class Aim:
    """What a ratio should be."""

    text: str
    holds: Callable[[float], bool]


def at_most(bound: float) -> Aim:
    """Aim for this or less."""
    return Aim(f"≤ {bound:g}", lambda value: value <= bound)


def at_least(bound: float) -> Aim:
    """Aim for this or more."""
    return Aim(f"≥ {bound:g}", lambda value: value >= bound)


@dataclass(frozen=True)
class Row:
    """One line of the table. `figures` holds what the ratio was made of; `store` the CPU that Valkey took for it."""

    what: str
    ratio: Ratio
    figures: str
    store: str = ""
    aim: Aim | None = None

    @property
    def is_missed(self) -> bool:
        """Tell whether there is an aim that is not met."""
        return self.aim is not None and not self.aim.holds(self.ratio.middle)

    def __str__(self) -> str:
        """Write the line."""
        verdict = f"{self.aim.text}: {'**missed**' if self.is_missed else 'holds'}" if self.aim else ""
        cells = (self.what, str(self.ratio), verdict, self.figures, self.store)
        return f"| {' | '.join(cells)} |"


@dataclass
class Report:
    """What the run has found so far."""

    rows: list[Row] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def say(self, note: str) -> None:
        """Keep a note for the file, and show it now."""
        self.notes.append(note)
        show(note)

    def add(self, row: Row, *, why: str = "") -> None:
        """Keep a row, with the profile that says why if its aim is missed."""
        self.rows.append(row)
        if row.is_missed and why:
            self.notes.append(f"Why “{row.what}” is missed: {why}")

    def write(self, machine: str) -> str:
        """Write docs/benchmarks.md and give its text."""
        heading = "| what | ratio | aim | figures | Valkey's CPU |\n|---|---|---|---|---|"
        table = "\n".join([heading, *map(str, self.rows)])
        notes = "\n".join(f"- {note}" for note in self.notes)
        text = f"{INTRODUCTION}\n{machine}\n\n{table}\n\n## Notes\n\n{notes}\n"
        PATH.write_text(text)
        return text


def show(text: str) -> None:
    """Tell whoever waits what is going on."""
    print(text, flush=True)  # noqa: T201 - a program for the terminal


def middle(values: Sequence[float]) -> float:
    """Give the median."""
    return statistics.median(values)


def microseconds(seconds: float) -> str:
    """Write a time."""
    return f"{seconds * 1e6:,.0f} µs"


def describe_machine(load_before: float, seconds: float) -> str:
    """Say what the run ran on."""
    processor = _read("/proc/cpuinfo").splitlines()
    names = [line.partition(":")[2].strip() for line in processor if line.startswith("model name")]
    model = names[0] if names else platform.processor() or "an unknown processor"
    gibibytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    system = f"{platform.system()} {platform.release().split('-')[0]}"
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return (
        f"{os.cpu_count()} cores of {model}, {gibibytes:.0f} GiB, {system}, {python}. Load average {load_before:.2f} "
        f"before and {os.getloadavg()[0]:.2f} after a run of {seconds:.0f} s."
    )


def _read(path: str) -> str:
    file = Path(path)
    return file.read_text() if file.exists() else ""
