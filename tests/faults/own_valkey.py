"""A Valkey of a test's own, to be killed and started again."""

import signal
import subprocess
from pathlib import Path

from tests.live import wait_until
from worker.embedded_valkey import is_ready, valkey_command


class OwnValkey:
    """The embedded Valkey without anybody who starts it again."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.socket = folder / "own.sock"
        self.start()

    def start(self) -> None:
        # Not `everysec`, as else: while a busy disk syncs, it keeps back for up to two seconds what it has answered,
        # and a kill would lose that. What is asked here is what becomes of what the file has, and has not.
        command = [*valkey_command(self.folder, self.socket), "--appendfsync", "no"]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: is_ready(self.socket))

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def restart(self) -> None:
        self.kill()
        self.start()
