"""A `python` for the sessions under test that has imported already what every one of them imports.

Its commands are forks of one process, each with its own arguments, environment, folder, files and exit code. An
interpreter of its own takes three seconds to come as far, and a session with the leak guard starts three of them.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import io
import json
import os
import py_compile
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
import traceback
import types
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH_SEED = "1"  # what the leak guard asks for; with another one an interpreter has to be started
# A fork has none of the threads that compiled code would start on import.
ENVIRONMENT = {
    **dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1"),
    "JE_ARROW_MALLOC_CONF": "background_thread:false",
    "PYTHONHASHSEED": HASH_SEED,
    "JOBLIB_MULTIPROCESSING": "0",  # as in the guard's processes: joblib looks at it when it is imported
}
GUARDS = (
    "pandas.core.arrays.arrow.extension_types",
    "pandas.core.methods.to_dict",
    "pyarrow.dataset",
    "pyarrow.parquet",
    "pytest_nbaprops.session.child",
    "pytest_nbaprops.session.worker",
    "sklearn.compose",
    "sklearn.dummy",
    "sklearn.ensemble",
    "sklearn.impute",
    "sklearn.linear_model",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "xgboost.sklearn",
)
"""What processes of the leak guard import: no more, for they fork for every question, which takes as long as it is."""
MODULES = (
    *GUARDS,
    "hypothesis",
    "matplotlib.backends.backend_agg",
    "matplotlib.figure",
    "mlflow.store.model_registry.sqlalchemy_store",
    "mlflow.store.tracking.sqlalchemy_store",
    "mlflow.utils.search_logged_model_utils",
    "PIL.PngImagePlugin",
    "pytest_nbaprops.session.closing",
    "pytest_nbaprops.session.controller",
    "rich.console",
    "rich.progress",
    "skops.io",
    "xdist.remote",
)
"""What sessions import before their end, but for what pytest and its plugins import by themselves."""
KINDS = {"guard": GUARDS, "session": MODULES}

_COMMAND = """#!{python} -IS
import json, os, signal, socket, sys

arguments, environment = sys.argv[1:], dict(os.environ)
if arguments[:1] == ["-mpytest"]:
    arguments[:1] = ["-m", "pytest"]
modules = (["-m", "pytest"], ["-m", "pytest_nbaprops.session"])
of_pytest = arguments[:2] in (*modules, ["-u", "-c"])  # the latter is how xdist starts a worker
if not of_pytest or environment.get("PYTHONHASHSEED", {seed!r}) != {seed!r} or "PYTHONWARNINGS" in environment:
    os.execv({python!r}, [{python!r}, *arguments])
