"""What a bisection found, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from listen2lab.report.text.format import rate
from listen2lab.units import KIB

if TYPE_CHECKING:
    from listen2lab.findings.bisection import Bisection, Probe

__all__ = ["bisected", "probed"]


def probed(probe: Probe) -> str:
    """Say what one release did."""
    grown = probe.rate_kib_per_step
    if probe.verdict != "leak" or grown is None:
        return f"{probe.version}: {probe.verdict}"
    return f"{probe.version}: {probe.verdict}, {rate(grown * KIB)} a step"


def bisected(found: Bisection) -> str:
    """Say which release began to leak, and how probable that is."""
    good, bad = found.probes[0], found.probes[-1]
    if found.ended == "good-leaks":
        return f"{found.package} {good.version} leaks already: name an earlier release with --good."
    if found.ended == "bad-does-not":
        return (
            f"{found.package} {bad.version} does not leak here ({bad.verdict}): name another with "
            "--bad, or give more --steps and --repeats."
        )
    ranked = sorted(zip(found.odds, found.versions, strict=True), reverse=True)[:3]
    named = ", ".join(f"{version} {100 * odds:.0f} %" for odds, version in ranked if odds >= 0.01)
    title = "began to leak with" if found.ended == "sure" else "most probably began to leak with"
    return (
        f"{found.package} {title} {found.first}. Odds of being the first: {named}, where a verdict "
        f"calls a clean release a leak in {100 * found.false_alarm:g} % and misses a leak in "
        f"{100 * found.miss:g} %."
    )
