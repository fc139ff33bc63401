"""Files for the small project that grow day by day."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl

PROJECT = Path(__file__).with_name("project.py").read_text()
BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
DAYS = 100


def write(folder: Path, days: int) -> None:
    """Questions of so many days, and their answers two hours later."""
    random = np.random.default_rng(3)
    n = DAYS * 60
    hours = np.sort(random.uniform(0, 24 * DAYS, n))
    asked = [BEGIN + timedelta(hours=float(hour)) for hour in hours]
    x = random.normal(size=n)
    yes = random.random(n) < 1 / (1 + np.exp(-(x + hours / 2000)))
    came = hours < 24 * days
    ids = np.arange(n)
    questions = pl.DataFrame({"id": ids, "asked": asked, "x": x}).filter(pl.Series(came))
    told = [instant + timedelta(hours=2) for instant in asked]
    answers = pl.DataFrame({"id": ids, "told": told, "yes": yes}).filter(pl.Series(came))
    questions.write_parquet(folder / "questions.parquet")
    answers.write_parquet(folder / "answers.parquet")
