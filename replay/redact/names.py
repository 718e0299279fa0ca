"""
Secrets that are known by the name before them, in JSON, YAML, TOML and environment text, at any depth of JSON in strings.

How this works
--------------
A few literal roots (`pass…`, `secret`, `token`, `key`, `authorization`) are searched for, each with a separator behind it; the whole name
is then judged by `is_secret_name`. Names of what a daemon hands out and a client sends back, and of counts, are exceptions: a replay
needs these. A value in quotes ends at the quote of its own depth, so a JSON string inside a JSON string is read without parsing either.
A bare value is a word, and a whole line only behind a password. References (`${NAME}`, `op://…`) and words such as `required` stay.
"""

import json
import re
from functools import lru_cache
from typing import Final
from urllib.parse import unquote_to_bytes

from replay.redact.edits import Edit
from replay.redact.placeholder import count_kept, is_placeholder, make_credential, make_number, make_opaque

VALUE_MAX_BYTES: Final = 64 * 1024
_MISSES_MAX: Final = 2000
KEPT_NAMES: Final = frozenset(
    {
        b"confirmtoken",
        b"pagetoken",
        b"nextpagetoken",
        b"prevpagetoken",
        b"nexttoken",
        b"continuationtoken",
        b"cursortoken",
        b"synctoken",
        b"locktoken",
        b"activelocktoken",
        b"leasetoken",
        b"maxtoken",
        b"pertoken",
        b"costpertoken",
        b"eostoken",
        b"bostoken",
        b"padtoken",
        b"hassecret",
        b"issecret",
    }
)
"""Names, folded and without dashes, of what a daemon hands out and takes back, or counts: no secrets, and a replay needs them."""

_FOLD: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ_", b"abcdefghijklmnopqrstuvwxyz-")
_KEYS: Final = tuple(
    word + b"key"
    for word in (
        *(b"api", b"private", b"access", b"secret", b"auth", b"signing", b"encryption", b"master", b"account", b"shared"),
        *(b"ssh", b"deploy", b"service", b"license", b"subscription", b"posthog", b"admin", b"bot"),
    )
)
_ENDS: Final = (b"password", b"passwd", b"passphrase", b"passcode", b"secret", b"token", b"authorization", b"keyhash", *_KEYS)
_TAIL: Final = rb"(\\{0,63}[\"']|)[ \t]{0,8}([:=])(?![:=])>?[ \t]{0,8}"
_ROOTS: Final = (
    (b"pass", "password", re.compile(rb"pass(?:word|wd|phrase|code)" + _TAIL)),
    (b"secret", "secret", re.compile(rb"secret" + _TAIL)),
    # the commonest key of all is no secret: it is ruled out here, where that is cheap
    (b"k", "token", re.compile(rb"k(?:(?<=tok)en|ey(?<!sessionkey)(?<!session-key)(?:-?hash)?)" + _TAIL)),
    (b"z", "authorization", re.compile(rb"authorization" + _TAIL)),
)
_NAME: Final = re.compile(rb"[a-z0-9-]*\Z")
_LINE: Final = re.compile(rb"(?:[\n\r\"'\x00]|\\[nr])[ \t]*(?:-[ \t]+)?(?:export[ \t]+)?[a-z0-9-]*\Z")
_TOKEN_ALONE: Final = re.compile(rb"(?<![a-z0-9-])token\Z")
_WINDOW_BYTES: Final = 40
_OPEN: Final = re.compile(rb"(\\{0,63})([\"'])")
_WORD: Final = re.compile(rb"[^\s\"'\\,;&<>(){}\[\]#`|]{1,4096}+")
_REST: Final = re.compile(rb"[^\n\r\"'\\&]{1,256}")
_NUMBER: Final = re.compile(rb"-?[0-9][0-9.eE+-]{0,40}")
_BLOCK: Final = re.compile(rb"[|>][+-]?[0-9]?[ \t]*(\n|\\+n)([ \t]+)")
_SCHEME: Final = re.compile(rb"\s*(?:Bearer|Basic|Digest|Token|Negotiate|ApiKey)(?:\s+|$)", re.IGNORECASE)
_REFERENCE: Final = re.compile(
    rb"\$\{[A-Za-z_][\w.:-]{0,80}\}|\$[A-Z_][A-Z0-9_]{0,80}|(?:secret|op|bw|vault|env|keychain)://?[^\s]{1,200}|env:\w{1,80}|\{\{[^{}]{1,80}\}\}"
    rb"|\[?REDACTED\]?|<[^<>]{1,60}>|[*.xX]{3,80}|[A-Z][A-Z0-9]*_[A-Z0-9_]{1,60}"
)
_WORDS: Final = frozenset(
    b"true false null none nil undefined required optional missing invalid expired unset set present absent string text password token secret "
    b"bearer basic unknown enabled disabled default ok yes no hidden masked".split()
)


