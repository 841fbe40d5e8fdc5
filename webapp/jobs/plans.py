"""A job as it would run, worked out before anything is held or stored."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.jobs.execution import Work
from webapp.jobs.models import Lane
from webapp.quantum.backends import Backend, get_backend
from webapp.quantum.circuits import Circuit, Profile, measure
from webapp.quantum.engines import get_capabilities
from webapp.quantum.engines.base import check_request
from webapp.quantum.limits import MAX_SEED
from webapp.quantum.pricing import FREE, Price, price_microcredits
from webapp.quantum.router import Route, choose_engine


@dataclass(frozen=True)
class JobRequest:
    """A circuit to run, as a program asked for it. `digest` is of all that was asked for, but for `quote_id`."""

    template_id: str | None
    circuit: Mapping[str, Any] | None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    backend_id: str
    shots: int
    digest: str
    seed: int | None = None
    name: str | None = None
    max_microcredits: int | None = None
    # The quote that confirms the price.
    quote_id: str | None = None


@dataclass(frozen=True)
class JobLimits:
    """What the operator allows.

    `max_inline_work` is in amplitude updates; an account may have `max_concurrent_jobs` queued and running at one time;
    `timeout_seconds` is how long a worker lets a job run.
    """

    max_inline_work: int
    max_concurrent_jobs: int
    timeout_seconds: int
    workers: int


@dataclass(frozen=True)
class Plan:
    """A job as it would run: where, on which engine, how large, and for how much."""

    work: Work
    circuit: Circuit
    backend: Backend
    profile: Profile
    # None where the backend is not ours to route on.
    route: Route | None
    lane: Lane
    price: Price
    max_microcredits: int | None
    # A test key's job: free, and tiny.
    is_test: bool


def make_plan(request: JobRequest, *, limits: JobLimits, wants_worker: bool, is_test: bool) -> Plan:
    """Work out how the job would run; a seed is drawn where none was asked for.

    Raises NotFoundError, InvalidFieldsError, or what a program's reader raises.
    """
    work = Work(
        template_id=request.template_id,
        circuit=request.circuit,
        parameters=dict(request.parameters),
        options=dict(request.options),
        shots=request.shots,
        seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed,
    )
    circuit = work.make_circuit()
    profile = measure(circuit)
    backend = get_backend(request.backend_id)
    route = choose_engine(profile, engines=backend.engines) if backend.engines else None
    is_light = route is not None and get_capabilities(route.engine).is_light
    is_small = profile.gates << profile.qubits <= limits.max_inline_work
    return Plan(
        work=work,
        circuit=circuit,
        backend=backend,
        profile=profile,
        route=route,
        lane=Lane.INLINE if is_light and is_small and not wants_worker else Lane.WORKER,
        price=FREE if is_test else price_microcredits(profile, request.shots),
        max_microcredits=request.max_microcredits,
        is_test=is_test,
    )


def check_engine(plan: Plan) -> None:
    """Refuse what the engine cannot do, before it is asked to; a backend without engines has been refused by its gate.

    Raises InvalidFieldsError, InvalidCircuitError, CircuitTooLargeError or UnsupportedCircuitError.
    """
    if plan.route is not None:
        engine = plan.route.engine
        check_request(plan.circuit, plan.work.make_request(), engine, get_capabilities(engine))
