"""Logged answers computed anew: an honest log has no difference, and each kind of difference is found."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import polars as pl
import pytest

from nenrin.backends.online.settings import open_online
from nenrin.core.settings import Settings
from nenrin.features.online import space_of
from nenrin.features.service import FeatureSet
from nenrin.platform import Platform
from tests.journeys.plane import PlaneHere
from tests.journeys.shell import Shell
from tests.journeys.small.growing import PROJECT, write

pytestmark = pytest.mark.timeout(120)
