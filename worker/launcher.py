"""`make run`: the embedded stores where they are wanted, the migrations, and the processes of the Procfile.

It imports nothing heavy: on a second start, everything that it does itself takes a tenth of a second.
"""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from config import ROOT, ConfigurationError, Settings, get_valkey_socket, load_settings
from worker.console import Console
from worker.embedded_valkey import ValkeyError, is_noise, is_ready, remove_socket_folder, valkey_command
from worker.preflight import (
    PreflightError,
    check_redis,
    describe_server,
    get_url_host,
    lock_data_dir,
    needs_migration,
    reserve_port,
)
from worker.reaper import Reaper
from worker.supervisor import Program, ProgramError, Supervisor, read_procfile

READY_SECONDS = 60.0
POLL_SECONDS = 0.03
REPLY_SECONDS = 2.0
PARENT_CHECK_SECONDS = 0.5
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def main(arguments: list[str]) -> int:
    """Run until told to stop; 0 after a clean stop, 1 with one sentence when it cannot go on."""
    # What this and its children write into DATA_DIR is their owner's alone, even where the folder was there before.
    os.umask(0o077)
    try:
        settings = load_settings()
        lock = lock_data_dir(settings.data_dir)
        address, reservation = reserve_port(settings.host, settings.port)
        parent = os.getppid() if "--with-parent" in arguments else None
        with reservation, contextlib.closing(Console()) as console:
            asyncio.run(run(replace(settings, host=address), lock, console, parent=parent))
    except (ConfigurationError, PreflightError, ProgramError, ValkeyError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except KeyboardInterrupt:
        return 0
    return 0


async def run(settings: Settings, lock: int, console: Console, *, parent: int | None) -> None:
    """Run everything until a signal asks to stop, or the parent is gone, and then stop all of it."""
    supervisor = Supervisor(
        console=console,
        reaper=Reaper(pass_fds=(lock,)),
        environ=make_environment(settings, os.environ),
        folder=ROOT,
    )
    loop = asyncio.get_running_loop()
    stop_asked = asyncio.Event()

    def ask_to_stop() -> None:
        if stop_asked.is_set():
            supervisor.kill_now()
        stop_asked.set()

    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, ask_to_stop)
    reasons = [stop_asked.wait(), supervisor.watch(), serve(settings, supervisor, console, lock)]
    if parent is not None:
        reasons.append(wait_until_orphaned(parent))
    tasks = [asyncio.ensure_future(reason) for reason in reasons]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
        console.write_line("upcube", "stopping")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await supervisor.stop()
        remove_socket_folder(settings.data_dir)


async def serve(settings: Settings, supervisor: Supervisor, console: Console, lock: int) -> None:
    """Start everything in the order that each part needs, say so when it answers, and stay."""
    started_at = time.monotonic()
    await asyncio.gather(start_redis(settings, supervisor, lock), migrate(settings, supervisor))
    programs = read_procfile(ROOT / "Procfile")
    supervisor.start(programs["web"])
    await wait_until_healthy(settings)
    supervisor.is_starting = False
    console.write(describe_instance(settings, seconds=time.monotonic() - started_at))
    # Starting these beside the web process, on two cores, would double the time until it answers.
    supervisor.start(programs["worker"])
    supervisor.start(programs["clock"])
    for number in range(1, settings.job_workers + 1):
        supervisor.start(replace(programs["jobs"], name=f"jobs.{number}"))
    await asyncio.Event().wait()


async def start_redis(settings: Settings, supervisor: Supervisor, lock: int) -> None:
    """Start the embedded Valkey, or check that the operator's Redis answers."""
    if settings.redis_is_embedded:
        socket = get_valkey_socket(settings.data_dir)
        command = valkey_command(settings.data_dir, socket)
        supervisor.start(Program("valkey", tuple(command), is_store=True, pass_fds=(lock,), is_noise=is_noise))
        await poll(lambda: is_ready(socket), "The embedded Valkey")
    else:
        await asyncio.to_thread(check_redis, "REDIS_URL", settings.redis_url)
    if settings.queue_redis_url != settings.redis_url:
        await asyncio.to_thread(check_redis, "QUEUE_REDIS_URL", settings.queue_redis_url)


async def migrate(settings: Settings, supervisor: Supervisor) -> None:
    """Bring the database to the newest migration; what Alembic says is shown only when it fails."""
    if not await asyncio.to_thread(needs_migration, settings.database_url):
        return
    lines: list[str] = []
    program = read_procfile(ROOT / "Procfile")["release"]
    status = await supervisor.run(program, lines.append)
    if status:
        sys.stderr.write("".join(f"{line}\n" for line in lines))
        raise ProgramError("The database could not be migrated; the lines above say why.")


async def wait_until_healthy(settings: Settings) -> None:
    """Return when the web process answers that it, SQL and Redis are well. Raises ProgramError after READY_SECONDS."""
    deadline = time.monotonic() + READY_SECONDS
    answer = "nothing"
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, TimeoutError):
            answer = await asyncio.wait_for(get_health(settings), REPLY_SECONDS)
        if " 200 " in answer:
            return
        await asyncio.sleep(POLL_SECONDS)
    raise ProgramError(f"The web process was not ready after {READY_SECONDS:.0f} s; /healthz answered {answer}.")


async def get_health(settings: Settings) -> str:
    """Give the status line of `GET /healthz`."""
    reader, writer = await asyncio.open_connection(get_url_host(settings.host).strip("[]"), settings.port)
    try:
        host = f"{get_url_host(settings.host)}:{settings.port}"
        writer.write(f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
        return (await reader.readline()).decode(errors="replace").strip() or "nothing"
    finally:
        writer.close()


async def poll(is_true: Callable[[], bool], name: str) -> None:
    """Return when something has become true. Raises ProgramError after READY_SECONDS."""
    deadline = time.monotonic() + READY_SECONDS
    while not await asyncio.to_thread(is_true):
        if time.monotonic() > deadline:
            raise ProgramError(f"{name} was not ready after {READY_SECONDS:.0f} s.")
        await asyncio.sleep(POLL_SECONDS)


async def wait_until_orphaned(parent: int) -> None:
    """Return when the process that started this one is gone: `make` was killed, and nobody could press Ctrl-C."""
    while os.getppid() == parent:  # noqa: ASYNC110  # nothing portable tells of a parent's end
        await asyncio.sleep(PARENT_CHECK_SECONDS)


def make_environment(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Give the processes what this one found out: absolute paths, the address, and this environment's commands."""
    return {
        **environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), environ.get("PATH", os.defpath)]),
        "PYTHONUNBUFFERED": "1",
        # A person reads what `make run` prints.
        "LOG_JSON": environ.get("LOG_JSON") or "0",
        "DATA_DIR": str(settings.data_dir),
        "DATABASE_URL": settings.database_url,
        "HOST": settings.host,
        "PORT": str(settings.port),
        "WEB_WORKERS": str(settings.web_workers),
    }


def describe_instance(settings: Settings, *, seconds: float) -> str:
    """Give the block that an operator reads: the address, where the data lives, how to stop."""
    database = "SQLite" if settings.database_url.startswith("sqlite") else describe_server(settings.database_url)
    redis = "Valkey" if settings.redis_is_embedded else describe_server(settings.redis_url)
    return f"""
  Upcube Quantum is ready ({seconds:.1f} s).

    Address   http://{get_url_host(settings.host)}:{settings.port}
    Data      {settings.data_dir}
    Stores    {database}, {redis}
    Stop      Ctrl-C

"""


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
