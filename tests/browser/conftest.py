"""A real server and a real browser. Any error on the browser's console fails the test that caused it."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Response, expect, sync_playwright

from config import Settings
from tests.live import run_command, web_process
from tests.stores import PostgresqlStore, SqliteStore, make_settings
from worker.embedded_valkey import running_valkey

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# A container has no user namespaces for the sandbox; the rest keeps the browser from calling home.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
TIMEOUT_MILLISECONDS = 15_000

Flush = Callable[[], None]
NewContext = Callable[..., BrowserContext]


@pytest.fixture(scope="session")
def live_settings(short_folder: Path, databases: dict[str, SqliteStore | PostgresqlStore]) -> Iterator[Settings]:
    """Stores that only the browser's server uses."""
    folder = short_folder / "browser"
    folder.mkdir()
    with running_valkey(folder) as redis_url, databases["sqlite"].fresh(folder) as database_url:
        yield make_settings(folder, DATABASE_URL=database_url, REDIS_URL=redis_url)


@pytest.fixture(scope="session")
def live_server(live_settings: Settings) -> Iterator[str]:
    """The address of a web process. Every test signs up users of its own."""
    with web_process(live_settings) as api:
        yield api.removesuffix("/api/quantum/v1")


@pytest.fixture
def flush(live_settings: Settings) -> Flush:
    """Bring usage to SQL now, as the worker does every few seconds."""

    def run() -> None:
        answer = run_command(live_settings, "metering", "flush")
        assert answer.returncode == 0, answer.stderr

    return run


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The system's Chromium."""
    path = next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip(f"NOT TESTED IN A BROWSER: none of {', '.join(BROWSERS)} is installed.")
    expect.set_options(timeout=TIMEOUT_MILLISECONDS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield browser
        browser.close()


@pytest.fixture
def new_context(browser: Browser, live_server: str) -> Iterator[NewContext]:
    """Open a fresh browser profile; whatever goes wrong on its pages fails the test."""
    problems: list[str] = []
    contexts: list[BrowserContext] = []

    def on_console(message: ConsoleMessage) -> None:
        # A page that is itself the answer to an error is what some tests are about; its parts are watched below.
        if message.type in {"error", "warning"} and not message.text.startswith("Failed to load resource"):
            problems.append(message.text)

    def on_response(response: Response) -> None:
        if response.status >= 400 and response.request.resource_type != "document":
            problems.append(f"{response.status} for {response.url}")

    def open_context(**options: object) -> BrowserContext:
        context = browser.new_context(base_url=live_server, **options)  # type: ignore[arg-type]  # Playwright's own
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=live_server)
        context.set_default_timeout(TIMEOUT_MILLISECONDS)
        context.on("console", on_console)
        context.on("weberror", lambda error: problems.append(str(error.error)))
        context.on("response", on_response)
        contexts.append(context)
        return context

    yield open_context
    for context in contexts:
        context.close()
    assert problems == []


@pytest.fixture
def page(new_context: NewContext) -> Page:
    """A page in a fresh browser profile."""
    return new_context(viewport={"width": 1280, "height": 900}).new_page()
