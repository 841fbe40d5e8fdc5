"""The console's own files, at addresses that change with their contents: a browser asks for each of them once.

Text goes out compressed. Pages do not: they hold tokens beside what their address says, and how long such a page is
once compressed gives a token away (BREACH, https://breachattack.com).
"""

import gzip
import mimetypes
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from flask import Flask, Response, request

from webapp.answer_headers import STATIC_PATH
from webapp.authentication import public
from webapp.core.errors import NotFoundError

FOLDER = Path(__file__).parent / "static"
COMPRESSED = frozenset({".css", ".js", ".svg"})
LIFETIME_SECONDS = 31_536_000
VERSION_DIGITS = 12
# Not every system knows it.
mimetypes.add_type("font/woff2", ".woff2")


@dataclass(frozen=True)
class StaticFile:
    """What a file holds; compressed as well where that is worth it."""

    type: str
    whole: bytes
    compressed: bytes | None


def install(app: Flask) -> None:
    """Serve the files below a version of all of them, which what they refer to in each other has as well."""
    files = read_files(FOLDER)
    current = name_version(files)

    @app.url_defaults
    def add_version(endpoint: str, values: dict[str, Any]) -> None:
        if endpoint == "static":
            values["version"] = current

    @app.get(f"{STATIC_PATH}<version>/<path:filename>", endpoint="static")
    @public
    def serve(version: str, filename: str) -> Response:
        if filename not in files:
            raise NotFoundError("There is nothing at this address.")
        return answer_with(files[filename], is_current=version == current)


def read_files(folder: Path) -> dict[str, StaticFile]:
    """Read all files of the folder, by their paths in it."""
    found = {}
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        whole = path.read_bytes()
        found[path.relative_to(folder).as_posix()] = StaticFile(
            type=mimetypes.guess_type(path.name)[0] or "application/octet-stream",
            whole=whole,
            compressed=gzip.compress(whole, mtime=0) if path.suffix in COMPRESSED else None,
        )
    return found


def name_version(files: dict[str, StaticFile]) -> str:
    """Name what all files hold."""
    digests = "".join(f"{sha256(file.whole).hexdigest()} {name}\n" for name, file in files.items())
    return sha256(digests.encode()).hexdigest()[:VERSION_DIGITS]


def answer_with(file: StaticFile, *, is_current: bool) -> Response:
    """Give the file, to be kept for good where its address names the version that this process has.

    While processes of two versions run, one is asked for the other's files: it gives its own, which nobody is to keep.
    """
    is_compressed = file.compressed is not None and request.accept_encodings["gzip"] > 0
    answer = Response(file.compressed if is_compressed else file.whole, mimetype=file.type)
    if file.compressed is not None:
        answer.vary.add("Accept-Encoding")
    if is_compressed:
        answer.content_encoding = "gzip"
    if is_current:
        answer.cache_control.public = True
        answer.cache_control.max_age = LIFETIME_SECONDS
        answer.cache_control.immutable = True
    else:
        answer.cache_control.no_cache = True
    answer.add_etag()
    answer.make_conditional(request)
    return answer