def fold(data: bytes) -> bytes:
    """Give *data* in lower case with `-` for `_`, of the same length."""
    return data.translate(_FOLD)


def holds_rare(data: bytes, letter: bytes, offset: int, words: tuple[bytes, ...]) -> bool:
    """
    Whether one of *words* occurs, all of which have the rare *letter* at *offset*.

    Looking for one byte is a hundred times as fast as looking for a word; where the letter is not rare after all, words are looked for.
    """
    at = -1
    for _ in range(_MISSES_MAX):
        at = data.find(letter, at + 1)
        if at < 0:
            return False
        if data.startswith(words, max(0, at - offset)):
            return True
    return any(data.find(word, at - offset) >= 0 for word in words)


def is_secret_name(name: bytes, more: frozenset[bytes] = frozenset(), kept: frozenset[bytes] = frozenset()) -> bool:
    """Whether a key of this name holds a secret, however it is spelt; *more* and *kept* are own names, folded and without dashes."""
    bare = fold(name).replace(b"-", b"")
    return _is_secret(bare, more, kept)


def find_named(data: bytes, folded: bytes, key: bytes, more: frozenset[bytes] = frozenset(), kept: frozenset[bytes] = frozenset()) -> list[Edit]:
    """Find values of secret names; *more* are further names and *kept* exceptions, both folded and without dashes."""
    edits: list[Edit] = []
    for root, kind, pattern in _ROOTS:
        if root in folded and (root != b"z" or holds_rare(folded, b"z", 7, (b"authorization",))):
            edits.extend(_find_root(data, folded, key, (kind, pattern), kept))
    if more:
        edits.extend(_find_more(data, folded, key, more, kept))
    return edits


def replace_string(inner: bytes, start: int, kind: str, key: bytes, depth: int = 0) -> list[Edit]:
    """
    Replace the inside of a JSON string at *start*; *depth* counts the strings around its own.

    Escapes are decoded first, so that equal secrets get equal placeholders. A scheme before a credential stays.
    """
    scheme = _SCHEME.match(inner)
    skipped = scheme.end() if scheme is not None else 0
    inner = inner[skipped:]
    start += skipped
    if not inner:
        return []
    plain = _plain(inner, depth)
    replaced = make_credential(key, inner) if plain == inner else make_opaque(key, plain, len(inner))
    offset = count_kept(replaced)
    return [Edit(start + offset, "bearer" if offset and b"." in replaced else kind, replaced[offset:])] if replaced[offset:] else []


def _find_root(data: bytes, folded: bytes, key: bytes, root: tuple[str, re.Pattern[bytes]], kept: frozenset[bytes]) -> list[Edit]:
    kind, pattern = root
    edits: list[Edit] = []
    end = 0
    for match in pattern.finditer(folded):
        if match.start() < end:
            continue
        from_ = max(0, match.start() - _WINDOW_BYTES)
        quoting = match[1]
        window = folded[from_ : match.start(1)]
        if quoting:
            # cut to the name alone, which keeps coming back
            window = window[window.rfind(quoting[-1:]) + 1 :]
        elif from_ == 0:
            window = b"\x00" + window
        if not _judge(window, kept):
            continue
        found = _value(data, match.end(), window, quoted=bool(quoting), equals=match[2] == b"=", kind=kind, key=key)
        if found:
            edits.extend(found)
            end = found[-1].end
    return edits


def _find_more(data: bytes, folded: bytes, key: bytes, more: frozenset[bytes], kept: frozenset[bytes]) -> list[Edit]:
    edits: list[Edit] = []
    for name in more - kept:
        pattern = re.compile(b"-?".join(re.escape(folded_letter.encode()) for folded_letter in name.decode("ascii", "ignore")) + _TAIL)
        edits.extend(
            edit
            for match in pattern.finditer(folded)
            if not folded[match.start() - 1 : match.start()].isalnum()
            for edit in _value(data, match.end(), b"\n", quoted=bool(match[1]), equals=match[2] == b"=", kind="field", key=key)
        )
    return edits


def _value(data: bytes, at: int, window: bytes, *, quoted: bool, equals: bool, kind: str, key: bytes) -> list[Edit]:
    opened = _OPEN.match(data, at)
    if opened is not None:
        depth = len(opened[1])
        start = opened.end()
        end = _string_end(data, start, opened[2], depth, crosses=quoted)
        inner = data[start:end]
        return [] if _is_plain_word(inner, kind, window) else replace_string(inner, start, kind, key, depth.bit_length())
    if quoted:
        number = _NUMBER.match(data, at) if kind == "password" else None
        return [Edit(at, kind, make_number(number[0]))] if number else []
    return _bare(data, at, window, equals=equals, kind=kind, key=key)


