"""What `roundhouse audit` prints: each mismatch on a line, then what else there is to know, then what was looked at."""

from __future__ import annotations

from flows.terminal import bars, cell, console, print_json
from lib import home as homes
from lib.audit.report import Report
from lib.audit.whole import audit as audited
from lib.environment import quiet_environment


def audit(name: str, *, offline: bool, as_json: bool) -> None:
    """Audit a campaign. Exits 1 where something is not as it was, or could not be looked at."""
    quiet_environment()
    with bars(quiet=as_json or not console.is_terminal) as shown:
        report = audited(
            homes.to_read(), name, offline=offline, told=lambda what, done, total: shown.set(name, what, done / total if total else 0.0)
        )
    if as_json:
        print_json(report.to_dict())
    else:
        for line in _lines(report):
            console.print(cell(line), markup=False, soft_wrap=True)
    if not report.passed:
        raise SystemExit(1)


def _lines(report: Report) -> list[str]:
    found = [f"mismatch: {mismatch.line}" for mismatch in report.mismatches]
    found += [f"not checked: {line}" for line in report.unchecked]
    found += [f"lost: {line}" for line in report.losses]
    found += [f"collected: {line}" for line in report.collected]
    found += [f"not yet published: {line}" for line in report.unpublished]
    found += [f"note: {line}" for line in report.notes]
    wrong = len(report.mismatches) + len(report.unchecked)
    how = "everything is as it was" if report.passed else f"{wrong} thing{'s' if wrong > 1 else ''} to look at"
    return [*found, f"audit of {report.campaign}: {how}; looked at {report.summary()}"]
