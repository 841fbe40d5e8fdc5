"""A job as it would run, worked out before anything is held or stored."""

import hashlib
import json
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from webapp.core.errors import FieldError, InvalidFieldsError, UpcubeError
from webapp.core.memo import remembered
from webapp.jobs.models import Lane
from webapp.jobs.result_sizes import (
    MAX_INLINE_RESULT_BYTES,
    MAX_INLINE_SAMPLED_BYTES,
    MAX_RESULT_BYTES,
    ResultTooLargeError,
    bound_result_bytes,
    bound_sampled_bytes,
    count_memory_bytes,
)
from webapp.jobs.tasks import Task
from webapp.quantum.backends import Backend, get_backend
from webapp.quantum.circuits import Circuit, Profile
from webapp.quantum.engines import (
    CircuitTooLargeError,
    RunRequest,
    UnsupportedCircuitError,
    get_capabilities,
)
from webapp.quantum.engines.base import check_request
from webapp.quantum.limits import MAX_SEED, MAX_SHOTS
from webapp.quantum.pricing import FREE, Price, add_prices, price_hardware_microcredits, price_microcredits
from webapp.quantum.router import Route, choose_engine

# What a request waits for at once is quick, and its result does not fill the web process.
MAX_INLINE_SECONDS = 0.1
# What may run before its price is held: refusing it then has cost no more than the rest of the request.
MAX_TINY_SECONDS = 0.002
# The parameters and options of a job, which every look at it reads, as JSON.
MAX_SETTINGS_BYTES = 512 * 1024


@dataclass(frozen=True)
class JobRequest:
    """What to run, as a program asked for it."""

    template_id: str | None
    circuit: Mapping[str, Any] | None
    circuits: Sequence[Mapping[str, Any]] | None
    parameters: Mapping[str, Any]
    options: Mapping[str, Any]
    backend_id: str
    shots: int
    seed: int | None = None
    name: str | None = None
    tags: Sequence[str] = ()
    metadata: Mapping[str, str] = field(default_factory=dict)
    max_microcredits: int | None = None
    # The quote that confirms the price.
    quote_id: str | None = None

    @remembered
    def digest(self) -> str:
        """Give the SHA-256 of all that is asked for. A confirmation asks for nothing else."""
        asked = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "quote_id"}
        return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()


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
class PlannedRun:
    """One circuit as it would run: on which engine, how large, and for how much."""

    circuit: Circuit
    request: RunRequest
    profile: Profile
    # None where the backend is not ours to route on, or none of its engines runs the circuit: `misfit` then says why.
    route: Route | None
    misfit: CircuitTooLargeError | UnsupportedCircuitError | None
    price: Price


@dataclass(frozen=True)
class Plan:
    """A job as it would run: its circuits, where, and for how much in all."""

    task: Task
    runs: tuple[PlannedRun, ...]
    backend: Backend
    lane: Lane
    price: Price
    max_microcredits: int | None
    # A test key's job: free, and tiny.
    is_test: bool

    @property
    def qubits(self) -> int:
        """Give the width of the widest circuit."""
        return max(run.profile.qubits for run in self.runs)

    @property
    def gates(self) -> int:
        """Give the gates of all circuits."""
        return sum(run.profile.gates for run in self.runs)

    @property
    def memory_bytes(self) -> int:
        """Give the memory of the largest run, or of its state vector where nothing runs it: they take turns."""
        return max(run.route.cost.memory_bytes if run.route else run.profile.memory_bytes for run in self.runs)

    @property
    def is_tiny(self) -> bool:
        """Tell whether it may run while Redis decides on its price: it takes less time than the rest of the request."""
        return self.lane is Lane.INLINE and sum(route.cost.seconds for route in self.routes) <= MAX_TINY_SECONDS

    @property
    def shots(self) -> int:
        """Give the shots of all circuits."""
        return sum(run.request.shots for run in self.runs)

    @property
    def misfit(self) -> CircuitTooLargeError | UnsupportedCircuitError | None:
        """Give why the first circuit that no engine runs is refused."""
        return next((run.misfit for run in self.runs if run.misfit), None)

    @property
    def routes(self) -> list[Route]:
        """Give the route of each circuit; none at all unless every circuit has one."""
        routes = [run.route for run in self.runs if run.route]
        return routes if len(routes) == len(self.runs) else []

    @property
    def engine(self) -> str | None:
        """Name the engine, or all of them where circuits differ."""
        return ", ".join(sorted({route.engine for route in self.routes})) or None

    @property
    def engine_reason(self) -> str | None:
        """Say why; of several circuits, how many run where."""
        reasons = {route.reason for route in self.routes}
        if len(reasons) <= 1:
            return reasons.pop() if reasons else None
        counted = Counter(route.engine for route in self.routes)
        return f"Each circuit runs where it is quickest: {', '.join(f'{n} on {name}' for name, n in counted.items())}."


