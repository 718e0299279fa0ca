"""Small files written whole: a reader sees the old content or the new, never half of it."""

import os
import tempfile
from pathlib import Path

from replay.model import UsageError


def write_whole(path: Path, content: bytes, *, mode: int) -> None:
    """
    Put *content* at *path* through a file beside it; the file has *mode* afterwards. Missing folders are made.

    Raises:
        UsageError: the folder can't be written to.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(content)
            Path(beside).chmod(mode)
            Path(beside).replace(path)
        except OSError:
            Path(beside).unlink(missing_ok=True)
            raise
    except OSError as error:
        raise UsageError(f"{path}: can't be written ({error.strerror or error}); check the folder's permissions and space") from error