def _bare(data: bytes, at: int, window: bytes, *, equals: bool, kind: str, key: bytes) -> list[Edit]:
    block = _BLOCK.match(data, at)
    if block is not None:
        return _block(data, block, kind, key)
    at_line = _LINE.search(window) is not None
    scheme = _SCHEME.match(data, at) if kind == "authorization" else None
    at = scheme.end() if scheme is not None else at
    match = (_REST if at_line and kind == "password" and not equals else _WORD).match(data, at)
    if match is None:
        return []
    value = match[0].partition(b" #")[0].rstrip()
    if not value or _is_plain_word(value, kind, window):
        return []
    looks_drawn = len(value) >= 16 or any(character in b"0123456789" for character in value)
    # without a blank behind its colon it is no line of YAML, but a word of its own, such as the `token:readonly` of a bearer token's claims
    spaced = equals or data[at - 1 : at].isspace()
    wanted = looks_drawn or is_placeholder(value) or (kind == "password" and (equals or at_line)) or (at_line and spaced and len(value) >= 8)
    if not wanted:
        return []
    plain = unquote_to_bytes(value) if equals and b"%" in value else value
    if plain != value:
        return [Edit(at, kind, make_opaque(key, plain, len(value)))]
    replaced = make_credential(key, value)
    offset = count_kept(replaced)
    return [Edit(at + offset, kind, replaced[offset:])] if replaced[offset:] else []


def _block(data: bytes, block: re.Match[bytes], kind: str, key: bytes) -> list[Edit]:
    """Replace the lines of a YAML block, also where its line ends are escaped."""
    newline, indent = block[1], block[2]
    edits = []
    at = block.end()
    limit = at + VALUE_MAX_BYTES
    while at < limit:
        end = data.find(newline, at)
        end = len(data) if end < 0 else end
        quote = data.find(b'"', at, end) if newline != b"\n" else -1
        stop = end if quote < 0 else quote
        line = data[at:stop].rstrip(b"\\")
        if line:
            edits.append(Edit(at, kind, line if is_placeholder(line) else make_opaque(key, line, len(line))))
        if quote >= 0 or not data.startswith(newline + indent, end):
            break
        at = end + len(newline) + len(indent)
    return edits


def _string_end(data: bytes, start: int, quote: bytes, depth_slashes: int, *, crosses: bool) -> int:
    """Find the closing quote of a string whose opening one had *depth_slashes* before it; the end of the data or the bound without one."""
    unit = depth_slashes + 1
    limit = min(len(data), start + VALUE_MAX_BYTES)
    if not crosses:
        newline = data.find(b"\n", start, limit)
        limit = limit if newline < 0 else newline
    at = start
    while True:
        found = data.find(quote, at, limit)
        if found < 0:
            return limit
        run = data[start:found]
        slashes = len(run) - len(run.rstrip(b"\\")) if run.endswith(b"\\") else 0
        if slashes < depth_slashes or ((slashes - depth_slashes) // unit) % 2 == 0:
            return found - min(slashes, depth_slashes)
        at = found + 1


def _plain(inner: bytes, depth: int) -> bytes:
    plain = inner
    if b"\\" in inner:
        for _ in range(depth + 1):
            try:
                plain = json.loads(b'"' + plain + b'"', strict=False).encode("utf-8", "surrogatepass")
            except ValueError:
                break
    return plain


def _is_plain_word(value: bytes, kind: str, window: bytes) -> bool:
    """Whether a value is a reference or a word that tells of a secret, and not one itself."""
    if kind == "password":
        return _REFERENCE.fullmatch(value) is not None and value[:1] in b"${<*[e"
    if value.lower() in _WORDS or _REFERENCE.fullmatch(value) is not None:
        return True
    # `token` is also what a model calls a piece of text
    return kind == "token" and (len(value) < 8 or b" " in value.strip()) and _TOKEN_ALONE.search(window) is not None


@lru_cache(maxsize=8192)
def _judge(window: bytes, kept: frozenset[bytes]) -> bool:
    match = _NAME.search(window)
    return match is not None and _is_secret(match[0].replace(b"-", b""), frozenset(), kept)


def _is_secret(bare: bytes, more: frozenset[bytes], kept: frozenset[bytes]) -> bool:
    if bare in kept or bare in KEPT_NAMES:
        return False
    return bare in more or bare.endswith(_ENDS)
