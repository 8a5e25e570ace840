"""Shares of the fits, run apart, and the session that decides on what they left."""

from __future__ import annotations

import shutil

import pandas as pd
import pytest

from tests.end_to_end.conftest import Train


def test_shares_decide_nothing_and_together_leave_nothing_to_fit(train: Train, project: pytest.Pytester) -> None:
    """Every fold is in one share; with the shares' stores copied together the decision is that of one session."""
    whole = train()
    assert whole.code == 0, whole.output
    shutil.rmtree(project.path / "nbaprops-report")
    stores = []
    counts = []
    for share in ("1/2", "2/2"):
        shutil.rmtree(project.path / ".nbaprops" / "folds")
        shutil.rmtree(project.path / ".nbaprops" / "models")
        result = project.runpytest_inprocess("--nbaprops-train", f"--nbaprops-shard={share}")
        assert result.ret == 0
        outcomes = result.parseoutcomes()
        counts.append(outcomes["passed"])
        assert outcomes["passed"] + outcomes["deselected"] == 24
        result.stdout.fnmatch_lines([f"nbaprops: share {share[0]} of 2: {counts[-1]} folds of * nothing was decided"])
        assert not (project.path / "nbaprops-report").exists()
        stores.append(shutil.copytree(project.path / ".nbaprops", project.path / f"share-{share[0]}"))
    assert sum(counts) == 24
    assert min(counts) > 0
    for store in stores:
        shutil.copytree(store, project.path / ".nbaprops", dirs_exist_ok=True)
    decided = train()
    assert decided.candidate["folds"] == {**whole.candidate["folds"], "executed": 0, "cached": 24}
    pd.testing.assert_frame_equal(decided.predictions, whole.predictions, check_exact=True)


@pytest.mark.parametrize("share", ["0/2", "3/2", "2", "a/b", "1/0"])
def test_what_is_no_share_is_refused(project: pytest.Pytester, share: str) -> None:
    """In one line, before anything is read."""
    result = project.runpytest_inprocess("--nbaprops-train", f"--nbaprops-shard={share}")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines([f"*--nbaprops-shard: '{share}' is no share; write K/N*"])


def test_a_share_without_a_fit_is_no_failure(project: pytest.Pytester) -> None:
    """More jobs than fits: the last has nothing to do, and a matrix of jobs is well."""
    args = ("--nbaprops-train", "--nbaprops-test=last 1 dates", "--nbaprops-shard=2/2")
    result = project.runpytest_inprocess(*args)
    assert result.ret == 0
    result.stdout.fnmatch_lines(["nbaprops: share 2 of 2: 0 folds of 0 fits in the fold store; nothing was decided"])


def test_a_share_cannot_promote(project: pytest.Pytester) -> None:
    """Whoever asks for both means something else."""
    result = project.runpytest_inprocess("--nbaprops-train", "--nbaprops-shard=1/2", "--nbaprops-promote=enforce")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(["*--nbaprops-promote: has no effect with --nbaprops-shard*"])