order = json.dumps([sys.argv[0], arguments, environment, os.getcwd()]).encode()
with socket.socket(socket.AF_UNIX) as connection:
    connection.connect({address!r} + ("guard" if "pytest_nbaprops.session" in arguments[:2] else "session"))
    socket.send_fds(connection, [len(order).to_bytes(8, "big")], [0, 1, 2])
    connection.sendall(order)
    for file in (0, 1, 2):  # only the fork holds them from now on
        os.dup2(os.open(os.devnull, os.O_RDWR), file)
    code = int(connection.recv(16))
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
"""


@contextlib.contextmanager
def warm_python(folder: Path) -> Iterator[str]:
    """The path of that `python`; where processes cannot be forked safely, the usual one."""
    if not sys.platform.startswith("linux"):
        yield sys.executable
        return
    address, command = str(folder / "socket-"), folder / "python"
    command.write_text(_COMMAND.format(python=sys.executable, seed=HASH_SEED, address=address))
    command.chmod(0o755)
    program = folder / "warm.pyc"
    py_compile.compile(__file__, str(program), dfile="<frozen warm>")  # the leak guard knows such frames as Python's
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")} | ENVIRONMENT
    pipe = subprocess.PIPE
    with contextlib.ExitStack() as stack:
        processes = [
            subprocess.Popen(
                [sys.executable, str(program), address, kind], stdin=pipe, stdout=pipe, cwd=folder, env=environment
            )
            for kind in KINDS
        ]
        for process in processes:
            stack.enter_context(process)
        for process in processes:
            if process.stdout is None or process.stdout.readline() != b"ready\n":
                raise RuntimeError("the warm python did not start")
        yield str(command)


def main(address: str, kind: str) -> None:
    """Import all that a kind needs, then fork for every client until nobody is left at the other end of stdin."""
    own = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    library = [path for path in sys.path[1:] if path not in own]
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    _import_everything(KINDS[kind])
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{address}{kind}")
        listener.listen(64)
        print("ready", flush=True)  # noqa: T201 - whoever started this waits for it
        while 0 not in _readable(0, listener.fileno()):
            connection, _ = listener.accept()
            if os.fork() == 0:
                break
            connection.close()
        else:
            return
    _attend(connection, library)


def import_all(modules: tuple[str, ...] = MODULES) -> None:
    """All that, and what scikit-learn imports with the first table that it sees."""
    for name in modules:
        importlib.import_module(name)
    sys.modules["sklearn.impute"].SimpleImputer().fit(sys.modules["pandas"].DataFrame({"column": [1.0]}))


class _Everything:
    """Imports what is needed, while pytest rewrites the assertions of its plugins."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.modules = modules

    def pytest_configure(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # SQLAlchemy has something to say to MLflow
            import_all(self.modules)
        catalog, reached = (sys.modules[f"pytest_nbaprops.{name}"] for name in ("features.catalog", "code.reached"))
        for group in catalog.builtin_groups():
            reached.code_digest(group.function, lasts=True)  # whose files every session parses


def _import_everything(modules: tuple[str, ...]) -> None:
    import pytest  # noqa: PLC0415 - not for those who only start this

    with contextlib.redirect_stdout(io.StringIO()):
        # Where pytest-rerunfailures is installed, it starts a thread as soon as it is configured.
        pytest.main(["--markers", "-p", "no:rerunfailures"], plugins=[_Everything(modules)])
    gc.freeze()
    if len(list(Path("/proc/self/task").iterdir())) > 1:
        raise RuntimeError("a library has started a thread: what is forked now may hang")


def _readable(*files: int) -> set[int]:
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return {file for file, _ in poll.poll()}


def _attend(connection: socket.socket, library: list[str]) -> None:
    """Run a client's command in a fork, which ends with the client, and tell its exit code."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    order = Order.received(connection)
    process = os.fork()
    if process == 0:
        connection.close()
        os._exit(_exit_code(order, library))
    for file in order.files:
        os.close(file)
    ended = os.pidfd_open(process)
    if ended not in _readable(ended, connection.fileno()):
        os.kill(process, signal.SIGKILL)
    code = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    with contextlib.suppress(OSError):  # where nobody is there to hear it
        connection.sendall(str(code).encode())
    os._exit(0)


def _exit_code(order: Order, library: list[str]) -> int:
    """Run it to its end, without taking the interpreter down: that would touch, and so copy, every page of memory."""
    code: object = None
    try:
        order.run(library)
    except SystemExit as end:
        code = end.code
    except BaseException:  # noqa: BLE001 - told as an interpreter would
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]  # noqa: SLF001 - as multiprocessing ends its forks
    atexit._run_exitfuncs()  # noqa: SLF001 - as above
    sys.stdout.flush()
    sys.stderr.flush()
    return code if isinstance(code, int) else int(code is not None)


@dataclass(frozen=True, kw_only=True)
class Order:
    """One command: the program's name, its arguments, environment and folder, and its first three files."""

    program: str
    arguments: list[str]
    environment: dict[str, str]
    folder: str
    files: list[int]

    @classmethod
    def received(cls, connection: socket.socket) -> Order:
        """What a client asks for."""
        size, files, _, _ = socket.recv_fds(connection, 8, 3)
        with connection.makefile("rb") as stream:
            program, arguments, environment, folder = json.loads(stream.read(int.from_bytes(size, "big")))
        return cls(program=program, arguments=arguments, environment=environment, folder=folder, files=files)

    def run(self, library: list[str]) -> None:
        """Be the interpreter that was asked for."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for file, given in enumerate(self.files):
            os.dup2(given, file)
            os.close(given)
        os.chdir(self.folder)
        os.environ.clear()
        os.environ.update(self.environment)
        sys.executable = self.program
        option, what, *rest = self.arguments
        own = filter(None, self.environment.get("PYTHONPATH", "").split(os.pathsep))
        sys.path[:] = [self.folder if option == "-m" else "", *own, *library]
        importlib.invalidate_caches()
        sys.modules["numpy"].random.seed()
        if option == "-m":
            sys.argv[1:] = rest
            runpy.run_module(what, run_name="__main__", alter_sys=True)
        else:
            sys.stdout.reconfigure(write_through=True)  # type: ignore[union-attr]
            sys.argv[:] = ["-c", *rest[1:]]
            module = sys.modules["__main__"] = types.ModuleType("__main__")
            exec(rest[0], vars(module))  # noqa: S102 - which is what -c does


if __name__ == "__main__":
    main(*sys.argv[1:])
