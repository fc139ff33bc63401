"""Pages that stand on their own: one HTML file, no scripts, no address of anything outside."""

from __future__ import annotations

from nenrin.api.pages.report import report_page
from nenrin.api.pages.run import run_page

__all__ = ["report_page", "run_page"]
