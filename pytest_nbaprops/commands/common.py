"""What the commands share, in one place to import from."""

from __future__ import annotations

from pytest_nbaprops.commands.output import Cell, Report, Table, cell_text, finite, format_option, show
from pytest_nbaprops.commands.project import (
    Project,
    find_project,
    lookup_in,
    model_option,
    open_store,
    registered_name,
    tracking_option,
)

__all__ = [
    "Cell",
    "Project",
    "Report",
    "Table",
    "cell_text",
    "find_project",
    "finite",
    "format_option",
    "lookup_in",
    "model_option",
    "open_store",
    "registered_name",
    "show",
    "tracking_option",
]
