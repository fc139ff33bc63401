"""Pages that stand on their own: one HTML file, no scripts, no address of anything outside."""

from __future__ import annotations

from nenrin.api.pages.report import report_page

__all__ = ["report_page"]
