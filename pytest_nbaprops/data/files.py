"""Which files a source means, and their bytes, decompressed."""

from __future__ import annotations

import glob
import gzip
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pyarrow as pa

from pytest_nbaprops.data.problems import file_problem, reason
from pytest_nbaprops.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

FORMATS: Final = (".csv", ".parquet")
COMPRESSIONS: Final = (".gz", ".zst")
OTHER_FORMATS: Final = (".xlsx", ".xls", ".zip", ".7z", ".tar", ".bz2", ".xz", ".tsv", ".feather", ".arrow")
TEXT_FORMATS: Final = (".csv", ".json", ".jsonl")
KNOWN: Final = (*TEXT_FORMATS, ".parquet")
READ_SIZE: Final = 1 << 22
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"

# What the first bytes of a file give away; checked so that a wrong suffix is named as such.
LFS: Final = "a pointer of Git LFS"
SIGNATURES: Final = {
    b"\x1f\x8b": "gzip data",
    b"\x28\xb5\x2f\xfd": "zstd data",
    b"PAR1": "Parquet data",
    b"PK\x03\x04": "a zip or Excel file",
    b"\xd0\xcf\x11\xe0": "an old Excel file",
    b"ARROW1": "Arrow data",
    b"SQLite format 3": "a SQLite database",
    b"%PDF": "a PDF file",
    b"\x89HDF": "HDF5 data",
    b"version https://git-lfs": LFS,
}


def find_files(source: str | Path, *, formats: Sequence[str] = FORMATS, what: str = "game logs") -> list[Path]:
    """The data files that a file, folder or glob stands for, sorted by name."""
    path = Path(source).expanduser()
    allowed = f"a {', '.join(formats[:-1])} or {formats[-1]} file, also with .gz or .zst behind it"
    candidates: Iterable[Path]
    try:
        if path.is_file():
            if suffixes(path, formats) is None:
                found, way_out = f"the suffix {path.suffix!r}", "convert or rename the file"
                raise file_problem(str(path), found, allowed, way_out)
            return [path]
        if path.is_dir():
            found, candidates, way_out = "a folder without data files", path.iterdir(), "put the files there"
        elif not path.exists() and glob.has_magic(str(path)):
            found, way_out = "no data file that matches", "check the glob; ** looks into subfolders"
            candidates = map(Path, glob.glob(str(path), recursive=True))  # noqa: PTH207 - Path.glob refuses absolute patterns
        else:
            raise file_problem(str(path), "no such file or folder", what, "check the path, or quote the glob")
        # Hidden files are an editor's or a system's own, ._games.csv on macOS for one.
        visible = (file for file in candidates if not file.name.startswith("."))
        named = sorted(file for file in visible if suffixes(file, formats) is not None)
        files = [file for file in named if file.is_file()]
        below = [suffixes(file, formats) for file in path.rglob("*") if file.is_file()] if not files else []
    except OSError as error:
        raise _unreadable(path, error) from error
    for file in named:
        if not (file.is_file() or file.is_dir()):
            found = "a link to nothing" if file.is_symlink() else "no regular file"
            way_out = "fetch what it stands for (git annex get, dvc pull), or remove it"
            raise file_problem(str(file), found, "a file that can be read", way_out)
    if not files:
        for form, packed in filter(None, below):
            way_out = f"name those in subfolders by a glob such as {path / '**' / f'*{form}{packed}'}"
        raise file_problem(str(path), found, allowed, way_out)
    return files


def suffixes(path: Path, formats: Sequence[str] = KNOWN) -> tuple[str, str] | None:
    """Format and compression that the name promises."""
    name = path.name.lower()
    packed = next((suffix for suffix in COMPRESSIONS if name.endswith(suffix)), "")
    form = next((suffix for suffix in formats if name.removesuffix(packed).endswith(suffix)), None)
    return None if form is None else (form, packed)


def read_bytes(path: Path) -> bytes:
    """The decompressed content; DataError when it is empty, cut off, being written or not what the suffix promises."""
    form, packed = suffixes(path) or (".csv", "")
    try:
        before, raw, after = path.stat(), path.read_bytes(), path.stat()
    except OSError as error:
        raise _unreadable(path, error) from error
    if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns) or len(raw) != after.st_size:
        way_out = "wait until it is written, or read a copy"
        raise file_problem(str(path), "a file that changes while it is read", "a complete file", way_out)
    _check_signature(path, raw, {"": form, ".gz": "gzip", ".zst": "zstd"}[packed])
    if not packed:
        return raw
    content = _decompressed(path, raw, packed)
    _check_signature(path, content, form)
    return content


def _unreadable(path: Path, error: OSError) -> DataError:
    found = error.strerror or reason(error)
    return file_problem(str(path), found, "a file that can be read", "check the path and its permissions")


def _check_signature(path: Path, content: bytes, promised: str) -> None:
    beginning = content[:READ_SIZE].removeprefix(BYTE_ORDER_MARK)
    if not beginning.strip() and not content.removeprefix(BYTE_ORDER_MARK).strip():
        raise file_problem(str(path), "an empty file", "a header and rows", "export the file again or remove it")
    held = next((name for start, name in SIGNATURES.items() if content.startswith(start)), None)
    wanted = {".parquet": "Parquet data", "gzip": "gzip data", "zstd": "zstd data"}.get(promised)
    if held != wanted:
        found, expected = held or f"no {wanted}", wanted or f"{promised[1:].upper()} text"
        way_out = "give the file the suffix of what it holds, or export it again"
        if held == LFS:
            way_out = "fetch what it stands for with `git lfs pull` (in a workflow: checkout with lfs: true)"
        raise file_problem(str(path), found, f"{expected}, as its suffix says", way_out)


def _decompressed(path: Path, raw: bytes, packed: str) -> bytes:
    try:
        if packed == ".gz":
            return gzip.decompress(raw)
        # pyarrow rather than the zstandard package, which would be one more thing to install.
        with pa.CompressedInputStream(pa.BufferReader(raw), "zstd") as stream:
            return b"".join(iter(lambda: stream.read(READ_SIZE), b""))
    except (OSError, EOFError, zlib.error, pa.ArrowException) as error:
        found = f"{packed} data that is cut off or damaged"
        raise file_problem(str(path), found, "a complete compressed file", "copy or export it again") from error


def passed_over(source: str | Path) -> Iterator[tuple[str, Path]]:
    """What in a folder may be games and is not read: tables of other formats, and folders that are called like data."""
    folder = Path(source).expanduser()
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        suffix = path.suffix.lower()
        if suffix in OTHER_FORMATS and path.is_file() and not path.name.startswith((".", "~$")):
            yield f"a {suffix} file is left out (save it as CSV or Parquet)", path
        elif suffix in (*FORMATS, *COMPRESSIONS) and path.is_dir():  # as some tools write Parquet in pieces
            yield "a folder called like a data file is left out", path
