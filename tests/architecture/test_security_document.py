"""docs/security.md speaks of tests that exist, and of every requirement once."""

import re
from collections import Counter
from collections.abc import Iterator

from config import ROOT

DOCUMENT = ROOT / "docs/security.md"
# How many requirements of levels 1 and 2 each section of ASVS 5.0.0 has; they come first in their section.
SECTIONS = """
1.1:2 1.2:9 1.3:11 1.4:3 1.5:2 2.1:3 2.2:3 2.3:4 2.4:1 3.2:2 3.3:4 3.4:6 3.5:5 3.7:2 4.1:3 4.2:1 4.3:2 4.4:4
5.1:1 5.2:3 5.3:2 5.4:3 6.1:3 6.2:12 6.3:4 6.4:4 6.5:5 6.6:3 6.8:4 7.1:3 7.2:4 7.3:2 7.4:5 7.5:2 7.6:2
8.1:2 8.2:3 8.3:1 8.4:1 9.1:3 9.2:4 10.1:2 10.2:2 10.3:4 10.4:11 10.5:5 10.6:2 10.7:3
11.1:2 11.2:3 11.3:3 11.4:4 11.5:1 11.6:1 12.1:3 12.2:2 12.3:4 13.1:1 13.2:5 13.3:2 13.4:5 14.1:2 14.2:4 14.3:3
15.1:3 15.2:3 15.3:7 16.1:1 16.2:5 16.3:4 16.4:3 16.5:3 17.1:1 17.2:4 17.3:2
"""


def each_row() -> Iterator[list[str]]:
    """Give the rows of the tables of requirements as their cells."""
    for line in DOCUMENT.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if re.match(r"\d+\.\d+\.\d+", cells[0]):
            yield cells


def expand(text: str) -> Iterator[str]:
    """Give the numbers of a cell such as 1.2.6 to 1.2.8, 1.3.1."""
    for part in text.split(", "):
        first, _, last = part.partition(" to ")
        section, _, number = first.rpartition(".")
        end = int((last or first).rpartition(".")[2])
        assert not last or last.startswith(f"{section}."), part
        yield from (f"{section}.{each}" for each in range(int(number), end + 1))


def test_every_requirement_of_levels_1_and_2_is_spoken_of_once() -> None:
    counts = {section: int(count) for section, _, count in (each.partition(":") for each in SECTIONS.split())}
    wanted = {f"{section}.{number}" for section, count in counts.items() for number in range(1, count + 1)}
    found = Counter(number for cells in each_row() for number in expand(cells[0]))
    assert len(wanted) == 253
    assert set(found) == wanted
    assert [number for number, times in found.items() if times != 1] == []


def test_every_test_that_it_names_exists() -> None:
    named = set(re.findall(r"`(tests/[^`]+)`", DOCUMENT.read_text()))
    assert len(named) > 40
    assert [path for path in sorted(named) if not (ROOT / path).is_file()] == []


def test_what_is_said_to_be_met_names_a_test_or_says_why_not() -> None:
    for cells in each_row():
        assert len(cells) == 4, cells
        assert re.match(r"\*\*(met|partly|not met)\*\*|\*(by design|operator)\*", cells[2]), cells
        assert cells[3] or not cells[2].startswith("**met**"), cells
