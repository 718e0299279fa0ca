"""Words and numbers as people read them: safe on a terminal, never rounded into a lie."""

from datetime import UTC, datetime

from replay.runs import Party, Run


def visible(text: str, *, keep_lines: bool = False) -> str:
    r"""
    Show what would steer a terminal or hide: `\x1b` for ESC, `\u202e` for a bidirectional override, and so on.

    Takes in C0 and C1 controls, format and private characters, lone surrogates, and spaces that look like another space.
    With *keep_lines* line feeds stay (for text of several lines whose parts were made visible before or are our own).
    """
    if text.isprintable():
        return text
    return "".join(character if character.isprintable() or (keep_lines and character == "\n") else _escape(character) for character in text)


def cut(text: str, characters_max: int) -> str:
    """Make *text* visible and about *characters_max* long at most, saying how long it is where something is left out."""
    shown = visible(text[:characters_max])
    if len(text) <= characters_max and len(shown) <= characters_max:
        return shown
    return f"{shown[: max(characters_max - 12, 1)]}… ({len(text):,} chars)"


def around(text: str | None, other: str | None, characters_max: int) -> str:
    """Show a value; of a long one the part around the place where it parts from *other*. Nothing there is `(absent)`."""
    if text is None:
        return "(absent)"
    shown = visible(text)
    if len(shown) <= characters_max:
        return shown
    start = max(shared(shown, visible(other))[0] - characters_max // 3, 0) if other is not None else 0
    start = min(start, max(len(shown) - characters_max, 0))
    piece = shown[start : start + characters_max]
    return f"{'…' if start else ''}{piece}{'…' if start + characters_max < len(shown) else ''} ({len(text):,} chars)"


def shared(left: str, right: str) -> tuple[int, int]:
    """How many characters two texts share at the start, and after that at the end."""
    most = min(len(left), len(right))
    start = next((place for place in range(most) if left[place] != right[place]), most)
    end = next((place for place in range(most - start) if left[-1 - place] != right[-1 - place]), most - start)
    return start, end


def share(part: int, whole: int) -> str:
    """Give a percentage with one decimal that is 0 or 100 only when it is exactly that; `–` without a denominator."""
    if whole <= 0:
        return "–"
    if part <= 0:
        return "0 %"
    if part >= whole:
        return "100 %"
    return f"{min(max(part * 100 / whole, 0.1), 99.9):.1f} %"


def bound(events: int, trials: int) -> str:
    """
    Say what *events* in *trials* prove: a rate with its denominator, and for zero the rule of three (at most 3/n: `0/12 (≤ 25 %)`).

    Without trials: `no evidence`.
    """
    if trials <= 0:
        return "no evidence"
    if events > 0:
        return f"{events:,}/{trials:,} ({share(events, trials)})"
    if trials <= 3:
        return f"0/{trials} (says little)"
    return f"0/{trials:,} (≤ {300 / trials:.2g} %)" if trials > 30 else f"0/{trials} (≤ {300 / trials:.0f} %)"


def plural(count: int, one: str, many: str = "") -> str:
    """Give `1 gap`, `3 gaps`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def party_name(party: Party) -> str:
    """Name who answered: the daemon as its archive knows it, else the archive's file or id."""
    return party.daemon or party.path.rstrip("/").rsplit("/", 1)[-1] or party.archive


def lacking(party: Party) -> str:
    """Say what an archive's recorder never wrote, such as `lacks 80 sampled out, 3 not written`; empty where it wrote everything."""
    told = ", ".join(f"{count:,} {visible(reason)}" for reason, count in party.lacks)
    return f"lacks {told}" if told else ""


def moment(seconds: float) -> str:
    """Give a time as `2026-11-23 12:00 UTC`; a time that no calendar holds as its number."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
    except (OverflowError, OSError, ValueError):
        return f"{seconds} s"


def duration(milliseconds: float | None) -> str:
    """Give `12.3 ms`, `4.56 s`, or `–`."""
    if milliseconds is None:
        return "–"
    return f"{milliseconds:.1f} ms" if milliseconds < 1000 else f"{milliseconds / 1000:.2f} s"


def _escape(character: str) -> str:
    known = {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(character)
    if known is not None:
        return known
    number = ord(character)
    if number <= 0xFF:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number <= 0xFFFF else f"\\U{number:08x}"


def rule_notes(run: Run) -> tuple[str, ...]:
    """Say what is odd about rules that were in force and decided something, or would have: shadowed, over-broad, swallowing canaries."""
    quiet = {*run.rules_unused, *run.rules_expired}
    return tuple(f"{use.id}: {note}" for use in run.rule_uses if use.id not in quiet for note in use.notes)
