"""A job as it would run, worked out before anything is held or stored."""

import hashlib
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from webapp.jobs.execution import Work
from webapp.jobs.models import Lane
from webapp.quantum.backends import Backend, get_backend
from webapp.quantum.circuits import Circuit, Profile, measure
from webapp.quantum.engines import (
    CircuitTooLargeError,
    RunRequest,
    UnsupportedCircuitError,
    get_capabilities,
)
from webapp.quantum.engines.base import check_request
from webapp.quantum.limits import MAX_SEED, MAX_SHOTS
from webapp.quantum.pricing import FREE, Price, price_hardware_microcredits, price_microcredits
from webapp.quantum.router import Route, choose_engine

# What a request waits for at once is quick, and its result does not fill the web process.
MAX_INLINE_SECONDS = 0.1
MAX_INLINE_RESULT_CHARACTERS = 4_000_000


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

    `max_inline_work` is in amplitude updates, beside which MAX_INLINE_SECONDS holds; an account may have
    `max_concurrent_jobs` queued and running at one time; `timeout_seconds` is how long a worker lets a job run.
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
    # None where the backend is not ours to route on, or none of its engines runs the circuit: `misfit` then says why.
    route: Route | None
    misfit: CircuitTooLargeError | UnsupportedCircuitError | None
    lane: Lane
    price: Price
    max_microcredits: int | None
    # A test key's job: free, and tiny.
    is_test: bool


def digest_request(body: Mapping[str, Any]) -> str:
    """Give the SHA-256 of what a body asks for, however it is written. A confirmation asks for nothing else."""
    asked = {name: value for name, value in body.items() if name != "confirm"}
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


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
    route, misfit = find_route(profile, backend, work.make_request())
    is_small = is_inline(profile, route, work, limits=limits)
    return Plan(
        work=work,
        circuit=circuit,
        backend=backend,
        profile=profile,
        route=route,
        misfit=misfit,
        lane=Lane.INLINE if is_small and not wants_worker else Lane.WORKER,
        price=FREE if is_test else find_price(profile, backend, route, work.make_request()),
        max_microcredits=request.max_microcredits,
        is_test=is_test,
    )


def is_inline(profile: Profile, route: Route | None, work: Work, *, limits: JobLimits) -> bool:
    """Tell whether the web process may run the job, by its engine, its work, its time and the size of its result."""
    if route is None or not get_capabilities(route.engine).is_light:
        return False
    outcomes = min(work.shots, 1 << min(profile.measurements, MAX_SHOTS.bit_length()))
    bitstrings = outcomes + (work.shots if work.options.get("memory") else 0)
    return (
        route.cost.work <= limits.max_inline_work
        and route.cost.seconds <= MAX_INLINE_SECONDS
        and bitstrings * profile.clbits <= MAX_INLINE_RESULT_CHARACTERS
    )


def find_route(
    profile: Profile, backend: Backend, request: RunRequest
) -> tuple[Route | None, CircuitTooLargeError | UnsupportedCircuitError | None]:
    """Choose the engine, or give why none runs the circuit; both are None where the backend is not ours to route on."""
    if not backend.engines:
        return None, None
    try:
        return choose_engine(
            profile,
            engines=backend.engines,
            noise=request.noise,
            shots=request.shots,
            wants_statevector=request.wants_statevector,
            observable_terms=request.observable_terms,
        ), None
    except (CircuitTooLargeError, UnsupportedCircuitError) as misfit:
        return None, misfit


def find_price(profile: Profile, backend: Backend, route: Route | None, request: RunRequest) -> Price:
    """Price the run: by the engine that it is routed to, or as quantum computers are priced."""
    if not backend.engines:
        return price_hardware_microcredits(profile, request.shots)
    return price_microcredits(
        profile,
        request.shots,
        engine=route.engine if route else None,
        noise=request.noise,
        wants_statevector=request.wants_statevector,
        observable_terms=request.observable_terms,
    )


def check_engine(plan: Plan) -> None:
    """Refuse what the engine cannot do, before it is asked to; a backend without engines has been refused by its gate.

    Raises InvalidFieldsError, InvalidCircuitError, CircuitTooLargeError or UnsupportedCircuitError.
    """
    if plan.misfit is not None:
        raise plan.misfit
    if plan.route is not None:
        engine = plan.route.engine
        check_request(plan.circuit, plan.work.make_request(), engine, get_capabilities(engine))
