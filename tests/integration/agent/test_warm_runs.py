"""Mode `warm`: a prober's file behaves as in mode `run`, and what cannot be a fork is started as there."""

import json
import os
import signal
import textwrap
import time
import venv
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import psutil
import pytest

from agent.clocks import boot_ns
from agent.plan import Batch, RunKey, RunSpec
from agent.results import RunResult
from common.contracts.states import Outcome
from tests.integration.agent.runner_bench import Bench, opened_bench
from tests.integration.needs import need


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    with opened_bench(tmp_path) as made:
        yield made


def spec_of(bench: Bench, code: str, *arguments: str, **changed: object) -> RunSpec:
    (bench.folder / "check.py").write_text(code)
    return bench.spec("python3", "check.py", *arguments, **{"mode": "warm", **changed})


def parents() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        try:
            if "warm_interpreter.py" in " ".join(process.cmdline()) and process.ppid() != 1:
                found.append(process)
        except psutil.NoSuchProcess:
            continue
    return found


def said(result: RunResult) -> tuple[Outcome, str]:
    return result.verdict.outcome, result.verdict.reason


def run_until_cold(bench: Bench, spec: RunSpec) -> str:
    """Why there can be no warm parent for this."""
    end = time.monotonic() + 60
    while not (reason := bench.runner.warm.reason(spec)):
        assert time.monotonic() < end
        bench.run(spec)
    assert not bench.runner.warm.is_warm(spec)
    return reason


def in_both_modes(bench: Bench, spec: RunSpec) -> tuple[RunResult, RunResult]:
    """The same file as in mode `run` and as a fork."""
    started = bench.run(replace(spec, mode="run"))
    bench.warm_up(spec)
    return started, bench.run(spec)


WORLD = """
import json, os, random, signal, sys, tempfile, threading
from pathlib import Path

here = {
    "argv": sys.argv, "orig": sys.orig_argv[1:], "path": vars(sys)["path"][:1], "file": __file__, "name": __name__,
    "globals": sorted(globals()), "cached": __cached__, "spec": __spec__, "package": __package__, "doc": __doc__,
    "loader": type(__loader__).__name__, "builtins": type(__builtins__).__name__, "main": __import__("__main__").__name__,
    "environment": sorted(set(os.environ) - {"TMPDIR"}), "cwd": os.getcwd(), "variable": os.environ["VAR_PORT"],
    "flags": str(sys.flags), "code": sys._getframe().f_code.co_filename,
    "input": (sys.stdin.read(), sys.stdin.name, sys.stdin.encoding),
    "streams": [(s.name, s.encoding, s.errors, s.line_buffering, s.isatty(), s.seekable()) for s in (sys.stdout, sys.stderr)],
    "descriptors": sorted(os.listdir("/proc/self/fd"))[:3], "open": len(os.listdir("/proc/self/fd")),
    "leader": (os.getsid(0) == os.getpid(), os.getpgid(0) == os.getpid()), "umask": os.umask(0o22),
    "signals": {n: str(signal.getsignal(n)) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGPIPE, signal.SIGCHLD)},
    "threads": threading.active_count(), "thread": threading.current_thread() is threading.main_thread(),
    "TMPDIR": tempfile.gettempdir() == os.environ["TMPDIR"] and os.listdir(os.environ["TMPDIR"]),
    "shown TMPDIR": [v for v in Path("/proc/self/environ").read_bytes().split(b"\\0") if v.startswith(b"TMPDIR=")]
        == [b"TMPDIR=" + os.fsencode(os.environ["TMPDIR"])],
}
Path(os.environ["VAR_SEEN"]).write_text(json.dumps(here))
sys.exit(1)
"""


def test_a_file_sees_the_same_world(bench: Bench) -> None:
    seen = bench.folder / "seen"
    environment = {"VAR_PORT": "80", "VAR_SEEN": str(seen), "MR_PROBER_HOST": "h1"}
    spec = spec_of(bench, WORLD, "first", "check.py", environment=environment)
    bench.run(replace(spec, mode="run"))
    started = json.loads(seen.read_text())
    bench.warm_up(spec)
    bench.run(spec)
    assert json.loads(seen.read_text()) == started
    assert started["leader"] == [True, True]
    assert started["shown TMPDIR"]


