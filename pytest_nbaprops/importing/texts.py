"""Small files of unknown making read safely: never through a link that leads out, never a pipe, never too much."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from pytest_nbaprops.importing.source import Findings, SourceVersion

META: Final = "meta.yaml"
_LARGEST: Final = 512 * 1024 * 1024
_LARGEST_YAML: Final = 1024 * 1024
_DEEPEST: Final = 12
_LOADER: Final = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LINE: Final = re.compile(r"^([A-Za-z_]\w*):[ \t]*(.*?)\s*$", re.MULTILINE)


class SafeFolder:
    """The folder of a store: gives only what really lies inside of it."""

    def __init__(self, root: Path, findings: Findings, label: str = "") -> None:
        self.root, self.findings, self.label = root, findings, label
        self._real = root.resolve()

    def name_of(self, path: Path) -> str:
        """How the findings call a path."""
        name = path.relative_to(self.root).as_posix() if path.is_relative_to(self.root) else str(path)
        return f"{self.label}/{name}" if self.label else name

    def holds(self, path: Path) -> bool:
        """Whether the path, links followed, is inside."""
        try:
            return path.resolve().is_relative_to(self._real)
        except (OSError, RuntimeError):  # a loop of links
            return False

    def entries(self, folder: Path) -> list[os.DirEntry[str]]:
        """What is in the folder, by name; links that lead out of the store are among the findings instead."""
        try:
            with os.scandir(folder) as found:
                inside = sorted(found, key=lambda entry: entry.name)
        except FileNotFoundError:
            return []
        except OSError as error:
            self.findings.left_out(self.name_of(folder), "a folder that can't be read", error.strerror or str(error))
            return []
        kept = []
        for entry in inside:
            if not entry.is_symlink() or self.holds(Path(entry.path)):
                kept.append(entry)
            else:
                where = self.name_of(Path(entry.path))
                self.findings.left_out(where, "a link that leads out of the folder", "not followed")
        return kept

    def folders(self, folder: Path) -> list[Path]:
        return [Path(entry.path) for entry in self.entries(folder) if entry.is_dir()]

    def text_files(self, folder: Path, prefix: str = "", depth: int = 0) -> Iterator[tuple[str, bytes]]:
        """Name and content of each file, `a/b` for those in folders: how MLflow writes names with slashes."""
        for entry in self.entries(folder):
            path = Path(entry.path)
            if entry.is_dir():
                if depth < _DEEPEST:
                    yield from self.text_files(path, f"{prefix}{entry.name}/", depth + 1)
            elif (content := self.content(path)) is not None:
                yield f"{prefix}{entry.name}", content

    def content(self, path: Path) -> bytes | None:
        """The file's bytes; None where it is none or cannot be read."""
        try:
            found = path.stat()
            why = None
            if not stat.S_ISREG(found.st_mode) or not self.holds(path):
                why = "it is no plain file of the store"
            elif found.st_size > _LARGEST:
                why = f"it has {found.st_size:,} bytes"
            else:
                return path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            why = error.strerror or str(error)
        self.findings.left_out(self.name_of(path), "a file that can't be read", why)
        return None

    def text(self, name: str, content: bytes) -> str:
        """UTF-8, with or without mark; else what Windows wrote."""
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError:
            self.findings.repaired(name, "text that is not UTF-8", "read as Windows-1252")
            return content.decode("cp1252", errors="replace")

    def texts(self, folder: Path) -> dict[str, str]:
        """Params, tags or aliases: the name of each file and its text, as it is."""
        return {name: self.text(self.name_of(folder / name), data) for name, data in self.text_files(folder)}

    def meta(self, folder: Path) -> dict[str, Any] | None:
        """The folder's meta.yaml; None where there is none; where it is damaged, the lines of it that can be read."""
        path = folder / META
        content = self.content(path)
        if content is None:
            return None
        name = self.name_of(path)
        text = self.text(name, content[:_LARGEST_YAML])
        try:
            document = yaml.load(text, _LOADER)  # noqa: S506 - the safe one, in C where there is one
            if isinstance(document, Mapping) and document:
                return {str(key): value for key, value in document.items()}
        except (yaml.YAMLError, ValueError, RecursionError):
            pass
        lines = {match[1]: _scalar(match[2]) for match in _LINE.finditer(text)}
        self.findings.repaired(name, "not whole YAML", f"read line by line: {len(lines)} entries")
        return lines or None


def _scalar(text: str) -> str | int | None:
    text = text.strip().strip("'\"")
    if text in ("", "null", "~"):
        return None
    return int(text) if re.fullmatch(r"-?\d{1,18}", text) else text


def text_of(meta: Mapping[str, Any], *names: str) -> str:
    """The first of these entries that says something, as text."""
    for name in names:
        value = meta.get(name)
        if isinstance(value, str | int | float) and not isinstance(value, bool) and str(value).strip():
            return str(value).strip()
    return ""


def version_of(
    meta: Mapping[str, Any], number: int, created: object, tags: Mapping[str, str], files: Path | None
) -> SourceVersion:
    """The version of a registered model that these entries describe."""
    return SourceVersion(
        number=number,
        stage=text_of(meta, "current_stage") or "None",
        run_id=text_of(meta, "run_id") or None,
        source=text_of(meta, "source", "storage_location"),
        description=text_of(meta, "description"),
        created=millis_of(created) or 0,
        tags=tags,
        files=files,
    )


def millis_of(value: object) -> int | None:
    """A time as MLflow writes it (milliseconds; before 1.0 seconds); None where it is none."""
    try:
        number = int(float(str(value)))
    except (ValueError, OverflowError):
        return None
    if 10**8 < number < 10**11:
        number *= 1000
    return number if 0 < number < 10**14 else None
