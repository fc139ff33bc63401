"""Names derived from content: digests of bytes, of plain values, of arrays; ids from digests.

Nothing in nenrin draws an id: the same declarations over the same data get the same names, in every
process and on every run.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from blake3 import blake3

_ENCODER = msgspec.json.Encoder(order="sorted")


def canonical(value: Any) -> bytes:
    """A plain value (dicts, lists, str, int, float, bool, None) as JSON with sorted keys.

    Floats are written with the fewest digits that read back to the same float, so equal values have
    equal bytes. Raises ``TypeError`` for anything that JSON does not know.
    """
    return _ENCODER.encode(value)


def digest_bytes(data: bytes | memoryview) -> str:
    """BLAKE3 of ``data``, 64 hexadecimal digits."""
    return blake3(data).hexdigest()


def digest_file(path: Path) -> str:
    """BLAKE3 of a file's bytes, which are not held in memory at once; raises ``OSError``."""
    return blake3().update_mmap(path).hexdigest()


def digest(value: Any) -> str:
    """BLAKE3 of the canonical form of a plain value."""
    return digest_bytes(canonical(value))


def digest_arrays(*arrays: np.ndarray) -> str:
    """BLAKE3 over the dtype, shape and bytes of arrays, in their order."""
    hasher = blake3()
    for array in arrays:
        contiguous = np.ascontiguousarray(array)
        hasher.update(f"{contiguous.dtype.str}{contiguous.shape}".encode())
        hasher.update(contiguous.view(np.uint8).reshape(-1).data)
    return hasher.hexdigest()


def derived_id(kind: str, *parts: Any) -> str:
    """A short id such as ``run-3f9ac27d51e0``, the same for the same parts (48 bits of digest)."""
    return f"{kind}-{digest([kind, *parts])[:12]}"
