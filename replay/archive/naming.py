"""Which names and links of a tree are safe to make on disk; pure."""

from typing import Final

_PART_BYTES_MAX: Final = 255


def split_name(name: str, path_bytes_max: int) -> tuple[str, ...] | None:
    """
    Split the name of a member into its parts; empty for the root itself.

    None where it is not safe: absolute, climbing (`..`), too long, or with a NUL.
    """
    if name.startswith("/") or "\0" in name:
        return None
    parts = tuple(part for part in name.split("/") if part not in {"", "."})
    too_long = len(_octets(name)) > path_bytes_max or any(len(_octets(part)) > _PART_BYTES_MAX for part in parts)
    return None if ".." in parts or too_long else parts


def link_stays_inside(name: str, target: str) -> bool:
    """
    Whether a symbolic link of this name points into its own tree.

    Only a target that climbs first and then descends is taken: its climb starts at the link's real folder, so it can be counted, and no
    `..` can follow another link to somewhere else.
    """
    if not target or target.startswith("/") or "\0" in target:
        return False
    parts = [part for part in target.split("/") if part not in {"", "."}]
    climb = 0
    while climb < len(parts) and parts[climb] == "..":
        climb += 1
    depth = len([part for part in name.split("/") if part not in {"", "."}]) - 1
    return climb <= depth and ".." not in parts[climb:]


def _octets(text: str) -> bytes:
    return text.encode(errors="surrogateescape")
