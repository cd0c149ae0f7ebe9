"""The parent of a prober's runs in mode `warm`: imports once what the prober's files import, then forks for each run.

A program of its own, started by `warm_parents.py` with the interpreter that the prober's command names, in its sandbox.
It imports nothing of ours: what it has loaded, the prober's file would find.
No line of the prober's own runs here: only packages that do not lie in its folder are imported, and its files are read
to learn which; each run then executes the whole file as `__main__` in a process of its own.
docs/decisions/0022-warm-parents.md says why, and what makes a prober unfit for it.
"""

import ast
import atexit
import contextlib
import ctypes
import gc
import importlib
import os
import signal
import socket
import struct
import sys
import types
from collections.abc import Iterator
from importlib.machinery import SourceFileLoader
from typing import NoReturn

_CONTROL = 3
_MAX_PACKET_BYTES = 64 * 1024
_MAX_FILES = 500
_MAX_FILE_BYTES = 4 * 1024 * 1024
# Whoever changes where modules come from would find other ones than we import.
_PATH_CHANGERS = frozenset({"path", "meta_path", "path_hooks", "modules", "addsitedir"})


class UnfitError(Exception):
    """Why this prober's runs cannot be forks of one process."""


class Prober:
    """The prober's program and what it imports."""

    def __init__(self, script: str) -> None:
        """`script` as the command names it; the working directory is the prober's folder."""
        self.script = script
        self.path = os.path.abspath(script)
        self.folder = os.path.dirname(os.path.realpath(script))
        self.code = compile(_content(self.path), self.path, "exec", dont_inherit=True)
        self._own = {_module_name(entry) for entry in os.scandir(self.folder)} - {""}
        self._read: set[str] = set()

    def import_packages(self) -> None:
        """Everything that its files import on their top level and that does not lie in its folder; UnfitError."""
        self._refuse_hidden(set(sys.modules) | set(getattr(sys, "stdlib_module_names", ())))
        for module, name in self._imports_of(self.path):
            if module.partition(".")[0] not in self._own and _imported(module) and name:
                parent = sys.modules[module]
                if name != "*" and not hasattr(parent, name) and hasattr(parent, "__path__"):
                    _imported(f"{module}.{name}")
        self._refuse_hidden(set(sys.modules))

    def _refuse_hidden(self, modules: set[str]) -> None:
        top = {module.partition(".")[0] for module in modules} - {"__main__"}
        if hidden := sorted(top & self._own):
            raise UnfitError(f"its own {hidden[0]!r} has the name of an installed module")

    def _imports_of(self, path: str) -> Iterator[tuple[str, str]]:
        """(module, name in it) of a file's import statements, and of those of its own files that it imports."""
        if path in self._read or len(self._read) >= _MAX_FILES:
            return
        self._read.add(path)
        tree = ast.parse(_content(path), path)
        if changer := _path_changer(tree):
            raise UnfitError(f"{os.path.basename(path)} uses {changer}")
        for module, name in _top_level_imports(tree.body):
            yield module, name
            if module.partition(".")[0] in self._own:
                for own in (module, f"{module}.{name}"):
                    yield from self._imports_of_own(own)

    def _imports_of_own(self, module: str) -> Iterator[tuple[str, str]]:
        place = os.path.join(self.folder, *module.split("."))
        for path in (f"{place}.py", os.path.join(place, "__init__.py")):
            if os.path.isfile(path):
                yield from self._imports_of(path)


def _module_name(entry: "os.DirEntry[str]") -> str:
    """The name by which the prober's own file or folder can be imported; empty if it cannot."""
    stem, _, suffix = entry.name.partition(".")
    return stem if entry.is_dir() or suffix.rpartition(".")[2] in ("py", "pyc", "so") else ""


