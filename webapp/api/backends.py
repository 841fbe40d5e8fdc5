"""Where circuits run."""

from collections.abc import Mapping

from webapp.api import api
from webapp.api.responses import BackendJson, BackendListJson
from webapp.authentication import key_required
from webapp.jobs.queue_depths import read_queue_depths
from webapp.quantum.backends import Backend, get_backend, list_backends


@api.get("/backends")
@key_required("backends:read")
def read_backends() -> BackendListJson:
    """List the backends."""
    depths = read_queue_depths()
    return {"backends": [render_backend(backend, depths) for backend in list_backends()]}


@api.get("/backends/<backend_id>")
@key_required("backends:read")
def read_backend(backend_id: str) -> BackendJson:
    """Give one backend."""
    return render_backend(get_backend(backend_id), read_queue_depths())


def render_backend(backend: Backend, depths: Mapping[str, int] | None) -> BackendJson:
    """Write a backend as JSON, with how many jobs are queued for it where that is known."""
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
        "queueDepth": None if depths is None else depths.get(backend.id, 0),
    }
