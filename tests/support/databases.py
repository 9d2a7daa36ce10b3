"""Real PostgreSQL and Redis servers on loopback, and outboxes on SQLite and PostgreSQL, for the tests.

Each is a context manager that stops its server, or closes its connections, when it ends.
"""

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
from redis import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from app.delivery.memory_store import MemoryStore
from app.delivery.outbox import Outbox
from tests.support.ports import free_port

BACKENDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.needs("postgres"))]


class Postgres:
    """A PostgreSQL server in a temporary folder, run by a user that is not root."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._bin = max(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
        self._user = "postgres" if os.geteuid() == 0 else None
        self.port = free_port()
        if self._user:
            shutil.chown(folder, self._user)
        self._run("initdb", "-D", folder / "data", "-A", "trust", "-U", "haumaru", "--no-instructions", "-E", "UTF8")

    def start(self) -> None:
        """Start the server, on loopback alone; what it writes lies in its folder."""
        options = f"-p {self.port} -k '' -c listen_addresses=127.0.0.1 -c max_connections=200"
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-o", options, "-l", self._folder / "log", "start")

    def stop(self) -> None:
        """Stop the server at once, as if the machine had lost its power."""
        self._run("pg_ctl", "-D", self._folder / "data", "-w", "-m", "immediate", "stop")

    def database(self) -> str:
        """Create an empty database; return its URL."""
        name = f"test_{secrets.token_hex(6)}"
        with psycopg.connect(self._address("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}")
        return self._address(name).replace("postgresql://", "postgresql+psycopg://")

    def _address(self, name: str) -> str:
        return f"postgresql://haumaru@127.0.0.1:{self.port}/{name}"

    def _run(self, program: str, *arguments: str | Path) -> None:
        command = [self._bin / program, *arguments]
        group = pwd.getpwnam(self._user).pw_gid if self._user else None
        subprocess.run(
            command,
            check=True,
            user=self._user,
            group=group,
            extra_groups=[] if self._user else None,
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )


@contextmanager
def postgres() -> Iterator[Postgres]:
    """Run a PostgreSQL server."""
    with tempfile.TemporaryDirectory(prefix="haumaru-postgres-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o755)
        server = Postgres(Path(folder))
        server.start()
        try:
            yield server
        finally:
            with suppress(subprocess.CalledProcessError):
                server.stop()


@dataclass(frozen=True)
class RedisServer:
    """A Redis that keeps nothing on disk."""

    port: int
    process: subprocess.Popen[bytes]

    @property
    def url(self) -> str:
        """The server's first database."""
        return f"redis://127.0.0.1:{self.port}"


@contextmanager
def redis_server() -> Iterator[RedisServer]:
    """Run a Redis server."""
    with tempfile.TemporaryDirectory(prefix="haumaru-redis-") as folder:
        port = free_port()
        options = ["--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--dir", folder]
        process = subprocess.Popen(
            [shutil.which("redis-server") or "redis-server", *options], stdout=subprocess.DEVNULL
        )
        try:
            _wait_for_redis(port)
            yield RedisServer(port, process)
        finally:
            process.terminate()
            try:
                process.wait(timeout=20)
            except subprocess.TimeoutExpired:  # now and then Redis closes its port and does not end
                process.kill()
                process.wait()


def _wait_for_redis(port: int, seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    with Redis(port=port) as client:
        while True:
            try:
                client.ping()
            except RedisConnectionError:
                assert time.monotonic() < end, "Redis does not answer"
                time.sleep(0.05)
            else:
                return


@contextmanager
def opened(url: str | Path, memory: MemoryStore | None = None) -> Iterator[Outbox]:
    """Open the outbox at a URL, or in a file of SQLite, and make what is missing in it."""
    box = Outbox(f"sqlite:///{url}" if isinstance(url, Path) else url, memory)
    box.prepare()
    try:
        yield box
    finally:
        box.database.close()
