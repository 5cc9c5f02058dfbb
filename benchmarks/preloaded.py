"""Snakemake and the commands of its jobs, started from a process that has imported their libraries.

A job of a tiny run imports for three seconds and works for some milliseconds, so that a kill at a
random moment nearly always hits an import, which tests nothing. Here a run is forked, and so are
its jobs: what `qmoe` and `referee` are in its PATH asks a process of the same group to fork, and
waits for it. The code of the project itself is imported by every process anew, from its folder.

`python benchmarks/preloaded.py FOLDER` writes such commands, Snakemake among them, into a folder,
and serves them until it is ended: the tests run theirs in a third of the time. A command that is
killed leaves its process, so whoever kills processes must start them without this.
"""

import json
import os
import signal
import socket
import sys
import tempfile
from collections.abc import Callable, Iterable
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import NoReturn

LIBRARIES = (
    "cffi",
    "jinja2",
    "numba",
    "idna",
    "onnx",
    "onnxruntime",
    "pandas.io.formats.csvs",
    "pyarrow.dataset",
    "pyarrow.pandas_compat",
    "pyarrow.parquet",
    "pydantic.dataclasses",
    "pygments.styles",
    "safetensors.numpy",
    "safetensors.torch",
    "scipy.stats",
    "sklearn.metrics",
    "sklearn.model_selection",
    "sklearn.preprocessing",
    "snakemake.assets",
    "snakemake.benchmark",
    "snakemake.cli",
    "snakemake.profiles",
    "snakemake.report",
    "snakemake.storage",
    "torch._dynamo",
    "typer._adapters",
)
COMMANDS = ("qmoe", "referee")
OWN = ("qmoe", "records", "referee")  # packages of the project
# What is executed in place of a command. The group is interrupted as a whole, so the command itself
# gets that signal too; SIGTERM is sent to one process, and is handed on.
CLIENT = """#!{python} -IS
import json, os, signal, socket, sys
signal.signal(signal.SIGINT, signal.SIG_IGN)
server = socket.socket(socket.AF_UNIX)
server.connect({address!r})
told = json.dumps([{name!r}, sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
socket.send_fds(server, [told], [0, 1, 2])
pid = int(server.recv(16))
signal.signal(signal.SIGTERM, lambda number, frame: os.kill(pid, number))
code = server.recv(1)
sys.exit(code[0] if code else 137)
"""


def load() -> None:
    """Import the libraries, once, before anything is forked."""
    for name in LIBRARIES:
        import_module(name)


def start(folder: Path, bin_folder: Path, arguments: list[str], output: Path) -> int:
    """Start Snakemake in a project's folder and a group of its own, with its output in a file;
    return its process, whose number is that of the group. `bin_folder` gets the commands."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored below `nohup ... &`
    os.chdir(folder)
    with output.open("wb") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    os.environ["PATH"] = f"{bin_folder}:{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = f"{folder}/src"
    os.environ["TMPDIR"] = tempfile.tempdir = str(bin_folder)  # what a kill leaves there goes too
    for name in [name for name in sys.modules if name.split(".")[0] in OWN]:
        del sys.modules[name]
    sys.path.insert(0, f"{folder}/src")
    bin_folder.mkdir(exist_ok=True)
    _serve(bin_folder)
    from snakemake.cli import main

    _exit_with(lambda: main(arguments))


def _serve(bin_folder: Path) -> None:
    """Write the commands of jobs, and fork the process that they ask. It ends with its group."""
    server = _write(bin_folder, COMMANDS)
    if os.fork():
        server.close()
        return
    _answer(server)


def _write(bin_folder: Path, commands: Iterable[str]) -> socket.socket:
    """Write commands into a folder; return the socket at which they ask."""
    address = bin_folder / "socket"
    address.unlink(missing_ok=True)
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(address))
    server.listen()
    for name in commands:
        client = CLIENT.format(python=sys.executable, address=str(address), name=name)
        (bin_folder / name).write_text(client)
        (bin_folder / name).chmod(0o755)
    return server


def _answer(server: socket.socket) -> NoReturn:
    """Fork for every command that asks."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # so that no zombie stays
    while True:
        connection, _ = server.accept()
        message, files, *_ = socket.recv_fds(connection, 1 << 20, 3)
        if message and not os.fork():
            server.close()
            _run(connection, json.loads(message), files)
        connection.close()
        for file in files:
            os.close(file)


def _run(
    connection: socket.socket, command: tuple[str, list[str], dict[str, str], str], files: list[int]
) -> None:
    """Be a command: take its files, arguments and environment, and tell its exit status."""
    name, arguments, environment, folder = command
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for number, file in enumerate(files):
        os.dup2(file, number)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path[:0] = filter(None, environment.get("PYTHONPATH", "").split(":"))
    sys.argv = [name, *arguments]
    connection.sendall(str(os.getpid()).encode())
    _exit_with(import_module(f"{name}.cli").main, lambda code: connection.sendall(bytes([code])))


def _exit_with(
    main: Callable[[], object], tell: Callable[[int], object] = lambda code: None
) -> NoReturn:
    """End the process as a Python that runs `main` would."""
    code = 1
    try:
        main()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else bool(end.code)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except KeyboardInterrupt:
        code = 130
    except BaseException:
        sys.excepthook(*sys.exc_info())
    sys.stdout.flush()
    sys.stderr.flush()
    with suppress(OSError):
        tell(code)
    os._exit(code)


if __name__ == "__main__":
    load()
    asked = _write(Path(sys.argv[1]), (*COMMANDS, "snakemake"))
    print("ready", flush=True)
    _answer(asked)
