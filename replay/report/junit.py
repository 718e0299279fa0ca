"""
A run as JUnit XML, for continuous integration.

A suite is a domain, a case is a cause within it. A case fails where its cause is open and the run did not pass; where the cause is explained,
it is skipped with the reason. What was compared without any cause is one case of its domain, `identical`, so that a domain that nobody
looked at shows as skipped and not as good. One more suite, `run`, holds what is not of one domain: the verdict, canaries; an
incomplete run is an error.
"""

import xml.etree.ElementTree as ET
from collections import defaultdict
from collections.abc import Mapping
from datetime import UTC, datetime

from replay.evidence import DomainTally, domains
from replay.model import Cause, Cluster, Verdict
from replay.report.terminal import cause_lines, last_line, told_lines
from replay.report.text import cut, visible
from replay.runs import Run


def junit(run: Run) -> str:
    """Give the XML text; characters that XML can't hold, or that steer a terminal, are shown as escapes."""
    places = {cluster.id: cluster for cluster in run.clusters}
    found: dict[str, list[Cause]] = defaultdict(list)
    for cause in run.causes:
        for domain in cause.domains:
            found[domain].append(cause)
    suites: dict[str, list[ET.Element]] = {}
    for row in domains(run):
        rest = _rest(row)
        cases = [_case(run, row.domain, cause, places) for cause in found[row.domain]]
        suites[visible(row.domain)] = [*([rest] if rest is not None else []), *cases]
    suites["run"] = _run_cases(run)
    root = ET.Element("testsuites", name="signet-parity")
    for name, cases in suites.items():
        if not cases:
            continue
        suite = ET.SubElement(root, "testsuite", name=name, timestamp=_timestamp(run.started_at))
        suite.attrib.update(_counts(cases))
        suite.extend(cases)
    root.attrib.update(_counts([case for cases in suites.values() for case in cases]))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _case(run: Run, domain: str, cause: Cause, places: Mapping[str, Cluster]) -> ET.Element:
    """Give the case of one cause; its name has the lasting id, so that a history of builds knows it again."""
    case = ET.Element("testcase", classname=visible(domain), name=f"{visible(cause.id)} {visible(cause.name)}")
    first = places.get(cause.clusters[0]) if cause.clusters else None
    told = "\n".join(told_lines(cause, first))
    if cause.verdict is Verdict.OPEN and run.verdict != "pass":
        failure = ET.SubElement(case, "failure", type=cause.difference.value, message=cut(cause.title, 300))
        failure.text = told
    elif cause.verdict is not Verdict.OPEN:
        because = first.because if first is not None else cause.title
        ET.SubElement(case, "skipped", message=f"{cause.verdict.value}: {cut(because, 300)}")
    own = [places[name] for name in cause.clusters[:20] if name in places and domain in (places[name].domains or (places[name].domain,))]
    lines = [told, *(line for place in own for line in cause_lines(place))]
    if len(cause.clusters) > 20:
        lines.append(f"… and {len(cause.clusters) - 20:,} more places")
    ET.SubElement(case, "system-out").text = "\n".join(lines)
    return case


def _rest(row: DomainTally) -> ET.Element | None:
    """Give the case of what was compared and found identical; skipped where nothing was compared, absent where nothing was planned."""
    tally = row.tally
    if not tally.planned:
        return None
    case = ET.Element("testcase", classname=visible(row.domain), name="identical")
    if not tally.compared:
        reasons = ", ".join(f"{count} {visible(reason)}" for reason, count in tally.gaps.items())
        ET.SubElement(case, "skipped", message=f"nothing compared: {reasons}")
    ET.SubElement(case, "system-out").text = f"{tally.compared} of {tally.planned} planned compared, {tally.identical} identical"
    return case


def _run_cases(run: Run) -> list[ET.Element]:
    verdict = ET.Element("testcase", classname="run", name="verdict")
    if run.verdict != "pass":
        kind = "failure" if run.verdict == "fail" else "error"
        ET.SubElement(verdict, kind, type=visible(run.verdict), message=visible(run.because))
    ET.SubElement(verdict, "system-out").text = last_line(run)
    canaries = ET.Element("testcase", classname="run", name="canaries")
    if not run.canaries.planted:
        ET.SubElement(canaries, "skipped", message="no canaries were planted")
    elif run.canaries.found < run.canaries.planted:
        message = f"{run.canaries.found} of {run.canaries.planted} canaries found"
        ET.SubElement(canaries, "error", type="void", message=message).text = "\n".join(map(visible, run.canaries.missed))
    return [verdict, canaries]


def _counts(cases: list[ET.Element]) -> dict[str, str]:
    return {
        "tests": str(len(cases)),
        "failures": str(sum(case.find("failure") is not None for case in cases)),
        "errors": str(sum(case.find("error") is not None for case in cases)),
        "skipped": str(sum(case.find("skipped") is not None for case in cases)),
    }


def _timestamp(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, OSError, ValueError):
        return "1970-01-01T00:00:00"