def test_flags_of_the_interpreter_are_kept(bench: Bench) -> None:
    code = "import sys\nfirst = vars(sys)['path'][0]\nsys.exit(f'{sys.flags} {first} {sys.stdout.write_through}')"
    spec = spec_of(bench, code)
    spec = replace(spec, arguments=("python3", "-I", "-u", "check.py"))
    started, warm = in_both_modes(bench, spec)
    assert "isolated=1" in started.verdict.reason
    assert said(started) == said(warm)


ENDS = {
    "silence": "",
    "exit text": "import sys\nsys.exit('why')",
    "exit none": "import sys\nsys.exit()",
    "exit broken": "import sys\nprint('x', file=sys.stderr)\nsys.exit(3)",
    "exit large": "import sys\nsys.exit(-1)",
    "exit true": "raise SystemExit(True)",
    "os._exit": "import os\nos._exit(5)",
    "abort": "import os\nos.abort()",
    "killed": "import os, signal\nos.kill(os.getpid(), signal.SIGKILL)",
    "bug": "def f():\n    return 1 / 0\nf()",
    "chained": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('second') from e",
    "interrupt": "raise KeyboardInterrupt",
    "hook": "import os, sys\ndef hook(*e):\n    print('ours', e[1], file=sys.stderr)\n    sys.stderr.flush()\n    os._exit(3)\nsys.excepthook = hook\n1 / 0",
    "hook exits": "import sys\nsys.excepthook = lambda *e: sys.exit(3)\n1 / 0",
    "hook fails": "import sys\ndef hook(*e):\n    raise KeyError('in the hook')\nsys.excepthook = hook\n1 / 0",
    "missing module": "import no_such_module_of_ours",
    "atexit": "import atexit, sys\natexit.register(print, 'at the end', file=sys.stderr)\nsys.exit(1)",
    "threads are waited for": "import sys, threading, time\nthreading.Timer(0.1, lambda: print('late', file=sys.stderr)).start()\nsys.exit(1)",
    "daemons are not": "import sys, threading, time\nthreading.Thread(target=time.sleep, args=(300,), daemon=True).start()\nsys.exit(1)",
    "open file": "import sys\nkept = open(2, 'w', closefd=False)\nkept.write('kept until the end')\nsys.exit(1)",
    "finalizer": "import sys\nclass A:\n    def __del__(self):\n        print('gone', file=sys.stderr)\na = A()\na.self = a\nsys.exit(1)",
    "closed output": "import sys\nsys.stdout.close()\nsys.exit(4)",
    "output to nobody": "import os, sys\nprint('x')\nos.close(1)",
    "syntax": "this is no python",
    "child": "import subprocess, sys\nsys.exit(subprocess.run(['sh', '-c', 'echo $TMPDIR $VAR_PORT | grep -q /.*.80 && exit 7']).returncode)",
    "a thread pool": "from concurrent.futures import ThreadPoolExecutor\nimport sys\nwith ThreadPoolExecutor(2) as pool:\n    sys.exit(sum(pool.map(abs, [1, -3])))",
    "a process pool": "from multiprocessing import Pool\nimport sys\nif __name__ == '__main__':\n    with Pool(2) as pool:\n        sys.exit(sum(pool.map(abs, [1, -3])))",
    "asyncio": "import asyncio, sys\nasync def f():\n    await asyncio.sleep(0.01)\n    return 6\nsys.exit(asyncio.run(f()))",
    "a class of its own, pickled": "import pickle, sys\nclass A:\n    pass\nsys.exit(type(pickle.loads(pickle.dumps(A()))).__module__)",
    "metrics": "print('a 1')\nprint('b{x=\"y\"} 2')",
}  # fmt: skip


def test_every_end_is_the_same(bench: Bench) -> None:
    for number, (name, code) in enumerate(ENDS.items()):
        file = f"end{number}.py"
        (bench.folder / file).write_text(code)
        spec = bench.spec("python3", file, mode="warm", output="prometheus")
        started = bench.run(spec)  # the first one is never a fork
        if name == "syntax":
            run_until_cold(bench, spec)
            assert said(bench.run(spec)) == said(started)
            continue
        bench.warm_up(spec)
        warm = bench.run(spec)
        assert (name, said(warm), warm.printed) == (name, said(started), started.printed)
        # Each would take a place; ten minutes later it would be free.
        bench.runner.keep_warm([])


