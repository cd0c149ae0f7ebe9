"""`./build_proto_specs.sh`: compiles specs into `googleapis/` (specs that others import) and `yandex/` (Python).

Everything is made in a folder beside the two and then put in their place, so that a mistake changes nothing.
"""

import argparse
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from importlib import metadata, resources
from pathlib import Path
from typing import NoReturn

from grpc_tools import protoc

ROOT = Path(__file__).resolve().parent.parent
OURS = ROOT / "proto_specs"
NEEDED = "yandex/cloud/priv/compute/admin/v1/node_service.proto"
USAGE = "usage: ./build_proto_specs.sh [-h] [--into DIR] [CHECKOUT]"
_DESCRIPTION = (
    "Compiles proto specs for yc-mr-prober-meeseeks: specs of googleapis into googleapis/, Python into yandex/."
    " Both are left as they are if anything goes wrong, or if nothing has changed."
)


def main() -> None:
    """Build, and say what was done."""
    parser = argparse.ArgumentParser(usage=USAGE[len("usage: ") :], description=_DESCRIPTION)
    parser.add_argument(
        "checkout", metavar="CHECKOUT", nargs="?", type=Path, default=OURS,
        help="folder of the specs, in which yandex/ is; default: the repository's own proto_specs/",
    )  # fmt: skip
    parser.add_argument(
        "--into", metavar="DIR", type=Path, default=ROOT,
        help="where googleapis/ and yandex/ are put; default: the root of the repository",
    )  # fmt: skip
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the unfinished folder goes, too
    checkout = options.checkout.resolve()
    _refuse_what_cannot_work(checkout)
    try:
        options.into.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".build_proto_specs.", dir=options.into) as folder:
            _build(checkout, Path(folder), options.into)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}")


def _refuse_what_cannot_work(checkout: Path) -> None:
    if not (checkout / "yandex").is_dir():
        _fail(
            f"{checkout} has no folder yandex/: name the folder of a checkout in which yandex/cloud/ is"
        )
    try:
        version = metadata.version("yandexcloud")
    except metadata.PackageNotFoundError:
        return
    _fail(
        f"yandexcloud is installed ({version}), whose package yandex would hide ours:"
        f' run "{sys.executable} -m pip uninstall yandexcloud", or use another virtual environment'
    )


def _build(checkout: Path, folder: Path, into: Path) -> None:
    googleapis, python = folder / "googleapis", folder / "python"
    count = _copy_googleapis(googleapis)
    python.mkdir()
    added = [] if (checkout / NEEDED).is_file() else sorted(_specs_of(OURS))
    specs = sorted(_specs_of(checkout))
    _compile([checkout, OURS], googleapis, python, [*specs, *added])
    for package in [python / "yandex", *(python / "yandex").rglob("*/")]:
        if package.is_dir():
            (package / "__init__.py").touch()
    tools, runtime = metadata.version("grpcio-tools"), metadata.version("protobuf")
    common = metadata.version("googleapis-common-protos")
    _put(googleapis, into, f"{count} specs of googleapis-common-protos {common}")
    source = checkout.relative_to(ROOT) if checkout.is_relative_to(ROOT) else checkout
    more = f" and {len(added)} of proto_specs, which it lacks" if added else ""
    _put(
        python / "yandex", into,
        f"Python of {len(specs)} specs from {source}{more} (grpcio-tools {tools}, protobuf {runtime})",
    )  # fmt: skip


def _specs_of(checkout: Path) -> Iterator[str]:
    """What is compiled, by its path in the checkout."""
    for path in (checkout / "yandex").rglob("*.proto"):
        yield path.relative_to(checkout).as_posix()


def _copy_googleapis(into: Path) -> int:
    """The specs of the installed package, without its Python: that is imported from there."""
    google = next(
        Path(str(file.locate())).parents[1]
        for file in metadata.files("googleapis-common-protos") or []
        if file.as_posix() == "google/api/http.proto"
    )
    specs = [
        path for path in google.rglob("*.proto") if path.relative_to(google).parts[0] != "protobuf"
    ]
    for spec in specs:
        target = into / "google" / spec.relative_to(google)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(spec, target)
    return len(specs)


def _compile(sources: list[Path], googleapis: Path, python: Path, specs: list[str]) -> None:
    standard = resources.files("grpc_tools") / "_proto"
    paths = [*dict.fromkeys(sources), googleapis, standard]
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as names:
        # A whole checkout would be too long for a command line.
        names.write("\n".join(specs))
        names.flush()
        status = protoc.main(
            ["protoc", *(f"--proto_path={path}" for path in paths),
             f"--python_out={python}", f"--grpc_python_out={python}", f"@{names.name}"]
        )  # fmt: skip
    if status:
        _fail("the specs do not compile: nothing was changed")


def _put(made: Path, into: Path, what: str) -> None:
    """Replace the folder, or leave it if it is the same already."""
    there = into / made.name
    if there.is_dir() and _contents(there) == _contents(made):
        word = "unchanged"
    else:
        word = "made"
        if there.exists() or there.is_symlink():
            word = "replaced"
            there.rename(made.parent / "before")
        made.rename(there)
    sys.stdout.write(f"{made.name}/: {word}, {what}\n")


def _contents(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def _fail(text: str) -> NoReturn:
    sys.stderr.write(f"{text}\n")
    sys.exit(1)


if __name__ == "__main__":
    main()
