"""Options: precedence, paths, names and the marker's arguments."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_nbaprops.errors import SettingsError
from pytest_nbaprops.markers import marker_arguments
from pytest_nbaprops.options import OPTIONS
from pytest_nbaprops.plugin import MARKERS
from pytest_nbaprops.redaction import redacted
from pytest_nbaprops.settings import Settings, read_settings


def settings(pytester: pytest.Pytester, *args: str, ini: str = "") -> Settings:
    pytester.makefile(".ini", pytest=f"[pytest]\n{ini}")
    return read_settings(pytester.parseconfig(*args))


def test_defaults(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty project gets the documented defaults, and the sample league's names."""
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = settings(pytester)
    assert found.test == "last 160 dates"
    assert found.criteria == ("mae < baseline", "mae <= champion + 0.02")
    assert found.model_name == "NBAPropsModel-sample"
    assert found.experiment == "NBA_Props_Model/Phase1_Features-sample"
    assert found.tracking_uri == f"sqlite:///{pytester.path / 'mlflow.db'}"
    assert found.report == str(pytester.path / "nbaprops-report")


def test_the_command_line_beats_the_ini_file(pytester: pytest.Pytester) -> None:
    """Also for lists: criteria on the command line replace those of the ini file."""
    ini = "nbaprops_refit = 3\nnbaprops_criterion =\n    mae <= 7\n    r2 >= 0.4\n"
    assert settings(pytester, ini=ini).criteria == ("mae <= 7", "r2 >= 0.4")
    found = settings(pytester, "--nbaprops-refit", "5", "--nbaprops-criterion", "mae <= 6", ini=ini)
    assert (found.refit, found.criteria) == (5, ("mae <= 6",))


def test_an_empty_list_of_criteria_stays_empty(pytester: pytest.Pytester) -> None:
    """No criteria is a verdict, not a default."""
    assert settings(pytester, ini="nbaprops_criterion =\n").criteria == ()


def test_files_are_declared_by_name_or_by_pattern(pytester: pytest.Pytester) -> None:
    """Each once, in the order of the line, those of a pattern in their own; what names none is refused."""
    folder = pytester.mkdir("config")
    for name in ("b.yaml", "a.yaml", "notes.txt"):
        (folder / name).touch()
    (folder / "deep").mkdir()
    (folder / "deep" / "c.yaml").touch()
    for line, expected in (
        ("config/notes.txt, config/*.yaml", ["notes.txt", "a.yaml", "b.yaml"]),
        ("config/b.yaml config/*", ["b.yaml", "a.yaml", "notes.txt"]),
        (f"{folder}/**/*.yaml", ["a.yaml", "b.yaml", "deep/c.yaml"]),
    ):
        found = settings(pytester, ini=f"nbaprops_sources = {line}\n").sources
        assert found == tuple(str(folder / name) for name in expected)
    for line in ("config", "config/*.json", "missing.yaml", "config/a**.json", "/"):
        with pytest.raises(pytest.UsageError, match=r"is no file .* name files .* or patterns"):
            settings(pytester, ini=f"nbaprops_sources = {line}\n")


