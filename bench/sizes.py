"""Rows of cost against size: admission by keys, verification by transfers."""

import os
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

import sqlalchemy as sa

from bench.places import KEYS_PER_ACCOUNT, NOW, Place, place, request_id
from bench.processes import on_one_cpu, process_cpu_seconds
from bench.report import Report, Row, at_most, microseconds, middle, ratio_of, show
from webapp.core.db import transaction
from webapp.core.key_tokens import parse_token
from webapp.extensions import runtime
from webapp.metering.admission import Verdict, admit
from webapp.metering.rebuild import rebuild
from webapp.metering.verify import verify

KEYS = (1, 1_000, 100_000)
CALLS = 4_000
TRANSFERS = (10**4, 10**5, 10**6)

# A single key must not meet its limit. What a limit costs does not depend on its size.
UNLIMITED = {"KEY_RATE_LIMITS": "1000000/60", "ACCOUNT_RATE_LIMITS": "1000000/60"}

WHY_NOT_FLAT = (
    "no step of admission looks at more than its own key and account, so the number of steps is the same; a key that "
    "comes back only after 100,000 others finds its record in no processor cache, and its profile not among the 4,096 "
    "that a process keeps parsed. Both parts are in the figures: the caller's CPU, and Valkey's."
)

# Deterministic charges of one micro-credit, shared out among the accounts; the ledger's triggers apply.
CHARGES = """
INSERT INTO transfers
    (id, organisation_id, debit_account, credit_account, microcredits, reference, reason, created_at)
WITH RECURSIVE numbers (number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM numbers WHERE number < :transfers)
SELECT printf('tr_%026d', number), 'org_' || (number % :accounts), 'customer', 'revenue', 1,
    printf('hold:%026d', number), 'Benchmark', :at
FROM numbers
"""
USAGE = """
INSERT INTO usage (key_id, hour, calls, microcredits)
SELECT replace(organisation_id, 'org_', 'key_'), :at, 0, spent FROM balances
"""


def measure_admission_sizes(report: Report, folder: Path, *, rounds: int) -> None:
    """Admit calls of stores that hold more and more keys."""
    folder.mkdir()
    cpu: dict[int, list[float]] = {keys: [] for keys in KEYS}
    valkey: dict[int, list[float]] = {keys: [] for keys in KEYS}
    with ExitStack() as stack:
        show(f"Admission by keys: making {KEYS[-1]:,} keys")
        homes = {keys: stack.enter_context(place(folder / str(keys), keys=keys, **UNLIMITED)) for keys in KEYS}
        for number in range(rounds + 1):
            show(f"Admission by keys, round {number} of {rounds}" if number else "Admission by keys, warming up")
            for keys, home in homes.items():
                of_ours, of_valkey = admit_many(home, start=number * CALLS)
                cpu[keys].append(of_ours)
                valkey[keys].append(of_valkey)
    totals = {keys: [a + b for a, b in zip(cpu[keys][1:], valkey[keys][1:], strict=True)] for keys in KEYS}
    for keys in KEYS[1:]:
        figures = f"{microseconds(middle(cpu[keys][1:]))} / {microseconds(middle(cpu[KEYS[0]][1:]))} per call in a loop"
        store_figures = f"{microseconds(middle(valkey[keys][1:]))} / {microseconds(middle(valkey[KEYS[0]][1:]))}"
        what = f"Admission with {keys:,} keys ÷ with 1, CPU of caller and Valkey together"
        row = Row(what, ratio_of(totals[keys], totals[KEYS[0]]), figures, store_figures, at_most(1.25))
        report.add(row, why=WHY_NOT_FLAT)


def admit_many(home: Place, *, start: int) -> tuple[float, float]:
    """Admit calls, each with the next key; give the CPU seconds per call of this process and of Valkey."""
    raw_keys = [home.raw_keys[(start + number) % len(home.raw_keys)] for number in range(CALLS)]
    tokens = [token for raw in raw_keys if (token := parse_token(raw))]
    request_ids = [request_id() for _ in tokens]
    with home.used(), on_one_cpu(os.getpid(), home.valkey_pid):
        policy = runtime().policy
        admit(token=tokens[0], scope=None, price_microcredits=0, request_id=request_id(), policy=policy)
        cpu, valkey = time.process_time(), process_cpu_seconds(home.valkey_pid)
        admissions = [
            admit(token=token, scope="templates:read", price_microcredits=0, request_id=number, policy=policy)
            for token, number in zip(tokens, request_ids, strict=True)
        ]
        cpu, valkey = time.process_time() - cpu, process_cpu_seconds(home.valkey_pid) - valkey
    if any(admission.verdict is not Verdict.ADMITTED for admission in admissions):
        raise RuntimeError("a call was not admitted")
    return cpu / CALLS, valkey / CALLS


def measure_verify_sizes(report: Report, folder: Path, *, rounds: int, sizes: Sequence[int] = TRANSFERS) -> None:
    """Verify ledgers that hold more and more transfers."""
    folder.mkdir()
    cpu: dict[int, list[float]] = {transfers: [] for transfers in sizes}
    with ExitStack() as stack:
        homes = {}
        for transfers in sizes:
            show(f"Verify by transfers: making {transfers:,}")
            homes[transfers] = stack.enter_context(place(folder / str(transfers), keys=10 * KEYS_PER_ACCOUNT))
            add_charges(homes[transfers], transfers)
        for number in range(rounds):
            show(f"Verify by transfers, round {number + 1} of {rounds}")
            for transfers, home in homes.items():
                cpu[transfers].append(verify_once(home) / transfers)
    for transfers in sizes[1:]:
        figures = f"{middle(cpu[transfers]) * 1e6:.2f} / {middle(cpu[sizes[0]]) * 1e6:.2f} µs CPU per transfer; "
        figures += f"{middle(cpu[transfers]) * transfers:.2f} / {middle(cpu[sizes[0]]) * sizes[0]:.2f} s in all"
        what = f"`ledger verify` per transfer, {transfers:,} transfers ÷ {sizes[0]:,}"
        report.add(Row(what, ratio_of(cpu[transfers], cpu[sizes[0]]), figures))


def add_charges(home: Place, transfers: int) -> None:
    """Insert the charges with what belongs to them, and tell Redis."""
    with home.used():
        values = {"transfers": transfers, "accounts": 10, "at": NOW.strftime("%Y-%m-%d %H:%M:%S.%f")}
        with transaction() as session:
            session.execute(sa.text(CHARGES), values)
            session.execute(sa.text(USAGE), values)
        rebuild()


def verify_once(home: Place) -> float:
    """Verify, insist that nothing differs, and give the CPU seconds that it took."""
    with home.used():
        start = time.process_time()
        found = verify()
        taken = time.process_time() - start
    if found:
        raise RuntimeError(f"the ledger differs: {found[0]}")
    return taken