def make_plan(request: JobRequest, *, limits: JobLimits, wants_worker: bool, is_test: bool) -> Plan:
    """Work out how the job would run; a seed is drawn where none was asked for.

    Raises NotFoundError, InvalidFieldsError, or what a program's reader raises.
    """
    task = Task(
        template_id=request.template_id,
        circuit=request.circuit,
        circuits=request.circuits,
        parameters=dict(request.parameters),
        options=dict(request.options),
        shots=request.shots,
        seed=secrets.randbelow(MAX_SEED + 1) if request.seed is None else request.seed,
    )
    check_settings(task)
    backend = get_backend(request.backend_id)
    runs = tuple(plan_run(circuit, wanted, backend, is_test=is_test) for circuit, wanted in task.make_circuits())
    for index, run in enumerate(runs):
        if run.misfit is not None:
            task.name_circuit(run.misfit, index)
    return Plan(
        task=task,
        runs=runs,
        backend=backend,
        lane=Lane.INLINE if is_small(task, runs, limits) and not wants_worker else Lane.WORKER,
        price=add_prices([run.price for run in runs]),
        max_microcredits=request.max_microcredits,
        is_test=is_test,
    )


def check_settings(task: Task) -> None:
    """Refuse parameters and options that are too long to be kept with the job. Raises InvalidFieldsError."""
    sizes = {"parameters": len(json.dumps(task.parameters)), "observables": len(json.dumps(task.options))}
    size_bytes, longest = sum(sizes.values()), max(sizes, key=lambda name: sizes[name])
    if size_bytes > MAX_SETTINGS_BYTES:
        message = f"The parameters and observables have {size_bytes} bytes as JSON."
        raise InvalidFieldsError([FieldError(longest, message, f"at most {MAX_SETTINGS_BYTES} bytes together")])


def plan_run(circuit: Circuit, request: RunRequest, backend: Backend, *, is_test: bool) -> PlannedRun:
    """Work out how one circuit would run."""
    profile = circuit.profile
    route, misfit = find_route(profile, backend, request)
    price = FREE if is_test else find_price(profile, backend, request)
    return PlannedRun(circuit, request, profile, route, misfit, price)


def is_small(task: Task, runs: Sequence[PlannedRun], limits: JobLimits) -> bool:
    """Tell whether a request may wait for the job: light engines, little work and time, and results that are small."""
    routes = [run.route for run in runs if run.route and get_capabilities(run.route.engine).is_light]
    if len(routes) < len(runs):
        return False
    return (
        sum(route.cost.work for route in routes) <= limits.max_inline_work
        and sum(route.cost.seconds for route in routes) <= MAX_INLINE_SECONDS
        and task.shots * len(runs) <= MAX_SHOTS
        and count_result_bytes(runs) <= MAX_INLINE_RESULT_BYTES
        and count_sampled_bytes(runs) <= MAX_INLINE_SAMPLED_BYTES
    )


def count_result_bytes(runs: Sequence[PlannedRun]) -> int:
    """Give the most that all results may take."""
    return sum(bound_result_bytes(run.profile, run.request, run.route.engine) for run in runs if run.route)


def count_sampled_bytes(runs: Sequence[PlannedRun]) -> int:
    """Give the most that is counted for means of observables."""
    return sum(bound_sampled_bytes(run.profile, run.request, run.route.cost.method) for run in runs if run.route)


def find_route(
    profile: Profile, backend: Backend, request: RunRequest
) -> tuple[Route | None, CircuitTooLargeError | UnsupportedCircuitError | None]:
    """Choose the engine, or give why none runs the circuit; both are None where the backend is not ours to route on."""
    if not backend.engines:
        return None, None
    try:
        return choose_engine(profile, request.demands, engines=backend.engines), None
    except (CircuitTooLargeError, UnsupportedCircuitError) as misfit:
        return None, misfit


def find_price(profile: Profile, backend: Backend, request: RunRequest) -> Price:
    """Price the run: by the engines of the backend, or as quantum computers are priced."""
    if not backend.engines:
        return price_hardware_microcredits(profile, request.shots)
    return price_microcredits(profile, request.demands, engines=tuple(backend.engines))


def check_engine(plan: Plan) -> None:
    """Refuse what the engine cannot do, before it is asked to; a backend without engines has been refused by its gate.

    Raises InvalidFieldsError, InvalidCircuitError, CircuitTooLargeError, UnsupportedCircuitError or
    ResultTooLargeError.
    """
    if plan.misfit is not None:
        raise plan.misfit
    for index, run in enumerate(plan.runs):
        if run.route is not None:
            engine = run.route.engine
            try:
                check_request(run.circuit, run.request, engine, get_capabilities(engine))
            except UpcubeError as error:
                plan.task.name_circuit(error, index)
                raise
    check_result_size(plan)


def check_result_size(plan: Plan) -> None:
    """Refuse a job whose result would not be kept. Raises ResultTooLargeError.

    How many different outcomes a circuit has is not known beforehand: a single one is refused for its memory alone, and
    fails without a charge where its counts come out too large. Of several circuits, what they may give is what counts.
    """
    if plan.task.is_single:
        size_bytes = sum(count_memory_bytes(run.profile, run.request) for run in plan.runs)
    else:
        size_bytes = count_result_bytes(plan.runs)
    if size_bytes > MAX_RESULT_BYTES:
        raise ResultTooLargeError(size_bytes, is_single=plan.task.is_single)
