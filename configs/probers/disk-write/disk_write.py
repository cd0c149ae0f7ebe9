"""Write VAR_SIZE_BYTES random bytes to a file in VAR_FOLDER (default: TMPDIR), fsync, read them back, compare.

Exit 0: the same bytes came back, 1: not, or the disk refused; 3: the prober itself is broken.
The file has no name, so nothing is left behind, however the prober ends.
"""

import argparse
import os
import sys
import tempfile
import time
import traceback

MAX_SIZE_BYTES = 64 * 1024 * 1024


def broken(*error):
    """Our own bug must not blame the target: exit 3 instead of Python's 1."""
    traceback.print_exception(*error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(3)


sys.excepthook = broken


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(3, f"{self.prog}: {message}\n")


def size(text):
    number = int(text)
    if not 0 < number <= MAX_SIZE_BYTES:
        raise argparse.ArgumentTypeError(f"expected 1 to {MAX_SIZE_BYTES} bytes, not {text}")
    return number


def options():
    parser = Parser(description=__doc__)
    environment = os.environ.get
    folder = environment("VAR_FOLDER") or environment("TMPDIR")
    parser.add_argument("--folder", default=folder)
    parser.add_argument("--size-bytes", type=size, default=environment("VAR_SIZE_BYTES", "262144"))
    given = parser.parse_args()
    if not given.folder:
        parser.error("no folder: set VAR_FOLDER, TMPDIR or --folder")
    return given


def write_all(file, content):
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def read_all(file):
    file.seek(0)
    return b"".join(iter(lambda: file.read(1024 * 1024), b""))


def timed(action, *arguments):
    started = time.monotonic()
    result = action(*arguments)
    return time.monotonic() - started, result


def main():
    given = options()
    content = os.urandom(given.size_bytes)
    try:
        with tempfile.TemporaryFile(dir=given.folder, buffering=0) as file:
            write_seconds, _ = timed(write_all, file, content)
            fsync_seconds, _ = timed(os.fsync, file.fileno())
            # Else the bytes would come from memory and say nothing about the disk.
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            read_seconds, received = timed(read_all, file)
    except PermissionError as error:
        print(f"may not write to {given.folder}: {error.strerror}", file=sys.stderr)
        sys.exit(3)
    except OSError as error:
        sys.exit(f"cannot write to {given.folder} and read back: {error.strerror or error}")
    for name, seconds in (
        ("write", write_seconds),
        ("fsync", fsync_seconds),
        ("read", read_seconds),
    ):
        print(f"# TYPE disk_{name}_seconds gauge")
        print(f"disk_{name}_seconds {seconds:.6f}")
    if received != content:
        sys.exit(f"{given.folder} gave back other bytes than the {len(content)} written")


if __name__ == "__main__":
    main()
