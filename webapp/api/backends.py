"""Where circuits run."""

from webapp.api import api
from webapp.api.responses import BackendJson, BackendListJson
from webapp.authentication import key_required
from webapp.jobs.models import JobStatus
from webapp.jobs.turns import count_jobs
from webapp.quantum.backends import Backend, get_backend, list_backends


@api.get("/backends")
@key_required("backends:read")
def read_backends() -> BackendListJson:
    """List the backends."""
    return {"backends": [render_backend(backend) for backend in list_backends()]}


@api.get("/backends/<backend_id>")
@key_required("backends:read")
def read_backend(backend_id: str) -> BackendJson:
    """Give one backend."""
    return render_backend(get_backend(backend_id))


def render_backend(backend: Backend) -> BackendJson:
    """Write a backend as JSON."""
    return {
        "id": backend.id,
        "name": backend.name,
        "description": backend.description,
        "kind": backend.kind,
        "status": backend.status,
        "statusReason": backend.status_reason,
        "qubits": backend.qubits,
        "maxShots": backend.max_shots,
        "gates": list(backend.gates),
        "engines": list(backend.engines),
        "price": backend.price,
        "queueDepth": count_jobs(JobStatus.QUEUED, backend=backend.id),
    }
