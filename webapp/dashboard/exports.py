"""Files that people take away: CSV (RFC 4180) and JSON, written line by line."""

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from flask import Response, stream_with_context


def write_csv(rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Write rows as lines of CSV."""
    for row in rows:
        line = io.StringIO()
        csv.writer(line).writerow(row)
        yield line.getvalue()


def as_text(cell: str) -> str:
    """Keep a spreadsheet from taking a cell that a stranger wrote for a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def write_json(rows: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Write rows as a JSON array with a line for each."""
    before = "[\n"
    for row in rows:
        yield before + json.dumps(row, ensure_ascii=False)
        before = ",\n"
    yield "[]\n" if before == "[\n" else "\n]\n"


def send_file(lines: Iterable[str], *, name: str, mimetype: str) -> Response:
    """Answer with a file that is written while it is sent."""
    return Response(
        stream_with_context(iter(lines)),
        mimetype=mimetype,
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
