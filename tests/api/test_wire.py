"""Bytes on a socket, through the server that we run and through the one that developers run."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from flask import Flask
from werkzeug.serving import make_server

from config import Settings
from tests.api.helpers import assert_nothing_happened
from tests.factories import API, Account, Key
from tests.live import web_process
from tests.stores import PostgresqlStore, SqliteStore

Address = tuple[str, int]

BODY = b'{"templateId": "bell-state", "shots": 10}'
CHUNKED_BODY = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
POST = b"POST /api/quantum/v1/jobs HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
GET = b"GET /api/quantum/v1/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
AUTHORIZATION = b"Authorization: Bearer KEY\r\n"
FORM = b"POST /login HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/x-www-form-urlencoded\r\n"
LENGTH = b"Content-Length: %d\r\n" % len(BODY)

# What is sent, and the statuses that are right. KEY stands for a good key.
CASES: dict[str, tuple[bytes, set[int]]] = {
    "a good key": (GET + AUTHORIZATION + b"\r\n", {200}),
    "a good key among spaces": (GET + b"authorization:    bearer   KEY   \r\n\r\n", {200}),
    "chunked": (POST + AUTHORIZATION + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED_BODY, {411}),
    "Chunked": (POST + AUTHORIZATION + b"Transfer-Encoding: Chunked\r\n\r\n" + CHUNKED_BODY, {400, 411}),
    "chunked and long": (
        POST + AUTHORIZATION + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED_BODY,
        {400, 411},
    ),
    "no length": (POST + AUTHORIZATION + b"\r\n", {411}),
    "no length in HTTP 1.0": (POST.replace(b"1.1", b"1.0") + AUTHORIZATION + b"\r\n" + BODY, {411}),
    "a chunked form": (FORM + b"Transfer-Encoding: chunked\r\n\r\n" + CHUNKED_BODY, {411}),
    # A server that ends bodies by itself is not asked for one; of another nothing is read, and the form is empty.
    "a form without length": (FORM + b"\r\n", {411, 422}),
    "two lengths": (POST + AUTHORIZATION + LENGTH + b"Content-Length: 3\r\n\r\n" + BODY, {400}),
    "a length that is none": (POST + AUTHORIZATION + b"Content-Length: ten\r\n\r\n" + BODY, {400}),
    "a length with a sign": (POST + AUTHORIZATION + b"Content-Length: +41\r\n\r\n" + BODY, {400}),
    "longer than announced": (POST + AUTHORIZATION + b"Content-Length: 9\r\n\r\n" + BODY, {400}),
    "huge, and answered unread": (POST + AUTHORIZATION + b"Content-Length: 99999999\r\n\r\n", {413}),
    "huge, and nobody's": (POST + b"Content-Length: 99999999\r\n\r\n", {401}),
    "a good key twice": (GET + AUTHORIZATION * 2 + b"\r\n", {401}),
    "a good key and a bad one": (GET + AUTHORIZATION + b"Authorization: Bearer x\r\n\r\n", {401}),
    "a bad key and a good one": (GET + b"Authorization: Basic eDp5\r\n" + AUTHORIZATION + b"\r\n", {401}),
    "a header that looks like ours": (
        GET + b"HTTP_AUTHORIZATION: Bearer KEY\r\nAuthorization_: Bearer KEY\r\n\r\n",
        {401},
    ),
    "a key that is not ASCII": (GET + b"Authorization: Bearer \xff\xfe\xe9\r\n\r\n", {400, 401}),
    "a key with a NUL": (GET + b"Authorization: Bearer KEY\0\r\n\r\n", {400, 401}),
    "a key of 100 kB": (GET + b"Authorization: Bearer " + b"x" * 100_000 + b"\r\n\r\n", {401, 431}),
    "an address above the root": (
        GET.replace(b"/me", b"/../../../../etc/passwd") + AUTHORIZATION + b"\r\n",
        {400, 404},
    ),
    "an address with a NUL": (GET.replace(b"/me", b"/jobs/%00") + AUTHORIZATION + b"\r\n", {404}),
    "an address of bytes": (GET.replace(b"/me", b"/jobs/\xff\xfe") + AUTHORIZATION + b"\r\n", {400, 404}),
}


@pytest.fixture
def database_url(databases: dict[str, SqliteStore | PostgresqlStore], tmp_path: Path) -> Iterator[str]:
    """One database: what a server makes of bytes has nothing to do with which."""
    with databases["sqlite"].fresh(tmp_path) as url:
        yield url


@contextmanager
def development_server(app: Flask) -> Iterator[Address]:
    """Serve the application with Werkzeug, and give the address."""
    server = make_server("127.0.0.1", 0, app, threaded=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield ("127.0.0.1", server.port)
    server.shutdown()
    thread.join()
    server.server_close()


def exchange(address: Address, sent: bytes, *, hang_up: bool = False) -> bytes:
    """Send these bytes, hang up if told to, and give all that comes back."""
    answer = b""
    with socket.create_connection(address, timeout=10) as connection:
        connection.sendall(sent)
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        try:
            while part := connection.recv(65_536):
                answer += part
        except ConnectionResetError:
            # The server had answered, and closed with bytes of ours unread.
            pass
    return answer


def check_cases(address: Address, key: Key) -> None:
    for name, (sent, statuses) in CASES.items():
        answer = exchange(address, sent.replace(b"KEY", key.raw.encode()))
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1."), (name, answer)
        assert int(head.split(b" ")[1]) in statuses, (name, answer)
        assert key.raw[16:].encode() not in answer, name
        assert b"Traceback" not in body, name
    # Whoever hangs up in the middle of a body may get no answer, and certainly no job.
    cut_short = POST + AUTHORIZATION + b"Content-Length: 500\r\n\r\n" + BODY
    answer = exchange(address, cut_short.replace(b"KEY", key.raw.encode()), hang_up=True)
    assert not answer or answer.split(b" ")[1] == b"400"


def test_the_development_server_lets_through_what_is_right(app: Flask, account: Account, key: Key) -> None:
    with development_server(app) as address:
        check_cases(address, key)
    with app.app_context():
        assert_nothing_happened(account)


def test_the_server_that_we_run_lets_through_what_is_right(
    app: Flask, settings: Settings, account: Account, key: Key
) -> None:
    with web_process(settings) as url:
        assert url.endswith(API)
        parts = urlsplit(url)
        check_cases((str(parts.hostname), int(parts.port or 0)), key)
    with app.app_context():
        assert_nothing_happened(account)
