"""How a verification report looks in a terminal."""

from rich.panel import Panel

from tallystick_audit.verify import Report

from .common import out
from .tables import Listing

_STYLES = {"pass": "green", "fail": "red", "unknown": "yellow"}


def show_report(report: Report) -> None:
    """Three verdicts, the numbers, and every failure with its place."""
    console = out()
    verdicts = "   ".join(
        f"{name} [bold {_STYLES[value]}]{value}[/]"
        for name, value in (
            ("integrity", report.integrity.value),
            ("completeness", report.completeness.value),
            ("freshness", report.freshness.value),
        )
    )
    numbers = f"{report.entries:,} entries, {report.events:,} events, {report.checkpoints} checkpoints in {report.seconds:.1f} s"
    console.print(Panel(f"{verdicts}\n{numbers}", title="audit verify", title_align="left", border_style="dim", expand=False))
    if report.failures:
        table = Listing("step", "shard", "index", "what")
        for failure in report.failures[:50]:
            table.add_row(str(failure.step), _place(failure.shard), _place(failure.index), failure.reason)
        console.print(table)
        if report.failure_count > 50:
            console.print(f"and {report.failure_count - 50} more; --json shows them")


def _place(value: int | None) -> str:
    return "–" if value is None else str(value)
