"""Noise as a file: JSON, one fact a row, sorted, so that two files can be laid beside each other."""

import json
from dataclasses import asdict, fields
from typing import Final

from replay.judge.noise import NoiseModel
from replay.judge.texts import read_parts
from replay.model import NoiseFact, RuleError

FORMAT: Final = 3
_WORDS: Final = frozenset({"route", "path", "kind", "values"})
_LISTS: Final = frozenset({"seen", "parts"})
_BOUNDS: Final = frozenset({"low", "high", "widest", "ratio"})


def noise_text(model: NoiseModel) -> str:
    """The model as the text of a noise file."""
    rows = [asdict(fact) for _, fact in sorted(model.facts.items())]
    # JSON has no infinity; Python reads its own spelling back.
    document = {"format": FORMAT, "archives": list(model.archives), "time_spread_s": round(model.time_spread_s, 6), "facts": rows}
    return json.dumps(document, indent=1, ensure_ascii=False) + "\n"


def load_noise(text: str, source: str) -> NoiseModel:
    """
    Read a noise file; *source* names it in errors.

    Raises:
        RuleError: it is none, or of another version.

    """
    try:
        document = json.loads(text)
        if document["format"] != FORMAT:
            raise RuleError(f"{source}: noise format {document['format']!r} is not known to this version; learn it again")
        facts = [_fact(row) for row in document["facts"]]
        archives = tuple(str(digest) for digest in document["archives"])
        return NoiseModel({(fact.route, fact.path, fact.kind): fact for fact in facts}, archives, float(document["time_spread_s"]))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise RuleError(f"{source}: is no noise file ({type(error).__name__}: {error}); `signet-parity noise` makes one") from error


def _fact(row: dict[str, object]) -> NoiseFact:
    """Read one fact; anything of another type than it should be is refused."""
    for name in (item.name for item in fields(NoiseFact)):
        value = row[name]
        if name in _WORDS:
            good = isinstance(value, str)
        elif name in _LISTS:
            good = isinstance(value, list) and all(isinstance(item, str) for item in value)
        elif name in _BOUNDS:
            good = value is None or (isinstance(value, int | float) and not isinstance(value, bool))
        else:
            good = isinstance(value, int) and not isinstance(value, bool) and value >= 0
        if not good:
            raise TypeError(f"{name} can't be {value!r}")
    fact = NoiseFact(**{**row, "seen": tuple(row["seen"]), "parts": tuple(row["parts"])})  # type: ignore[arg-type]  # checked above
    read_parts(fact.parts)
    return fact
