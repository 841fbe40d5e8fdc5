"""No secret is ever written down: not in logs, not in SQL, not in Redis, not in a task's arguments."""

import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from redis import Redis

from config import Settings
from tests.live import call, run_command, web_process

PASSWORD = "canary-password-8d1f"
WRONG_PASSWORD = "canary-wrong-password-77c2"
EMAIL = "canary@example.com"


class Browser:
    """As much of a browser as forms need."""

    def __init__(self, address: str) -> None:
        self.address = address
        self.cookies = http.cookiejar.CookieJar()
        self.opener = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self.cookies))

    def get(self, path: str) -> str:
        try:
            with self.opener.open(self.address + path) as answer:
                return str(answer.read(), "utf-8")
        except urllib.error.HTTPError as error:
            with error:
                return str(error.read(), "utf-8")

    def post(self, page: str, **fields: str) -> str:
        """Send the form of a page to the page's own address, with its CSRF token."""
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(page))
        assert token
        data = urllib.parse.urlencode({"csrf_token": token[1], **fields}).encode()
        try:
            with self.opener.open(self.address + page, data) as answer:
                return str(answer.read(), "utf-8")
        except urllib.error.HTTPError as error:
            with error:
                return str(error.read(), "utf-8")

    def cookie(self) -> str:
        """Give what the session's cookie holds now."""
        [value] = [cookie.value for cookie in self.cookies if cookie.name.endswith("upcube_session")]
        assert value
        return value


def use_everything(settings: Settings, log: Path) -> dict[str, str]:
    """Sign up, log in wrongly and rightly, make a key, use it in every right and wrong place; give what was secret."""
    with web_process(settings, log=log, LOG_REQUESTS="1") as api:
        address = api.partition("/api/")[0]
        browser = Browser(address)
        assert "Overview" in browser.post("/signup", email=EMAIL, password=PASSWORD)
        secrets = {"password": PASSWORD, "wrong password": WRONG_PASSWORD, "first cookie": browser.cookie()}
        page = browser.post("/console/api-keys", name="canary", scopes="jobs:write")
        found = re.search(r'id="new-key">(upcube_sk_\w+)<', page)
        assert found
        raw = found[1]
        # What lists show of it is its first six characters.
        secrets["key"] = raw.removeprefix("upcube_sk_")[6:]
        other = Browser(address)
        other.post("/login", email=EMAIL, password=WRONG_PASSWORD)
        other.post("/login", email=EMAIL, password=PASSWORD)
        secrets["second cookie"] = other.cookie()
        body = {"templateId": "bell-state", "shots": 10}
        assert call("POST", f"{api}/jobs", raw_key=raw, body=body).status == 201
        misuse(api, browser, raw)
    for arguments in (("metering", "flush"), ("ledger", "verify")):
        result = run_command(settings, *arguments)
        assert result.returncode == 0, result.stderr
    made = run_command(settings, "keys", "create", EMAIL, "--name", "operator", "--json")
    secrets["operator's key"] = json.loads(made.stdout)["key"].removeprefix("upcube_sk_")[6:]
    return secrets


def misuse(api: str, browser: Browser, raw: str) -> None:
    """Put the key where it does not belong; every answer is a refusal."""
    assert call("GET", f"{api}/me", raw_key=raw[:-1]).status == 401
    assert call("GET", f"{api}/{raw}", raw_key=raw).status in {400, 401, 404}
    assert call("POST", f"{api}/jobs?key={raw}", raw_key=raw, body={raw: raw, "shots": raw}).status in {400, 401, 422}
    assert call("POST", f"{api}/jobs", raw_key=raw, body={"templateId": raw, "shots": 1}).status in {404, 422}
    assert call("GET", f"{api}/jobs?cursor={raw}", raw_key=raw).status in {400, 401, 403, 422}
    browser.get(f"/console/jobs/{raw}?key={raw}")
    browser.post("/login", email=raw, password=raw)


def each_sql_value(settings: Settings) -> Iterator[tuple[str, str]]:
    """Give every value of every table with its place."""
    engine = sa.create_engine(settings.database_url)
    metadata = sa.MetaData()
    metadata.reflect(engine)
    with engine.connect() as connection:
        for table in metadata.sorted_tables:
            for row in connection.execute(sa.select(table)):
                yield from ((f"{table.name}.{name}", str(value)) for name, value in row._mapping.items())  # noqa: SLF001 - SQLAlchemy's public name
    engine.dispose()


def each_redis_value(url: str) -> Iterator[tuple[str, str]]:
    """Give every key of Redis with all that it holds, RQ's tasks among them."""
    reads = {b"hash": "HGETALL", b"set": "SMEMBERS", b"string": "GET", b"list": "LRANGE", b"zset": "ZRANGE"}
    with Redis.from_url(url) as client:
        for name in client.scan_iter():
            kind: Any = client.type(name)
            bounds = (0, -1) if kind in {b"list", b"zset"} else ()
            yield name.decode(), f"{name!r} {client.execute_command(reads[kind], name, *bounds)!r}"


def test_no_secret_is_written_down(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    secrets = use_everything(settings, log)
    written = [("log", log.read_text()), *each_sql_value(settings), *each_redis_value(settings.redis_url)]
    assert len(written) > 50
    assert '"request"' in written[0][1]
    found = [(where, what) for where, text in written for what, secret in secrets.items() if secret in text]
    assert found == []
