"""PostgreSQL and MariaDB for the tests: servers of the system's own packages, in a folder of their own."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.mlflow_server import free_port

KINDS = {"postgresql": ("postgres", "initdb"), "mysql": ("mariadbd", "mariadb-install-db")}
DRIVERS = {"postgresql": "psycopg2", "mysql": "pymysql"}
_START_SECONDS = 120


def missing(kind: str) -> list[str]:
    """Programs of this kind that are not installed."""
    return [name for name in KINDS[kind] if _program(name) is None]


@contextmanager
def database_server(kind: str, folder: Path) -> Iterator[str]:
    """A server with an empty database; its address for MLflow."""
    folder.mkdir()
    user = _unprivileged(kind, folder)
    port = free_port()
    make = {"postgresql": _postgresql, "mysql": _mysql}[kind]
    command, uri, ready = make(folder, port, user)
    with (folder / "server.log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, user=user)
        try:
            _wait(ready, process, folder / "server.log")
            yield uri
        finally:
            process.kill()  # nothing of it is needed any more
            process.wait(60)


def _postgresql(folder: Path, port: int, user: str | None) -> tuple[Sequence[str], str, Sequence[str]]:
    data, socket = str(folder / "data"), str(folder)
    _run([_path("initdb"), "-D", data, "-U", "league", "-A", "trust", "--no-sync"], user)
    command = [_path("postgres"), "-D", data, "-p", str(port), "-k", socket, "-h", "127.0.0.1", "-F"]
    ready = [
        _path("psql"),
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
        "-U",
        "league",
        "postgres",
        "-c",
        "CREATE DATABASE mlflow",
    ]
    return command, f"postgresql+psycopg2://league:pw@127.0.0.1:{port}/mlflow", ready


def _mysql(folder: Path, port: int, user: str | None) -> tuple[Sequence[str], str, Sequence[str]]:
    data, socket = str(folder / "data"), str(folder / "s")
    _run(
        [
            _path("mariadb-install-db"),
            "--no-defaults",
            f"--datadir={data}",
            "--skip-test-db",
            "--auth-root-authentication-method=normal",
        ],
        user,
    )
    command = [_path("mariadbd"), "--no-defaults", f"--datadir={data}", f"--socket={socket}", f"--port={port}",
               "--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}"]  # fmt: skip
    statement = (
        "CREATE DATABASE mlflow CHARACTER SET utf8mb4; CREATE USER league@'127.0.0.1' IDENTIFIED BY 'pw';"
        " GRANT ALL ON mlflow.* TO league@'127.0.0.1';"
    )
    ready = [_path("mariadb"), "--no-defaults", f"--socket={socket}", "--user=root", "-e", statement]
    return command, f"mysql+pymysql://league:pw@127.0.0.1:{port}/mlflow", ready


def _unprivileged(kind: str, folder: Path) -> str | None:
    """Both refuse to run as root: the package's own user then, to whom the folder goes."""
    if os.geteuid() != 0:
        return None
    name = {"postgresql": "postgres", "mysql": "mysql"}[kind]
    os.chown(folder, pwd.getpwnam(name).pw_uid, -1)
    return name


def _wait(ready: Sequence[str], process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + _START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        if subprocess.run(ready, capture_output=True, check=False, user=_of(process)).returncode == 0:
            return
        time.sleep(0.2)
    raise RuntimeError(f"the server did not start: {log.read_text(encoding='utf-8', errors='replace')[-2000:]}")


def _of(process: subprocess.Popen[bytes]) -> str | None:
    """The user that the server runs as, whom it lets in without a password."""
    owner = Path(f"/proc/{process.pid}").stat().st_uid
    return None if owner == os.geteuid() else pwd.getpwuid(owner).pw_name


def _run(command: Sequence[str], user: str | None) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, user=user)
    if done.returncode:
        raise RuntimeError(f"{command[0]}: {done.stderr[-2000:]}")


def _program(name: str) -> str | None:
    places = [*Path("/usr/lib/postgresql").glob("*/bin"), Path("/usr/sbin")]
    return shutil.which(name, path=os.pathsep.join([*map(str, places), os.environ.get("PATH", "")]))


def _path(name: str) -> str:
    found = _program(name)
    if found is None:
        raise RuntimeError(f"{name} is not installed")
    return found
