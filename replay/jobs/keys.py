"""Keys for encrypted archives: make them, say what they are and who can open what, change who can."""

import json
from collections.abc import Sequence
from pathlib import Path

from replay.archive import Keyring, change_recipients, is_archive, load_key, make_key, recipients_of, save_key
from replay.model import ArchiveError, UsageError


def new_key(out: Path, comment: str) -> str:
    """
    Make a pair of keys: the private one at a path, the public one beside it under `.pub`.

    Raises:
        UsageError: the private key's name is the public one's.
        ArchiveError: one of the two is there already, or can't be written; then neither is.
    """
    public = out.with_suffix(".pub")
    if public == out:
        raise UsageError(f"{out}: the public key goes there; give the private one another name")
    if public.exists():
        raise ArchiveError(f"{public}: there is something already; a key is never written over")
    key = make_key(comment)
    save_key(key, out, private=True)
    try:
        save_key(key, public, private=False)
    except ArchiveError:
        out.unlink(missing_ok=True)
        raise
    return "\n".join(
        (
            f"key {key.id}",
            f"private  {out}   opens archives; keep it away from the host that records, and keep a copy",
            f"public   {public}   give this one to the recorder",
        )
    )


def show_keys(path: Path, *, as_json: bool) -> str:
    """
    Say what a key file holds, without what is private in it, or whose keys open an archive.

    Raises:
        ArchiveError: it is neither, or can't be read.
    """
    if is_archive(path):
        ids = recipients_of(path)
        if as_json:
            return json.dumps({"archive": str(path), "encrypted": bool(ids), "recipients": list(ids)}, indent=1)
        return "\n".join([f"{path}: encrypted; each of these private keys opens it", *ids]) if ids else f"{path}: not encrypted"
    key = load_key(path)
    kind = "public" if key.private is None else "private"
    if as_json:
        return json.dumps({"id": key.id, "kind": kind, "public": key.public.hex(), "comment": key.comment}, indent=1)
    return f"{path}: {kind} key {key.id}\n{key.line(private=False).rstrip()}"


def rotate_keys(archive: Path, keys: Path, add: Sequence[Path], drop: Sequence[str]) -> str:
    """
    Let other keys open an archive. Its blocks stay as they are.

    Raises:
        UsageError: there is nothing to change.
        ArchiveError: a key file is none, none of the keys opens the archive, or nobody would be left.
    """
    if not add and not drop:
        raise UsageError("nothing to change; use --add with a public key file, or --drop with a key's id")
    manifest = change_recipients(archive, Keyring.load(keys), add=[load_key(path).public for path in add], drop=drop)
    said = [f"{archive}: each of these private keys opens it now", *manifest.recipients]
    if drop:
        said.append("who could open it before may have kept its data keys: dropping somebody does not take back what he could read")
    return "\n".join(said)
