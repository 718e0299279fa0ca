"""What a secrets file shows to somebody without its key: for each name, whether it is sealed. Never a value."""

import base64
import binascii
from pathlib import Path
from typing import Final

from replay.model import ParityError
from replay.workspace import secrets

_SEALED_BYTES_MIN: Final = 40
"""24 bytes of nonce and 16 of authentication tag, around an empty text."""


def secret_forms(workspace: Path) -> dict[str, str]:
    """
    Give name → `sealed`, `plaintext` or `malformed` for every secret of a workspace.

    Empty where there is no secrets file; one that can't be read is `{"": "unreadable"}`, because it must not pass as none.
    """
    path = workspace / secrets.FILE
    if not path.exists():
        return {}
    try:
        store = secrets.read(path)
    except ParityError:
        return {"": "unreadable"}
    return {name: _form(secret.ciphertext) for name, secret in store.secrets.items()}


def _form(ciphertext: str) -> str:
    if secrets.leaked_text(ciphertext) is not None:
        return "plaintext"
    try:
        raw = base64.b64decode(ciphertext, validate=True)
    except (binascii.Error, ValueError):
        return "malformed"
    return "sealed" if len(raw) >= _SEALED_BYTES_MIN else "malformed"