def test_paths_start_where_they_were_written(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """In the ini file relative to it, on the command line to the working directory."""
    ini = "nbaprops_data = logs\nnbaprops_tracking_uri = sqlite:///runs.db\n"
    pytester.makefile(".ini", pytest=f"[pytest]\n{ini}")
    inner = pytester.mkdir("inner")
    monkeypatch.chdir(inner)
    config = pytester.parseconfig("-c", str(pytester.path / "pytest.ini"), "--nbaprops-report", "out")
    found = read_settings(config)
    assert found.data == str(pytester.path / "logs")
    assert found.tracking_uri == f"sqlite:///{pytester.path / 'runs.db'}"
    assert found.report == str(inner / "out")


@pytest.mark.parametrize("value", ["7", '"7"'])
@pytest.mark.parametrize("table", ["tool.pytest.ini_options", "tool.pytest"])
def test_toml_numbers_and_texts(pytester: pytest.Pytester, table: str, value: str) -> None:
    """`nbaprops_refit = 7` and `nbaprops_refit = "7"` mean the same."""
    if table == "tool.pytest" and pytest.version_tuple < (9, 2):
        pytest.skip("this pytest has no [tool.pytest], or no types that take both")
    pytester.makepyprojecttoml(f"[{table}]\nnbaprops_refit = {value}\n")
    assert read_settings(pytester.parseconfig()).refit == 7


@pytest.mark.parametrize(
    ("key", "way_out"),
    [
        ("nbaprops_tests", "did you mean nbaprops_test?"),
        ("nbaprops_criteria", "did you mean nbaprops_criterion?"),
        ("nbaprops_train", "is for the command line only; take it out and write --nbaprops-train there"),
        ("nbaprops_xyz", "use one of nbaprops_data, "),
    ],
)
def test_unknown_keys_are_refused(pytester: pytest.Pytester, key: str, way_out: str) -> None:
    """A mistyped ini key is no default: it is refused with the one that was meant, in every kind of ini file."""
    with pytest.raises(pytest.UsageError) as caught:
        settings(pytester, ini=f"{key} = 2023-24\n")
    assert str(caught.value).startswith(f"{key} in {pytester.path / 'pytest.ini'}: ")
    assert way_out in str(caught.value)
    (pytester.path / "pytest.ini").unlink()
    pytester.makepyprojecttoml(f'[tool.pytest.ini_options]\n"{key}" = "2023-24"\n')
    with pytest.raises(pytest.UsageError, match=f"{key} in .*pyproject.toml"):
        read_settings(pytester.parseconfig())
    (pytester.path / "pyproject.toml").write_text("")
    with pytest.raises(pytest.UsageError, match=f"{key} in -o"):
        read_settings(pytester.parseconfig("-o", f"{key}=1"))


def test_keys_of_others_are_theirs(pytester: pytest.Pytester) -> None:
    """A key that a conftest declares is none of ours, whatever it is called."""
    pytester.makeconftest("def pytest_addoption(parser):\n    parser.addini('nbaprops_extra', 'Ours')\n")
    assert settings(pytester, ini="nbaprops_extra = 1\n").refit == 7


def test_trusted_types_may_stand_on_a_line(pytester: pytest.Pytester) -> None:
    """As the message names them: with commas, or with spaces."""
    assert settings(pytester, ini="nbaprops_trusted_types = a.B, c.D e.F\n").trusted_types == ("a.B", "c.D", "e.F")


def test_kinds_of_games(pytester: pytest.Pytester) -> None:
    """All four kinds count unless the ini file names some; an unknown one is refused."""
    assert settings(pytester).games == ("regular", "playin", "playoffs", "cup")
    assert settings(pytester, ini="nbaprops_games = playoffs, regular\n").games == ("regular", "playoffs")
    with pytest.raises(pytest.UsageError, match="nbaprops_games: 'final' is no kind of game"):
        settings(pytester, ini="nbaprops_games = final\n")


def test_settings_travel_as_builtins(pytester: pytest.Pytester) -> None:
    """to_dict and from_dict are inverse."""
    found = settings(pytester, "--nbaprops-recipe", "a", "--nbaprops-param", "b=1")
    assert Settings.from_dict(found.to_dict()) == found


def test_passwords_are_masked(pytester: pytest.Pytester) -> None:
    """What is written for others holds no password."""
    found = settings(pytester, "--nbaprops-tracking-uri", "http://me:secret@host:5000")
    assert redacted(found.to_dict())["tracking_uri"] == "http://me:***@host:5000"


def test_the_readme_lists_every_option() -> None:
    """No option without its line."""
    readme = (Path(__file__).parent.parent / "README.md").read_text()
    missing = [o.name for o in OPTIONS if (o.dest if o.ini_only else f"`{o.flag_name}") not in readme]
    assert missing == []


def test_marker_help_is_the_signature() -> None:
    """The registered marker and the error messages show the same signature."""
    with pytest.raises(SettingsError) as problem:
        marker_arguments((1,), {}, "t")
    assert str(problem.value).endswith(f"write {MARKERS[0].partition(': ')[0]}")


def test_marker_arguments_are_read() -> None:
    """A recipe may be one name or several."""
    assert marker_arguments((), {"recipe": "a", "refit": 3}, "t") == {"recipe": ("a",), "refit": 3}
    assert marker_arguments((), {"recipe": ["a", "b"]}, "t") == {"recipe": ("a", "b")}


@pytest.mark.parametrize(
    "kwargs", [{"recipe": []}, {"recipe": 3}, {"step": 0}, {"step": True}, {"params": ["a"]}, {"features": ""}]
)
def test_bad_marker_arguments(kwargs: dict[str, object]) -> None:
    """Each is refused with the marker's name."""
    with pytest.raises(SettingsError, match="walk_forward"):
        marker_arguments((), kwargs, "test_x.py::test_y")
