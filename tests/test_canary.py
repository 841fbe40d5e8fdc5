"""No secret is ever written down: not in logs, not in SQL, not in Redis, not in a task's arguments."""

import http.cookiejar
import json
import re
import urllib.error
import urllib.parse
import urllib.request
import zlib
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from redis import Redis

from config import Settings
from tests.accounts.steps import make_code
from tests.live import call, run_command, wait_until, web_process, worker_process

PASSWORD = "canary-password-8d1f"
NEW_PASSWORD = "canary-new-password-41aa"
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

    def post(self, page: str, *, to: str | None = None, **fields: str) -> str:
        """Send a form of a page, to the page's own address or another, with its CSRF token."""
        token = re.search(r'name="csrf_token"[^>]*value="([^"]+)"', self.get(page))
        assert token
        data = urllib.parse.urlencode({"csrf_token": token[1], **fields}).encode()
        try:
            with self.opener.open(self.address + (to or page), data) as answer:
                return str(answer.read(), "utf-8")
        except urllib.error.HTTPError as error:
            with error:
                return str(error.read(), "utf-8")

    def cookie(self, name: str = "upcube_session") -> str:
        """Give what a cookie holds now."""
        [value] = [cookie.value for cookie in self.cookies if cookie.name == name]
        assert value
        return value

    def session_token(self) -> str:
        """Give the token of the log-in, which the session's cookie carries."""
        payload = self.cookie().removeprefix(".").partition(".")[0]
        text = urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
        token: str = json.loads(zlib.decompress(text) if self.cookie().startswith(".") else text)["_user_id"]
        return token


def use_everything(settings: Settings, log: Path) -> dict[str, str]:
    """Sign up, log in wrongly and rightly, make a key, use it in every right and wrong place; give what was secret."""
    with web_process(settings, log=log, LOG_REQUESTS="1", OUTBOX="1") as api:
        address = api.partition("/api/")[0]
        browser = Browser(address)
        assert "Overview" in browser.post("/signup", email=EMAIL, password=PASSWORD)
        secrets = {"password": PASSWORD, "wrong password": WRONG_PASSWORD, "new password": NEW_PASSWORD}
        secrets |= {"first cookie": browser.cookie(), "first token": browser.session_token()}
        page = browser.post("/console/api-keys", name="canary", scopes="jobs:write")
        found = re.search(r'id="new-key">(upcube_sk_\w+)<', page)
        assert found
        raw = found[1]
        # What lists show of it is its first six characters.
        secrets["key"] = raw.removeprefix("upcube_sk_")[6:]
        secrets |= manage_keys(api, browser)
        secrets |= use_letters(settings, browser) | add_second_factor(browser, address)
        other = Browser(address)
        other.post("/login", email=EMAIL, password=WRONG_PASSWORD)
        other.post("/login", email=EMAIL, password=NEW_PASSWORD)
        secrets["ticket's cookie"] = other.cookie()
        code = secrets["a recovery code"]
        assert "Overview" in other.post("/login/code", code=code)
        secrets |= {"second cookie": other.cookie(), "second token": other.session_token()}
        secrets["device"] = other.cookie("upcube_device")
        body = {"templateId": "bell-state", "shots": 10}
        assert call("POST", f"{api}/jobs", raw_key=raw, body=body).status == 201
        misuse(api, browser, raw)
    for arguments in (("metering", "flush"), ("ledger", "verify")):
        result = run_command(settings, *arguments)
        assert result.returncode == 0, result.stderr
    made = run_command(settings, "keys", "create", EMAIL, "--name", "operator", "--json")
    secrets["operator's key"] = json.loads(made.stdout)["key"].removeprefix("upcube_sk_")[6:]
    return secrets


def find(pattern: str, text: str) -> str:
    """Give the first group of what must be there."""
    found = re.search(pattern, text)
    assert found, pattern
    return found[1]