def _path_changer(tree: ast.Module) -> str:
    """What a file says that may change where modules come from, such as `sys.path`; empty if nothing."""
    owners = {
        alias.asname or alias.name: alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for alias in node.names
        if alias.name in ("sys", "site")
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner, names = owners.get(node.value.id, ""), {node.attr}
        elif isinstance(node, ast.ImportFrom) and node.module in ("sys", "site"):
            owner, names = node.module, {alias.name for alias in node.names}
        else:
            continue
        if owner and (changers := sorted(_PATH_CHANGERS & names)):
            return f"{owner}.{changers[0]}"
    return ""


def _top_level_imports(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.Try):
            yield from _top_level_imports(node.body)


def _imported(module: str) -> bool:
    """Whether the module is there; what is not there, the run itself will miss in its own way."""
    try:
        importlib.import_module(module)
    except ModuleNotFoundError as error:
        # What was found and cannot be imported may have left half of itself behind.
        if error.name and (module == error.name or module.startswith(f"{error.name}.")):
            return False
        raise UnfitError(f"the import of {module} fails: {error}") from error
    except BaseException as error:
        raise UnfitError(f"the import of {module} fails: {error!r}") from error
    return True


def _content(path: str) -> bytes:
    with open(path, "rb") as file:
        content = file.read(_MAX_FILE_BYTES + 1)
    if len(content) > _MAX_FILE_BYTES:
        raise UnfitError(f"{os.path.basename(path)} is larger than {_MAX_FILE_BYTES} bytes")
    return content


def _descriptors() -> set[str]:
    return {name for name in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{name}")}


def _refuse_side_effects(before: set[str]) -> None:
    """UnfitError if an import has left something that forks would share, or lack."""
    threads = len(os.listdir("/proc/self/task"))
    if threads > 1:
        raise UnfitError(f"{threads - 1} threads are alive after its imports")
    if opened := _descriptors() - before:
        target = os.readlink(f"/proc/self/fd/{min(opened)}")
        raise UnfitError(f"its imports leave an open descriptor: {target}")
    try:
        os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return
    raise UnfitError("its imports leave a process of their own")


class Mark:
    """The TMPDIR that others see for this process and its forks in /proc/PID/environ, by which orphans are recognised."""

    def __init__(self) -> None:
        getenv = ctypes.CDLL(None).getenv
        getenv.restype = ctypes.c_void_p
        self._address: int = getenv(b"TMPDIR")
        self._room = len(os.environb[b"TMPDIR"])

    def set(self, value: bytes) -> None:
        """Our own memory, in which the kernel looks; our own variable is another one."""
        ctypes.memmove(self._address, value.ljust(self._room, b"\0"), self._room)


class Run:
    """What the parent was asked to start."""

    def __init__(self, packet: bytes, descriptors: list[int]) -> None:
        number, count, *texts = packet.split(b"\0")
        self.number = number
        self.arguments = [os.fsdecode(text) for text in texts[: int(count)]]
        self.environment = dict(text.split(b"=", 1) for text in texts[int(count) :])
        self.out, self.err = descriptors

    def enter(self, control: socket.socket, prober: Prober) -> None:
        """Make this process look as if the program had just been started in it."""
        os.setsid()
        os.dup2(self.out, 1)
        os.dup2(self.err, 2)
        control.send(b"started\0%s\0%d" % (self.number, os.getpid()))
        control.close()
        os.closerange(3, max(self.out, self.err, _CONTROL) + 1)
        os.environb.clear()
        os.environb.update(self.environment)
        position = self.arguments.index(prober.script, 1)
        sys.argv = self.arguments[position:]
        sys.orig_argv = self.arguments
        if not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
            sys.path.insert(0, prober.folder)
        _forget_what_was_before()


def _forget_what_was_before() -> None:
    # `random` itself seeds anew in each fork; what else keeps a state of its own does not.
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random:
        numpy_random.seed()
    tempfile = sys.modules.get("tempfile")
    if tempfile:
        vars(tempfile)["tempdir"] = None


def _main_module(prober: Prober) -> dict[str, object]:
    module = types.ModuleType("__main__")
    vars(module).update(
        __builtins__=sys.modules["builtins"],
        __file__=prober.path,
        __cached__=None,
        __annotations__={},
        __loader__=SourceFileLoader("__main__", prober.path),
    )
    sys.modules["__main__"] = module
    return vars(module)


def next_run(control: socket.socket, mark: Mark) -> Run:
    """Returns once for each run, in the process of that run; the parent stays in here until nobody needs it."""
    while True:
        packet, ancillary, _, _ = control.recvmsg(
            _MAX_PACKET_BYTES, socket.CMSG_SPACE(8), socket.MSG_CMSG_CLOEXEC
        )
        if not packet:
            os._exit(0)
        descriptors = [
            number for *_, content in ancillary for (number,) in struct.iter_unpack("i", content)
        ]
        run = Run(packet, descriptors)
        mark.set(run.environment[b"TMPDIR"])
        child = os.fork()
        if child == 0:
            # Forked once more, so that the launcher, a sub-reaper, becomes the parent of the run.
            if os.fork() == 0:
                return run
            os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)
        os.waitpid(child, 0)


def _prepared(control: socket.socket) -> Prober:
    try:
        before = _descriptors()
        prober = Prober(sys.argv[1])
        prober.import_packages()
        _refuse_side_effects(before)
        # What it printed must be seen now, and not be printed again by each run.
        sys.stdout.flush()
        sys.stderr.flush()
    except UnfitError as error:
        control.send(b"unfit\0" + str(error).encode(errors="replace")[:1000])
        os._exit(0)
    except (OSError, SyntaxError, ValueError, RecursionError) as error:
        text = f"{sys.argv[1]} cannot be read: {error}"
        control.send(b"unfit\0" + text.encode(errors="replace")[:1000])
        os._exit(0)
    control.send(b"ready")
    return prober


def execute(prober: Prober) -> int:
    """Run the file as the interpreter would; the exit status, or minus the signal that ends it."""
    try:
        exec(prober.code, _main_module(prober))  # noqa: S102 - this is what we are for
    except SystemExit as error:
        return _status_of(error.code)
    except BaseException as error:  # noqa: BLE001 - whatever nobody has caught
        return _shown(error)
    return 0


def _status_of(code: object) -> int:
    if code is None:
        return 0
    if isinstance(code, int):
        return code & 0xFF
    print(code, file=sys.stderr)  # noqa: T201 - as `sys.exit` does
    return 1


def _shown(error: BaseException) -> int:
    # Our own frame is not the prober's.
    error.__traceback__ = error.__traceback__ and error.__traceback__.tb_next
    try:
        sys.excepthook(type(error), error, error.__traceback__)
    except SystemExit as wanted:
        return _status_of(wanted.code)
    except BaseException as other:  # noqa: BLE001 - as the interpreter does
        print("Error in sys.excepthook:", file=sys.stderr)  # noqa: T201
        sys.__excepthook__(type(other), other, other.__traceback__)
        print("\nOriginal exception was:", file=sys.stderr)  # noqa: T201
        sys.__excepthook__(type(error), error, error.__traceback__)
    return -signal.SIGINT if isinstance(error, KeyboardInterrupt) else 1


def end(prober: Prober, status: int) -> NoReturn:
    """What the interpreter does at its end, but for taking apart all that the parent has imported.

    That alone would cost ten times as much as all the rest; the kernel does it as well.
    """
    threading = sys.modules.get("threading")
    if threading:
        threading._shutdown()  # noqa: SLF001 - waits for threads that are no daemons
    with contextlib.suppress(BaseException):
        atexit._run_exitfuncs()  # noqa: SLF001
    own = [name for name, module in sys.modules.items() if _is_own(module, prober)]
    for name in own:
        del sys.modules[name]
    # What the prober's modules hold is finalized, so that its open files are written.
    gc.collect()
    if not _flushed():
        status = 120
    ctypes.CDLL(None).fflush(None)
    if status < 0:
        signal.signal(-status, signal.SIG_DFL)
        os.kill(os.getpid(), -status)
    os._exit(status)


def _is_own(module: object, prober: Prober) -> bool:
    file = getattr(module, "__file__", None)
    return isinstance(file, str) and file.startswith(prober.folder)


def _flushed() -> bool:
    """Whether all that was printed could be written."""
    is_good = True
    for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        try:
            if stream is not None and not stream.closed:
                stream.flush()
        except Exception as error:  # noqa: BLE001 - any object may stand in for a stream
            is_good = False
            fields = type(error), error, error.__traceback__, None, stream
            sys.unraisablehook(sys.UnraisableHookArgs(fields))  # type: ignore[call-arg, misc]
    return is_good


if __name__ == "__main__":
    _own_folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if entry != _own_folder]
    _control = socket.socket(fileno=_CONTROL)
    _mark = Mark()
    _prober = _prepared(_control)
    gc.collect()
    gc.freeze()
    _run = next_run(_control, _mark)
    # From here on this is the process of a run.
    _run.enter(_control, _prober)
    end(_prober, execute(_prober))