def test_the_traceback_is_that_of_the_file_alone(bench: Bench) -> None:
    code = "import io, sys\nsys.stderr = io.StringIO()\nimport atexit\natexit.register(lambda: open('said', 'w').write(sys.stderr.getvalue()))\n1 / 0"
    spec = spec_of(bench, code)
    bench.run(spec)
    started = (bench.folder / "said").read_text()
    bench.warm_up(spec)
    bench.run(spec)
    assert (bench.folder / "said").read_text() == started
    assert started.count("File ") == 1


def test_its_own_modules_are_loaded_anew_in_each_run(bench: Bench) -> None:
    (bench.folder / "own.py").write_text(
        "import os\nPORT = os.environ['VAR_PORT']\nimport colorsys"
    )
    spec = spec_of(bench, "import sys\nimport own\nsys.exit(own.PORT)")
    bench.warm_up(spec)
    for port in ("80", "443"):
        result = bench.run(replace(spec, environment={"VAR_PORT": port}))
        assert result.verdict.reason == port


def test_random_numbers_differ_in_each_run(bench: Bench) -> None:
    code = "import random, sys, secrets\nsys.exit(f'{random.random()} {secrets.token_hex(8)}')"
    spec = spec_of(bench, code)
    bench.warm_up(spec)
    said_before = {bench.run(spec).verdict.reason for _ in range(5)}
    assert len(said_before) == 5


def test_a_leak_or_a_crash_touches_only_its_run(bench: Bench) -> None:
    code = (
        "import os, signal, sys, threading\nimport json\n"
        "if 'leak' in vars(json): sys.exit('seen by another run')\n"
        "json.leak = bytearray(10_000_000)\nos.environ['LEAK'] = '1'\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
        "os.open('/dev/null', os.O_RDONLY)\nopen(os.environ['TMPDIR'] + '/left', 'w').write('x')\nos.abort()\n"
    )
    spec = spec_of(bench, code)
    bench.warm_up(spec)
    [before] = parents()
    for _ in range(3):
        assert bench.run(spec).verdict.reason == "killed by SIGABRT"
    assert parents() == [before]
    bench.turn_until(lambda: not bench.left_files())


UNFIT = {
    "thread": ("import threading, time\nthreading.Thread(target=time.sleep, args=(300,), daemon=True).start()", "1 threads are alive"),
    "descriptor": ("import os\nkept = os.open('/dev/zero', os.O_RDONLY)", "open descriptor: /dev/zero"),
    "print": ("print('hello from the import')", "its imports print: hello from the import"),
    "process": ("import os\nif os.fork() == 0:\n    import time\n    time.sleep(300)", "leave a process"),
    "error": ("raise ValueError('not today')", "ValueError('not today')"),
    "exit": ("import sys\nsys.exit(0)", "SystemExit(0)"),
    "death": ("import os\nos._exit(1)", "the warm parent has ended"),
}  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An interpreter with packages of its own."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    return folder


@pytest.mark.parametrize("name", UNFIT)
def test_an_import_with_side_effects_falls_back_to_run_and_says_so(
    bench: Bench, environment: Path, name: str
) -> None:
    code, reason = UNFIT[name]
    # In the run itself it does nothing, so that the run is judged by what it says.
    guarded = "import sys\nif 'warm_interpreter' in sys.argv[0]:\n" + textwrap.indent(code, "    ")
    [packages] = environment.glob("lib/python3*/site-packages")
    (packages / f"imports_{name}.py").write_text(guarded)
    spec = spec_of(bench, f"import sys\nimport imports_{name}\nsys.exit('still checked')")
    spec = replace(spec, arguments=(f"{environment}/bin/python3", "check.py"))
    assert reason in run_until_cold(bench, spec)
    assert bench.run(spec).verdict.reason == "still checked"


def test_a_file_that_changes_the_path_is_started_each_time(bench: Bench) -> None:
    spec = spec_of(bench, "import sys as s, sys\ns.path.insert(0, 'vendored')\nsys.exit('checked')")
    assert "uses sys.path" in run_until_cold(bench, spec)


def test_a_file_that_hides_a_module_is_started_each_time(bench: Bench) -> None:
    (bench.folder / "queue.py").write_text("import sys\nsys.exit('our own queue')")
    spec = spec_of(bench, "import queue")
    assert "its own 'queue'" in run_until_cold(bench, spec)
    assert bench.run(spec).verdict.reason == "our own queue"


