"""
Taking out of a git configuration whatever could run a program or reach other files; pure.

Git knows dozens of settings that name a program (and each release adds some), so this is a list of what may stay, not of what must go.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

_CORE: Final = frozenset(
    [
        "abbrev",
        "autocrlf",
        "bare",
        "bigfilethreshold",
        "checkstat",
        "commitgraph",
        "compression",
        "eol",
        "filemode",
        "fscache",
        "ignorecase",
        "logallrefupdates",
        "longpaths",
        "multipackindex",
        "precomposeunicode",
        "preloadindex",
        "protecthfs",
        "protectntfs",
        "quotepath",
        "repositoryformatversion",
        "safecrlf",
        "sharedrepository",
        "symlinks",
        "trustctime",
        "untrackedcache",
    ]
)
_KEPT: Final[dict[str, frozenset[str] | None]] = {
    # None: every key of the section is harmless.
    "core": _CORE,
    "remote": frozenset(["fetch", "mirror", "prune", "push", "pushurl", "skipdefaultupdate", "tagopt", "url"]),
    "branch": frozenset(["description", "merge", "pushremote", "rebase", "remote"]),
    "user": frozenset(["email", "name", "signingkey", "useconfigonly"]),
    "author": frozenset(["email", "name"]),
    "committer": frozenset(["email", "name"]),
    "alias": None,
    "advice": None,
    "color": None,
    "column": None,
    "commit": frozenset(["cleanup", "gpgsign", "status", "verbose"]),
    "diff": frozenset(["algorithm", "context", "mnemonicprefix", "noprefix", "renamelimit", "renames", "submodule"]),
    "extensions": None,
    "feature": None,
    "fetch": frozenset(["parallel", "prune", "prunetags", "recursesubmodules"]),
    "gc": frozenset(["auto", "autodetach", "autopacklimit", "packrefs", "pruneexpire", "reflogexpire", "reflogexpireunreachable"]),
    "index": None,
    "init": frozenset(["defaultbranch"]),
    "log": None,
    "maintenance": frozenset(["auto", "strategy"]),
    "merge": frozenset(["conflictstyle", "ff", "log", "renamelimit", "renames", "stat"]),
    "pack": None,
    "pull": None,
    "push": frozenset(["autosetupremote", "default", "followtags", "recursesubmodules"]),
    "rebase": frozenset(["autosquash", "autostash", "stat", "updaterefs"]),
    "receive": frozenset(["autogc", "denycurrentbranch", "denydeletes", "denynonfastforwards", "fsckobjects"]),
    "rerere": None,
    "status": None,
    "tag": frozenset(["gpgsign", "sort"]),
    "transfer": frozenset(["fsckobjects", "hiderefs"]),
}
_WITH_SUBSECTION: Final = frozenset({"remote", "branch", "color", "maintenance"})

_HEADER: Final = re.compile(r'\[\s*([A-Za-z0-9.-]+)(?:\s+"((?:[^"\\\n]|\\.)*)")?\s*\]')
_TRANSPORT: Final = re.compile(r"[A-Za-z0-9+.-]+::")
_KEY: Final = re.compile(r"([A-Za-z][A-Za-z0-9-]*)[ \t]*")


@dataclass(frozen=True, slots=True)
class Setting:
    """One line of a git configuration."""

    section: str
    """In lower case."""
    subsection: str | None
    key: str
    """In lower case; git does not tell cases apart here."""
    value: str | None
    """None: the bare key, which means true."""
    start: int
    end: int
    """Where it stands in the text, in characters."""

    @property
    def name(self) -> str:
        """Its whole name, such as `remote.origin.url`."""
        return ".".join(part for part in (self.section, self.subsection, self.key) if part is not None)


class UnreadableConfigError(ValueError):
    """The text is no git configuration."""


def disarm_config(text: str) -> tuple[str, tuple[str, ...]]:
    """
    Give the configuration without what could do harm, and the names of the settings that were taken out.

    Everything else of the text stays as it was.

    Raises:
        UnreadableConfigError: it can't be read, so that nothing can be said of it.
    """
    harmful = [setting for setting in parse(text) if not _harmless(setting)]
    for setting in reversed(harmful):
        text = text[: setting.start] + text[setting.end :]
    return text, tuple(setting.name for setting in harmful)


def parse(text: str) -> Iterator[Setting]:
    """
    Give the settings of a git configuration, in order.

    Raises:
        UnreadableConfigError: it is none.
    """
    section, subsection = "", None
    place = 1 if text.startswith("\ufeff") else 0
    while place < len(text):
        character = text[place]
        if character.isspace():
            place += 1
        elif character in "#;":
            place = _line_end(text, place)
        elif character == "[":
            header = _HEADER.match(text, place)
            if header is None:
                raise UnreadableConfigError(f"no section header at character {place}")
            section, _, old_style = header[1].lower().partition(".")
            quoted = None if header[2] is None else re.sub(r"\\(.)", r"\1", header[2])
            subsection = quoted if quoted is not None else (old_style or None)
            place = header.end()
        else:
            key = _KEY.match(text, place)
            if key is None or not section:
                raise UnreadableConfigError(f"no setting at character {place}")
            start, place = place, key.end()
            value: str | None = None
            if text[place : place + 1] == "=":
                value, place = _value(text, place + 1)
            elif text[place : place + 1] not in {"", "\n", "\r", "#", ";"}:
                raise UnreadableConfigError(f"no setting at character {place}")
            yield Setting(section, subsection, key[1].lower(), value, start, place)


def _value(text: str, place: int) -> tuple[str, int]:
    """Read a value with its quotes, escapes, continued lines and comment; give it and the place behind it."""
    taken: list[str] = []
    solid = 0
    quoted = False
    while place < len(text) and (quoted or text[place] != "\n"):
        character = text[place]
        place += 1
        if character == "\n":
            raise UnreadableConfigError("a quoted value runs over its line")
        if character == "\\":
            escape = text[place : place + 2]
            if escape[:1] == "\n" or escape == "\r\n":
                place += 1 if escape[:1] == "\n" else 2
                continue
            meant = {"n": "\n", "t": "\t", "b": "\b", "\\": "\\", '"': '"'}.get(escape[:1])
            if meant is None:
                raise UnreadableConfigError("an unknown escape")
            taken.append(meant)
            place += 1
            solid = len(taken)
        elif character == '"':
            quoted = not quoted
            solid = len(taken)
        elif character in "#;" and not quoted:
            place = _line_end(text, place)
        elif taken or quoted or not character.isspace():
            taken.append(character)
            solid = len(taken) if quoted or not character.isspace() else solid
    if quoted:
        raise UnreadableConfigError("a quoted value has no end")
    return "".join(taken[:solid]), place


def _line_end(text: str, place: int) -> int:
    end = text.find("\n", place)
    return len(text) if end < 0 else end


def _harmless(setting: Setting) -> bool:
    if setting.section not in _KEPT or (setting.subsection is not None and setting.section not in _WITH_SUBSECTION):
        return False
    value = (setting.value or "").lstrip()
    keys = _KEPT[setting.section]
    if keys is not None and setting.key not in keys:
        return False
    if setting.section == "alias":
        # An alias may also smuggle a setting in: `-c core.pager=…`.
        return not value.startswith(("!", "-"))
    if setting.key in {"url", "pushurl"}:
        # `ext::` and its like name a program; a leading dash is read as an option.
        return not value.startswith("-") and _TRANSPORT.match(value) is None
    return True
