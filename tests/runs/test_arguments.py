"""What of a recorded command line is repeated."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_nbaprops.runs.arguments import Arguments, sift


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A project with tests in a folder, and something beside it."""
    (tmp_path / "project" / "tests").mkdir(parents=True)
    (tmp_path / "project" / "tests" / "test_models.py").touch()
    (tmp_path / "outside.py").touch()
    return tmp_path / "project"


def sifted(checkout: Path, *words: str, directory: str = ".") -> Arguments:
    return sift(words, directory=checkout / directory, root=checkout)


@pytest.mark.parametrize(
    "words",
    [
        "-p evil",
        "-pevil",
        "-p evil.module",
        "-p no:nbaprops-replay",
        "-p no:pytest_nbaprops.runs.replay",
        "-c evil.ini",
        "--config-file=evil.ini",
        "-o python_files=*.py",
        "--override-ini=addopts=evil",
        "--import-mode=importlib",
        "--import-mode append",
        "--confcutdir=/",
        "-W error::evil.Category",
        "--pythonwarnings=ignore::evil.Category",
        "--pyargs",
        "--doctest-modules",
        "--cov=league --cov-config=evil.cfg",
        "--pdbcls=evil:Pdb",
        "--unknown value",
        "@evil.txt",
        "../outside.py",
        "nowhere.py::test_it",
    ],
)
def test_what_could_load_code_is_left_out(checkout: Path, words: str) -> None:
    """And shown, as is what nobody knows."""
    found = sifted(checkout, *words.split())
    assert (found.repeated, found.places) == ((), ())
    assert " ".join(found.left_out).replace("=", " ") == words.replace("-pevil", "-p evil").replace("=", " ")


@pytest.mark.parametrize(
    "words",
    [
        "--nbaprops-train -n 2 -k quick -q",
        "-n2 -qx -vv -rA --tb=short --dist load --maxfail 1 -m walk_forward",
        "--nbaprops-recipe advanced --nbaprops-param max_depth=3 --nbaprops-attribute=all --nbaprops-no-cache",
        "--junitxml report.xml --basetemp=/tmp/x --lf --sw --rootdir=/elsewhere",
        "-o nbaprops_refit=7 -p nbaprops -p pytest_nbaprops.plugin",
        "nbaprops::advanced[2024-01-05]",
    ],
)
def test_what_the_repetition_sets_itself_is_not_worth_a_line(checkout: Path, words: str) -> None:
    """The recorded settings and node ids say it."""
    assert sifted(checkout, *words.split()) == Arguments(repeated=(), places=(), left_out=())


def test_what_may_decide_a_result_without_loading_anything_is_repeated(checkout: Path) -> None:
    """Plugins that are not to be loaded or that pytest loads by itself, seeds, simple warning filters."""
    words = "-p no:randomly -pxdist --randomly-seed 7 -W ignore -Werror::UserWarning --runxfail"
    found = sifted(checkout, *words.split())
    assert found.left_out == ()
    again = "-p no:randomly -p xdist --randomly-seed=7 -W ignore -W error::UserWarning --runxfail"
    assert found.repeated == tuple(again.split())


@pytest.mark.parametrize(
    ("words", "directory"),
    [("tests/test_models.py::test_quick[a]", "."), ("test_models.py", "tests"), ("./test_models.py", "tests")],
)
def test_places_in_the_checkout_are_collected_again(checkout: Path, words: str, directory: str) -> None:
    """Whole, from where the session was called: the folds are picked by their node ids."""
    assert sifted(checkout, words, directory=directory).places == (str(checkout / "tests" / "test_models.py"),)
    assert sifted(checkout, ".", directory="tests").places == (str(checkout / "tests"),)
