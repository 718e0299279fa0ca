"""
Where private keys are found: an option, else the environment, else a folder of this user. Read here and nowhere else.

Only the *place* of keys is ever named, on the command line and in the environment: a key itself would show in the list of processes.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Final

import typer

from replay.archive import Keyring
from replay.model import ArchiveError

VARIABLE: Final = "SIGNET_PARITY_KEYS"
_HELP: Final = (
    f"A private key file, or a folder of such files, for what is encrypted; else ${VARIABLE}, else the folder `keys` beside the redaction key."
)

KeysOption = Annotated[Path | None, typer.Option("--keys", help=_HELP, metavar="PATH")]


def find_keys(chosen: Path | None) -> Keyring:
    """
    Load the keys that may open what is encrypted: those at the *chosen* place, else where `$SIGNET_PARITY_KEYS` says, else this user's own.

    Raises:
        ArchiveError: a place that was named can't be read or holds no private key; or a file of this user's own folder is damaged.

    """
    named = chosen or _named(os.environ)
    if named is not None:
        return Keyring.load(named)
    own = own_folder(os.environ)
    # who records keeps public keys there, which open nothing: no reason to refuse an archive in clear
    return Keyring.load(own) if _holds_private(own) else Keyring()


def own_folder(environment: Mapping[str, str]) -> Path:
    """Give the folder of this user's keys, which need not be there."""
    # mitmproxy's room: where the redaction key lies is its affair
    from replay.capture.installation import key_path

    return key_path(environment).with_name("keys")


def _named(environment: Mapping[str, str]) -> Path | None:
    place = environment.get(VARIABLE)
    return Path(place).expanduser() if place else None


def _holds_private(folder: Path) -> bool:
    try:
        return folder.is_dir() and any(b"signet-parity-private" in _begin(entry) for entry in folder.iterdir() if entry.is_file())
    except OSError as error:
        raise ArchiveError(f"{folder}: can't be read: {error.strerror or error}") from error


def _begin(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(64)


__all__ = ["VARIABLE", "KeysOption", "find_keys", "own_folder"]
