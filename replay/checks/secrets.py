"""
Are the secrets sealed, and are the same ones there.

The evidence is what the player saw in the daemon's secrets file at the end of its replay: name → form (`workspace.secret_forms`), kept in the
observed archive's facts under `secrets`. The control's file is the measure; without a control only what is readable without a key is a finding.
"""

import json
from collections.abc import Mapping
from typing import Final

from replay.model import DifferenceClass, Finding, Subject, Witness

FACT: Final = "secrets"
_FILE: Final = ".secrets/secrets.enc"


def find_secrets(candidate: object, control: object) -> list[Finding]:
    """
    Compare what two replays left in the secrets file.

    Either side may be anything that a manifest can hold; what is no table of forms counts as absent.
    """
    left, right = _forms(control), _forms(candidate)
    if right is None:
        return []
    findings = []
    for name, form in sorted(right.items()):
        before = None if left is None else left.get(name)
        if left is not None and before is None:
            findings.append(_finding(name, "extra-item", None, form, left is not None))
        elif form not in {"sealed", before}:
            findings.append(_finding(name, "value", before, form, left is not None))
    for name, form in sorted((left or {}).items()):
        if name not in right:
            findings.append(_finding(name, "missing-item", form, None, confirmed=True))
    return findings


def _forms(value: object) -> Mapping[str, str] | None:
    if not isinstance(value, dict) or not all(isinstance(key, str) and isinstance(item, str) for key, item in value.items()):
        return None
    return value


def _finding(name: str, kind: str, primary: str | None, candidate: str | None, confirmed: bool) -> Finding:  # noqa: FBT001
    return Finding(
        check="secrets",
        subject=Subject("secret", f"{_FILE}:{name}"),
        domain="secrets",
        route=None,
        difference=DifferenceClass.SEMANTIC,
        kind=kind,
        path="$.secrets.*.form",
        at=f"$.secrets.{name}.form",
        primary=None if primary is None else json.dumps(primary),
        candidate=None if candidate is None else json.dumps(candidate),
        control=None if primary is None else json.dumps(primary),
        transition=f"{primary or 'absent'} → {candidate or 'absent'}",
        witness=Witness.CANDIDATE if confirmed else Witness.UNCONFIRMED,
        quirk="q-secret-in-clear" if candidate == "plaintext" else "",
    )