def manage_keys(api: str, browser: Browser) -> dict[str, str]:
    """Make keys by the API, rotate them by it and by the console, and report one: give what they were."""
    fields = {"name": "manager", "scopes": "keys:write"}
    manager = find(r'id="new-key">(upcube_sk_\w+)<', browser.post("/console/api-keys", **fields))
    made = call("POST", f"{api}/keys", raw_key=manager, body={"name": "made", "scopes": ["keys:write"]})
    assert made.status == 201, made.body
    key_id = made.body["id"]
    rotated = call("POST", f"{api}/keys/{key_id}/rotate", raw_key=manager, body={"graceSeconds": 3600})
    assert rotated.status in {200, 201}, rotated.body
    page = f"/console/api-keys/{key_id}"
    again = find(r'id="new-key">(upcube_sk_\w+)<', browser.post(page, to=f"{page}/rotate", grace="3600"))
    report = {"token": again, "url": "https://example.com/leak"}
    assert call("POST", f"{api}/keys/report-leak", body=report).status == 202
    assert call("POST", f"{api}/keys/report-leak", body={"token": again, "type": again, "x": again}).status in {
        202,
        422,
    }
    raws = {"manager": manager, "made": made.body["key"], "rotated": rotated.body["key"], "rotated again": again}
    return {what: raw.removeprefix("upcube_sk_")[6:] for what, raw in raws.items()}


def use_letters(settings: Settings, browser: Browser) -> dict[str, str]:
    """Open what was mailed: to verify, to come into an organisation, and to reset a password."""
    verification = find(r"/verify/([\w.-]+)", browser.get("/outbox"))
    browser.get(f"/verify/{verification}")
    browser.post("/verify")
    browser.post("/console/organisations/new", name="canaries")
    page = "/console/organisation"
    browser.post(page, to=f"{page}/invitations", email="other@example.com", role="viewer")
    invitation = find(r"/invitations/([\w.-]+)", browser.get("/outbox"))
    browser.get(f"/invitations/{invitation}")
    forgetful = Browser(browser.address)
    forgetful.post("/reset", email=EMAIL)
    # The letter is written by a task, so that the answer takes as long for an unknown address.
    with worker_process(settings, "work"), worker_process(settings, "clock"):
        wait_until(lambda: "/reset/" in browser.get("/outbox"))
    reset = find(r"/reset/([\w.-]+)", browser.get("/outbox"))
    forgetful.get(f"/reset/{reset}")
    holding = forgetful.cookie()
    forgetful.post("/reset/password", password=NEW_PASSWORD)
    forgetful.get(f"/reset/{reset}")
    assert "Overview" in browser.post("/login", email=EMAIL, password=NEW_PASSWORD)
    return {"verification": verification, "invitation": invitation, "reset": reset, "reset's cookie": holding}


def add_second_factor(browser: Browser, address: str) -> dict[str, str]:
    """Add an authenticator app, and ask for a passkey; give what an app, a list of codes and a browser would hold."""
    page = "/console/settings/second-factors"
    shown = browser.post(page, to=f"{page}/authenticator/new")
    secret = find(r'id="secret">([A-Z2-7]+)<', shown)
    codes = find(r'id="codes">([^<]+)<', browser.post(f"{page}/authenticator", code=make_code(secret))).split()
    challenge = json.loads(Browser(address).post("/login", to="/login/passkey/options"))["challenge"]
    browser.post("/login", to="/login/passkey", response=json.dumps({"id": challenge}))
    return {
        "authenticator's secret": secret,
        "challenge": challenge,
        "a recovery code": codes[0],
        **{f"recovery code {number}": code for number, code in enumerate(codes[1:])},
    }


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
    reads = {b"hash": "HGETALL", b"set": "SMEMBERS", b"string": "GET"}
    ranges = {b"list": ("LRANGE", 0, -1), b"zset": ("ZRANGE", 0, -1), b"stream": ("XRANGE", "-", "+")}
    with Redis.from_url(url) as client:
        for name in client.scan_iter():
            kind: Any = client.type(name)
            command, *bounds = ranges.get(kind) or (reads[kind],)
            yield name.decode(), f"{name!r} {client.execute_command(command, name, *bounds)!r}"


def test_no_secret_is_written_down(settings: Settings, tmp_path: Path) -> None:
    log = tmp_path / "web.log"
    secrets = use_everything(settings, log)
    written = [("log", log.read_text()), *each_sql_value(settings), *each_redis_value(settings.redis_url)]
    assert len(written) > 50
    assert '"request"' in written[0][1]
    found = [(where, what) for where, text in written for what, secret in secrets.items() if secret in text]
    assert found == []
