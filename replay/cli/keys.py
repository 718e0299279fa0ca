"""The commands about keys."""

from pathlib import Path
from typing import Annotated

import typer

from replay.cli.console import say

keys_application = typer.Typer(
    no_args_is_help=True, help="Make and show the keys of encrypted archives, and change who can open one.", rich_markup_mode=None
)


@keys_application.command("new")
def keys_new(
    out: Annotated[Path, typer.Option("--out", help="The new private key file; the public one goes beside it, as .pub.")] = Path(
        "signet-parity.key"
    ),
    comment: Annotated[str, typer.Option("--comment", help="Whose key it is, in a few words.")] = "",
) -> None:
    """Make a pair of keys. Never writes over a file."""
    from replay.jobs.keys import new_key

    say(new_key(out, comment))


@keys_application.command("show")
def keys_show(
    path: Annotated[Path, typer.Argument(help="A key file, or an archive.", metavar="FILE|ARCHIVE")],
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a key without its private half, or whose keys open an archive."""
    from replay.jobs.keys import show_keys

    say(show_keys(path, as_json=as_json))


@keys_application.command("rotate")
def keys_rotate(
    archive: Annotated[Path, typer.Argument(help="A sealed, encrypted archive.", metavar="ARCHIVE")],
    keys: Annotated[Path, typer.Option("--keys", help="A private key file that opens it now, or a folder of such files.")],
    *,
    add: Annotated[list[Path] | None, typer.Option("--add", help="Let this key open it too: a public key file; repeatable.")] = None,
    drop: Annotated[list[str] | None, typer.Option("--drop", help="No longer let the key with this id open it; repeatable.")] = None,
) -> None:
    """Change who can open an archive, without encrypting it again."""
    from replay.jobs.keys import rotate_keys

    say(rotate_keys(archive, keys, add or [], drop or []))
