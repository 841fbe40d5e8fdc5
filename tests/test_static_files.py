"""The console's files, as browsers ask for them."""

import gzip
import re

from flask.testing import FlaskClient

from webapp.static_files import FOLDER


def test_a_page_s_files_are_kept_for_good_and_go_out_compressed(client: FlaskClient) -> None:
    paths = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', client.get("/").text))
    assert len(paths) > 8
    for path in paths:
        answer = client.get(path, headers={"Accept-Encoding": "br, gzip"})
        assert answer.status_code == 200
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert "Set-Cookie" not in answer.headers
        whole = (FOLDER / path.split("/", 3)[3]).read_bytes()
        if path.endswith(".woff2"):
            assert (answer.mimetype, answer.data) == ("font/woff2", whole)
            assert "Vary" not in answer.headers
        else:
            assert answer.headers["Content-Encoding"] == "gzip"
            assert answer.headers["Vary"] == "Accept-Encoding"
            assert gzip.decompress(answer.data) == whole
            assert len(answer.data) < len(whole)


def test_who_takes_no_compressed_files_gets_them_whole(client: FlaskClient) -> None:
    answer = client.get("/static/0/styles/base.css", headers={"Accept-Encoding": "gzip;q=0"})
    assert answer.data == (FOLDER / "styles" / "base.css").read_bytes()
    assert "Content-Encoding" not in answer.headers


def test_files_of_another_version_are_given_and_not_kept(client: FlaskClient) -> None:
    answer = client.get("/static/0/styles/base.css")
    assert answer.headers["Cache-Control"] == "no-cache"
    again = client.get("/static/0/styles/base.css", headers={"If-None-Match": answer.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_nothing_outside_of_the_folder_is_given(client: FlaskClient) -> None:
    for path in ("../static_files.py", "%2e%2e/static_files.py", "styles/../../__init__.py", "styles"):
        assert client.get(f"/static/0/{path}").status_code == 404


def test_pages_are_not_compressed(client: FlaskClient) -> None:
    answer = client.get("/login", headers={"Accept-Encoding": "gzip"})
    assert answer.status_code == 200
    assert "Content-Encoding" not in answer.headers
