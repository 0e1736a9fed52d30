"""Files that come with mevflow: the sample topologies, their registry, the recorded days.

A checkout has them at its root, an installed package inside itself. A file of the working folder comes first.
"""

from __future__ import annotations

from pathlib import Path

import mevflow


def found(path: Path) -> Path:
    """``path`` where it exists, else the packaged file of that name, else ``path`` as it is."""
    if path.is_absolute() or path.exists():
        return path
    packaged = Path(mevflow.__file__).parent / path
    return packaged if packaged.exists() else path
