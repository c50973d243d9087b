"""Conversion of figures and evidence to JSON values."""

import math
from dataclasses import fields, is_dataclass
from datetime import datetime
from typing import Any

from flags.gate.evidence import is_written


def as_plain(figures: Any) -> Any:
    """Convert figures to JSON values: keys are field names, numbers that are not finite are null.

    Fields that are `UNWRITTEN` are left out.
    """
    if is_dataclass(figures):
        names = (field.name for field in fields(figures) if is_written(field))
        return {name: as_plain(getattr(figures, name)) for name in names}
    if isinstance(figures, dict):
        return {str(key): as_plain(value) for key, value in figures.items()}
    if isinstance(figures, tuple):
        return [as_plain(value) for value in figures]
    if isinstance(figures, datetime):
        return figures.isoformat()
    if isinstance(figures, float) and not math.isfinite(figures):
        return None
    return figures
