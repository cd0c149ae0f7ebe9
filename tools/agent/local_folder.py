"""Read: a prober as its author has it in a folder, before it is in the API: `prober.yaml` and the files beside it."""

from pathlib import Path

from pydantic import JsonValue

from common.contracts.control import MAX_LOCAL_BYTES, LocalProber
from common.contracts.identifiers import is_slug
from common.contracts.probers import ProberConfigPut, ProberCreate
from common.contracts.resolution import layered
from tools.agent.errors import LocalFolderError
from tools.synchronize.config_file import ConfigFile
from tools.synchronize.files import PROBER_FILE
from tools.synchronize.folders import files_below


def local_prober(folder: Path, *, config: str | None = None) -> tuple[str, LocalProber]:
    """Its slug, which is the folder's name, and the prober with its defaults and one of its configs.

    Without `config` the only one counts, if there is just one. LocalFolderError with every mistake.
    """
    folder = folder.resolve()
    try:
        return _read(folder, config)
    except OSError as error:
        raise LocalFolderError(folder, [f"cannot be read: {error.strerror}"]) from error


def _read(folder: Path, config: str | None) -> tuple[str, LocalProber]:
    if not is_slug(folder.name):
        raise LocalFolderError(
            folder, ["its name becomes the prober's: small letters, digits and '-'"]
        )
    file = ConfigFile(folder / PROBER_FILE)
    files, mistakes = files_below(folder, without=PROBER_FILE)
    configs = file.take_mapping("configs")
    prober = file.checked(ProberCreate, file.values, given={"slug": folder.name, "files": files})
    chosen = _chosen(file, configs, config)
    if problems := [*file.mistakes, *mistakes]:
        raise LocalFolderError(folder, problems)
    if (size := sum(len(one.content) for one in files)) > MAX_LOCAL_BYTES:
        raise LocalFolderError(folder, [f"{size} bytes of files, more than {MAX_LOCAL_BYTES}"])
    if prober is None:
        raise LocalFolderError(folder, ["it describes no prober"])
    layers = [prober.defaults, *([chosen.settings] if chosen else [])]
    return folder.name, LocalProber(command=prober.command, files=files, settings=layered(*layers))


def _chosen(
    file: ConfigFile, configs: dict[str, JsonValue], name: str | None
) -> ProberConfigPut | None:
    if name is None:
        if len(configs) != 1:
            return None
        (name,) = configs
    if name not in configs:
        file.mistake(("configs",), f"there is no config {name}: {', '.join(configs) or 'none'}")
        return None
    return file.checked(ProberConfigPut, configs[name], place=("configs", name), given={})
