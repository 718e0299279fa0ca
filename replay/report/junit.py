"""
A run as JUnit XML, for continuous integration.

A suite is a domain, a case is a feature of it (a route or a state check). A case fails where an open cause touches it and the run did
not pass; it is skipped where nothing of it was compared. One more suite, `run`, holds what is not of one domain: the verdict, canaries.
"""

import xml.etree.ElementTree as ET
from collections import defaultdict
from datetime import UTC, datetime

from replay.evidence import FeatureTally, features
from replay.model import Cluster, Verdict
from replay.report.terminal import cause_lines, last_line
from replay.report.text import plural, visible
from replay.runs import Run


def junit(run: Run) -> str:
    """Give the XML text; characters that XML can't hold, or that steer a terminal, are shown as escapes."""
    causes = _causes(run)
    suites: dict[str, list[ET.Element]] = defaultdict(list)
    for row in features(run):
        suites[visible(row.domain)].append(_case(run, row, causes[row.domain, row.feature]))
    suites["run"] = _run_cases(run)
    root = ET.Element("testsuites", name="signet-parity")
    for name, cases in suites.items():
        suite = ET.SubElement(root, "testsuite", name=name, timestamp=_timestamp(run.started_at))
        suite.attrib.update(_counts(cases))
        suite.extend(cases)
    root.attrib.update(_counts([case for cases in suites.values() for case in cases]))
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _causes(run: Run) -> dict[tuple[str, str], list[Cluster]]:
    """Collect the causes that touch each feature, most explaining first."""
    clusters = {cluster.id: cluster for cluster in run.clusters}
    touching: dict[tuple[str, str], dict[str, Cluster]] = defaultdict(dict)
    for divergence in run.divergences:
        finding = divergence.finding
        cluster = clusters.get(divergence.cluster)
        if cluster is not None:
            touching[finding.domain, finding.route or f"{finding.check}: {finding.path}"][cluster.id] = cluster
    order = {cluster.id: place for place, cluster in enumerate(run.clusters)}
    found: dict[tuple[str, str], list[Cluster]] = defaultdict(list)
    for key, rows in touching.items():
        found[key] = sorted(rows.values(), key=lambda cluster: order[cluster.id])
    return found


def _case(run: Run, row: FeatureTally, causes: list[Cluster]) -> ET.Element:
    tally = row.tally
    case = ET.Element("testcase", classname=visible(row.domain), name=visible(row.feature))
    open_causes = [cluster for cluster in causes if cluster.verdict is Verdict.OPEN]
    others = [cluster for cluster in causes if cluster.verdict is not Verdict.OPEN]
    if open_causes and run.verdict != "pass":
        failure = ET.SubElement(
            case,
            "failure",
            type=open_causes[0].difference.value,
            message=f"{tally.open} of {tally.compared} compared exchanges differ from {plural(len(open_causes), 'open cause')}",
        )
        failure.text = _told(open_causes)
    elif tally.compared == 0 and tally.state_open + tally.state_explained == 0:
        reasons = ", ".join(f"{count} {visible(reason)}" for reason, count in tally.gaps.items())
        ET.SubElement(case, "skipped", message=f"nothing compared: {reasons}")
    told = f"{tally.compared} of {tally.planned} planned compared, {tally.identical} identical"
    rest = others if run.verdict != "pass" else [*open_causes, *others]
    ET.SubElement(case, "system-out").text = told + ("\n" + _told(rest) if rest else "")
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


def _told(clusters: list[Cluster]) -> str:
    return "\n".join(line for cluster in clusters[:20] for line in cause_lines(cluster))


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
