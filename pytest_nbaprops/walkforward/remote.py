"""A folder behind a URL that fsspec knows, in which several machines share what their fold stores hold."""

from __future__ import annotations

from functools import cached_property

from pytest_nbaprops.errors import SettingsError, StoreError
from pytest_nbaprops.redaction import redact

OPTION = "--nbaprops-store"


class RemoteFolder:
    """Small files below a URL, such as `s3://bucket/folds`, read and written whole.

    Raises:
        SettingsError: fsspec, or what it needs for this kind of URL, is not installed, or it knows no such kind.
    """

    def __init__(self, url: str) -> None:
        self.url, self._told = url, redact(url)
        try:
            from fsspec.core import url_to_fs  # noqa: PLC0415 - an extra

            self._system, path = url_to_fs(url)
        except ImportError as error:
            way_out = "pip install 'pytest-nbaprops[store]'" if error.name == "fsspec" else str(error)
            raise SettingsError(f"{OPTION}: {self._told} needs a package that is not installed: {way_out}") from None
        except ValueError as error:
            said = redact(str(error))
            raise SettingsError(f"{OPTION}: {self._told}: {said}; give a folder, or a URL that fsspec knows") from None
        self._path = str(path).rstrip("/")

    @cached_property
    def _known(self) -> set[str]:
        """What was there when it was first asked, and what was written since: one look for all folds."""
        try:
            return {name.removeprefix(self._path).lstrip("/") for name in self._system.find(self._path)}
        except FileNotFoundError:
            return set()
        except Exception as error:  # whatever a cloud's client raises
            raise self._unreachable(error) from error

    def has(self, name: str) -> bool:
        return name in self._known

    def read(self, name: str) -> bytes | None:
        """The file's content; None where it is not there."""
        try:
            content: bytes = self._system.cat_file(f"{self._path}/{name}")
        except FileNotFoundError:
            return None
        except Exception as error:
            raise self._unreachable(error) from error
        return content

    def write(self, name: str, content: bytes) -> None:
        path = f"{self._path}/{name}"
        try:
            self._system.makedirs(path.rpartition("/")[0], exist_ok=True)
            self._system.pipe_file(path, content)
        except Exception as error:
            raise self._unreachable(error) from error
        self._known.add(name)

    def _unreachable(self, error: Exception) -> StoreError:
        said = redact(" ".join(str(error).split())) or type(error).__name__
        return StoreError(f"the fold store {self._told} cannot be reached ({said})")


def is_url(text: str) -> bool:
    """Whether this names a place behind a URL rather than a folder.

    Raises:
        SettingsError: it is neither: `s3:/bucket`, `://bucket`.
    """
    scheme, found, rest = text.partition(":")
    if found and len(scheme) != 1 and "/" not in scheme and not (scheme and rest.startswith("//")):
        raise SettingsError(
            f"{OPTION}: {redact(text)} is neither a folder nor a URL; write a URL as s3://bucket/folder, and a folder "
            f"of that name as ./{redact(text)}"
        )
    return "://" in text
