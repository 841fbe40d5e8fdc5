"""Rules of the house that no linter knows."""

import ast
import importlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from config import ROOT
from webapp.accounts.roles import MAY, Permission
from webapp.authentication import KeyRequired, LoginRequired, Public, get_authentication
from worker.schedule import list_periodic_tasks

HEAVY = ["qulacs", "stim", "qsimcirq", "cirq", "qiskit", "qiskit_aer", "numpy", "scipy"]

PUBLIC = {
    "static",
    "dashboard.landing",
    "dashboard.sign_up_page",
    "dashboard.log_in",
    "dashboard.second_factor",
    "dashboard.passkey_log_in_options",
    "dashboard.passkey_log_in",
    "dashboard.reset",
    "dashboard.open_reset_link",
    "dashboard.new_password",
    "dashboard.open_verification_link",
    "dashboard.verify",
    "dashboard.outbox",
    "dashboard.docs",
    # Whoever has the link: it came by mail.
    "dashboard.invitation",
    "health.read_health",
    "api.read_openapi",
    # The leaked key itself, or a signature, is the proof.
    "api.report_leaked_key",
}

# Pages that concern the person who is logged in, whatever their role where; or operators, whatever their organisations.
PERSONAL = re.compile(
    "/admin.*|/logout|/invitations/.*|/console/(activity.*|confirm(/.*)?|settings.*|organisation/leave|organisations/(new|switch))"
)


def sources(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]


def test_every_route_declares_its_authentication_and_few_are_public(app: Flask) -> None:
    declared = {endpoint: get_authentication(app, endpoint) for endpoint in app.view_functions}
    assert {endpoint for endpoint, found in declared.items() if isinstance(found, Public)} <= PUBLIC


def test_every_page_of_the_console_declares_the_permission_that_it_needs(app: Flask) -> None:
    for rule in app.url_map.iter_rules():
        declared = get_authentication(app, rule.endpoint)
        if isinstance(declared, LoginRequired):
            assert (declared.permission is None) == bool(PERSONAL.fullmatch(rule.rule)), rule


def test_every_permission_has_its_line_in_the_table_and_a_use() -> None:
    assert set(MAY) == set(Permission)
    code = "".join(path.read_text() for path in sources("webapp"))
    assert [permission for permission in Permission if f"Permission.{permission.name})" not in code] == []


def test_every_form_of_the_console_says_which_organisation_it_was_made_for() -> None:
    for path in sorted((ROOT / "webapp/templates").glob("*.html")):
        text = path.read_text()
        # Settings are a person's own, whatever organisation they look at.
        if path.name.startswith("settings") or ("console.html" not in text and path.name != "console.html"):
            continue
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", text, re.DOTALL):
            assert "{{ form_guard() }}" in form, path.name


def test_every_api_route_needs_a_key(app: Flask) -> None:
    rules = [rule for rule in app.url_map.iter_rules() if rule.rule.startswith("/api/")]
    assert rules
    for rule in rules:
        if rule.endpoint not in PUBLIC:
            assert isinstance(get_authentication(app, rule.endpoint), KeyRequired), rule


def test_a_route_without_declared_authentication_is_refused(app: Flask) -> None:
    app.view_functions["forgotten"] = lambda: ""
    with pytest.raises(RuntimeError, match="forgotten declares no authentication"):
        get_authentication(app, "forgotten")


def list_files_with(pattern: str) -> list[str]:
    return [str(path.relative_to(ROOT)) for path in sources("webapp", "worker") if re.search(pattern, path.read_text())]


def test_there_is_one_place_that_commits() -> None:
    # The driver's connection hands on what the one place tells it, which alone makes such connections.
    assert list_files_with(r"\.commit\(") == ["webapp/core/db.py", "webapp/core/driver.py", "webapp/migrations/env.py"]
    assert list_files_with(r"\bDriverConnection\(") == ["webapp/core/db.py"]
    assert list_files_with(r"\braw_connection\b") == ["webapp/core/driver.py"]
    assert (ROOT / "webapp/core/db.py").read_text().count(".commit(") == 1


def test_edges_speak_neither_sql_nor_redis() -> None:
    spoken = re.compile(r"^(from|import) (sqlalchemy|redis)\b|\bstore\.client\b|db\.session", re.MULTILINE)
    allowed = {ROOT / "webapp/admin/health.py"}
    found = [
        path for path in sources("webapp/api", "webapp/dashboard", "webapp/admin") if spoken.search(path.read_text())
    ]
    assert set(found) <= allowed


def test_every_periodic_task_resolves() -> None:
    for periodic in list_periodic_tasks(flush_interval_seconds=5):
        module, _, name = periodic.task.rpartition(".")
        assert callable(getattr(importlib.import_module(module), name))


def test_the_web_process_loads_no_engine_before_it_is_needed(tmp_path: Path) -> None:
    program = f"import sys, wsgi; print([name for name in {HEAVY!r} if name in sys.modules])"
    environ = {"PATH": os.environ["PATH"], "DATA_DIR": str(tmp_path)}
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environ, capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"


def test_imports_go_downwards_only() -> None:
    lint = subprocess.run(
        [str(Path(sys.executable).with_name("lint-imports")), "--no-cache"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert lint.returncode == 0, lint.stdout


def test_migrations_match_the_models(app: Flask) -> None:
    answer = app.test_cli_runner().invoke(args=["db", "check"])
    assert answer.exit_code == 0, answer.output


def test_no_function_is_too_long_to_read_at_once() -> None:
    long_functions = []
    for path in sources("webapp", "worker"):
        if "migrations" in path.parts:
            continue
        tree = ast.parse(path.read_text())
        long_functions += [
            f"{path.name}:{node.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.FunctionDef) and (node.end_lineno or 0) - node.lineno > 55
        ]
    assert long_functions == []