def test_a_parent_that_was_killed_costs_no_run(bench: Bench) -> None:
    witness = bench.folder / "witness"
    code = f"import os\nwith open({str(witness)!r}, 'a') as file:\n    file.write('x')"
    spec = spec_of(bench, code)
    bench.warm_up(spec)
    before = len(witness.read_text())
    for parent in parents():
        parent.kill()
    for _ in range(3):
        assert bench.run(spec).verdict.outcome is Outcome.SUCCESS
    assert len(witness.read_text()) == before + 3
    assert "has ended" in bench.runner.warm.reason(spec)


def test_a_parent_that_was_stopped_costs_no_run_and_runs_none_twice(bench: Bench) -> None:
    witness = bench.folder / "witness"
    code = f"import os\nwith open({str(witness)!r}, 'a') as file:\n    file.write('x')"
    spec = spec_of(bench, code, time_limit=timedelta(seconds=60))
    bench.warm_up(spec)
    before = len(witness.read_text())
    for parent in parents():
        parent.send_signal(signal.SIGSTOP)
    assert bench.run(spec).verdict.outcome is Outcome.SUCCESS
    assert len(witness.read_text()) == before + 1
    assert not any(parent.status() == psutil.STATUS_STOPPED for parent in parents())


def test_a_stopped_parent_does_not_outlast_the_time_limit(bench: Bench) -> None:
    spec = spec_of(bench, "import os", time_limit=timedelta(seconds=0.3))
    bench.warm_up(replace(spec, time_limit=timedelta(seconds=20)))
    for parent in parents():
        parent.send_signal(signal.SIGSTOP)
    assert bench.run(spec).verdict.outcome is Outcome.TIMEOUT
    bench.turn_until(lambda: not parents())


def test_another_version_of_the_files_has_another_parent(bench: Bench, tmp_path: Path) -> None:
    spec = spec_of(bench, "import sys\nsys.exit('old')")
    bench.warm_up(spec)
    newer = tmp_path / "newer"
    newer.mkdir()
    (newer / "check.py").write_text("import sys\nsys.exit('new')")
    changed = replace(spec, folder=newer)
    bench.warm_up(changed)
    assert [bench.run(one).verdict.reason for one in (spec, changed)] == ["old", "new"]
    assert len(parents()) == 2


def test_a_batch_finds_its_targets(bench: Bench) -> None:
    code = (
        "import json, os\nfor one in json.load(open(os.environ['MR_PROBER_TARGETS'])):\n"
        """    print('mr_prober_outcome{target="%s"} 0' % one['target'])"""
    )
    keys = tuple(RunKey(bench.spec("x").key.prober_id, name) for name in "ab")
    labels = ({"target": "a"}, {"target": "b"})
    batch = Batch('[{"target": "a"}, {"target": "b"}]', keys, labels)
    spec = spec_of(bench, code, batch=batch)
    bench.warm_up(spec)
    bench.results.clear()
    bench.runner.start(spec, boot_ns())
    bench.turn_until(lambda: len(bench.results) == 2)
    assert {result.verdict.outcome for result in bench.results} == {Outcome.SUCCESS}
    bench.results.clear()


def test_the_cost_is_that_of_the_fork_alone(bench: Bench) -> None:
    spec = spec_of(bench, "import requests")
    started, warm = in_both_modes(bench, spec)
    seconds = [one.cost.user_seconds + one.cost.system_seconds for one in (started, warm)]
    # Not a matter of the clock: processor time of one process that imports and of one that does not.
    assert seconds[1] < seconds[0] / 3
    assert warm.cost.peak_rss_bytes > 0


def test_imports_happen_with_the_rights_and_limits_of_the_sandbox(bench: Bench) -> None:
    need(os.geteuid() == 0, "root, to start programs as somebody else")
    spec = spec_of(bench, "import os")
    bench.warm_up(spec)
    [parent] = parents()
    lines = Path(f"/proc/{parent.pid}/status").read_text().splitlines()
    assert "NoNewPrivs:\t1" in lines
    assert parent.rlimit(psutil.RLIMIT_NOFILE) == (256, 256)
    assert parent.ppid() != os.getpid()
