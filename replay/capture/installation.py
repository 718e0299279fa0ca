"""The redaction key of this installation."""

import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from replay.model import UsageError

KEY_BYTES = 32


def key_path(environment: Mapping[str, str]) -> Path:
    """Give where the key lies: under `$XDG_CONFIG_HOME`, or `~/.config`."""
    base = environment.get("XDG_CONFIG_HOME") or ""
    folder = Path(base) if base.startswith("/") else Path(environment.get("HOME") or Path.home()) / ".config"
    return folder / "signet-parity" / "redaction.key"


def load_key(path: Path) -> bytes:
    """
    Read the key, or make one (0600) where there is none yet. Two recorders that start at once get the same.

    Raises:
        UsageError: it can't be read or made, or is damaged.

    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
        if not path.exists():
            try:
                descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
                with os.fdopen(descriptor, "wb") as file:
                    file.write(secrets.token_bytes(KEY_BYTES))
                    file.flush()
                    os.fsync(file.fileno())
                with suppress(FileExistsError):  # whoever comes second keeps the first one's
                    os.link(draft, path)
            finally:
                draft.unlink(missing_ok=True)
        key = path.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{path}: the redaction key can't be read or made ({error.strerror or error}); mend that, or record with --set parity_redact=false"
        ) from error
    if len(key) != KEY_BYTES:
        raise UsageError(f"{path}: is no redaction key ({len(key)} bytes instead of {KEY_BYTES}); move it away to have a new one made")
    return key
