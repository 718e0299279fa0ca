"""
Compare web pages by what a browser makes of them first: title, what they load, then the rest of their text.

The two daemons serve builds of one dashboard, and a build names its files by what they hold (`start.CX3fB2aQ.js`), so the hash in such a name is
a role like an id: it must be there, and may be another one. Whatever else differs in a page is told by its lines.
"""

import re
from collections.abc import Iterator
from typing import Final

from replay.compare.difference import Difference
from replay.compare.state import Place, Scene
from replay.compare.walk import walk_pair
from replay.content import Value
from replay.model import DifferenceClass

_HASHED: Final = re.compile(
    r"(?<=[A-Za-z0-9_][.\-/])(?=[A-Za-z0-9_-]{0,31}[0-9A-Z])[A-Za-z0-9_-]{6,32}(?=\.(?:js|mjs|css|map|woff2?|ttf|png|jpe?g|svg|webp|ico|json|wasm)\b)"
)
_PAGE_CHARACTERS_MAX: Final = 2_000_000
"""A longer page is compared as text alone."""
_LOADING: Final = re.compile(r"<(?:script|link|img|source|iframe)\b([^<>]*+)>", re.IGNORECASE)
_TARGET: Final = re.compile(r"""\b(?:src|href)\s{0,4}=\s{0,4}(?:"([^"]*+)"|'([^']*+)'|([^\s"'>]++))""", re.IGNORECASE)
_TITLE: Final = re.compile(r"<title\b[^<>]*+>([^<]*+)</title", re.IGNORECASE)
"""These three take linear time, which the standard library's parser does not on pages that are made to hang it."""


def compare_pages(recorded: str, observed: str, scene: Scene) -> Iterator[Difference]:
    """Yield how two HTML pages differ; nothing where only hashes in the names of their files do."""
    one, two = _without_hashes(recorded), _without_hashes(observed)
    if one == two:
        if scene.bytewise and recorded != observed:
            where = Place()
            yield Difference(DifferenceClass.SEMANTIC, "bytes", where.path, where.at, recorded, observed, "hashes in names of files")
        elif recorded != observed:
            scene.tolerate("hash in the name of a file", "$")
        return
    if max(len(one), len(two)) <= _PAGE_CHARACTERS_MAX:
        parts = [_read(page) for page in (one, two)]
        found = list(walk_pair(parts[0], parts[1], scene, Place("$.<html>", "$.<html>")))
        yield from found
        if found:
            # What a page loads and is called is told; the rest of its markup is another place.
            one, two = _rest(one, parts[0]), _rest(two, parts[1])
    yield from walk_pair(one, two, scene, Place("$", "$"))


def _without_hashes(page: str) -> str:
    return _HASHED.sub("[hash]", page)


def _rest(page: str, told: Value) -> str:
    """The page without what was told of it."""
    words = [word for part in told.values() for word in (part if isinstance(part, list) else [part])] if isinstance(told, dict) else []
    for word in sorted({word for word in words if isinstance(word, str) and word}, key=len, reverse=True)[:200]:
        page = page.replace(word, "")
    return page


def _read(page: str) -> Value:
    title = _TITLE.search(page)
    targets = (_TARGET.search(tag.group(1)) for tag in _LOADING.finditer(page))
    loads: list[Value] = ["".join(part or "" for part in target.groups()) for target in targets if target is not None]
    return {"title": " ".join(title.group(1).split()) if title else "", "loads": loads}
