"""Which installed packages are somebody's own code, and not libraries that everybody can have."""

from __future__ import annotations

import functools
import json
import os
from importlib import metadata

OURS = "pytest_nbaprops"
INSTALLED = ("site-packages", "dist-packages")  # folders of these names hold installed packages


@functools.cache
def own_packages() -> tuple[str, ...]:
    """Folders and modules of packages that were installed from a folder or a repository, as beginnings of paths.

    PEP 610 tells; conda writes the same of all that it has built, and archives may be copies of an index.
    """
    places = [
        str(one.locate_file(name))
        for one in metadata.distributions()
        if _is_own(one)
        for name in dict.fromkeys(file.parts[0] for file in one.files or () if file.suffix == ".py")
        if name != OURS
    ]
    both = (place for plain in places for place in (plain, os.path.realpath(plain)))
    return tuple(dict.fromkeys(f"{place}{'' if place.endswith('.py') else os.sep}" for place in both))


def _is_own(distribution: metadata.Distribution) -> bool:
    try:
        told = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        return False
    installer = (distribution.read_text("INSTALLER") or "").strip()
    return installer != "conda" and ("dir_info" in told or "vcs_info" in told)
