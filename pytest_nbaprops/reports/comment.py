"""The pull request's comment: `python -m pytest_nbaprops.reports.comment` in a job on `workflow_run`.

That job may write to pull requests, and what it reads was made by the pull request's own code. So the run and the pull
request are the event's, which GitHub wrote; of the archive only decision.json is read, never unpacked, and of that
only what has the right shape is shown, escaped.
Source: https://securitylab.github.com/resources/github-actions-preventing-pwn-requests/
"""

from __future__ import annotations

import io
import json
import os
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode, urlsplit
from urllib.request import Request, urlopen

from pytest_nbaprops.reports.summary import summary_text
from pytest_nbaprops.reports.untrusted import UntrustedError, checked_decision
from pytest_nbaprops.tracking.artifacts import DECISION

ARTIFACT: Final = "nbaprops-report"
MARK: Final = "<!-- nbaprops: the promotion gate's comment -->"
AUTHOR: Final = "github-actions[bot]"
MOST_BYTES: Final = 100_000_000
"""Of an archive; a season's predictions are 400 kB."""
MOST_DECISION: Final = 4_000_000
MOST_CHARACTERS: Final = 60_000
"""GitHub takes 65,536."""
MOST_PAGES: Final = 20


class CommentError(Exception):
    """Why there is no comment, in one line."""


def main() -> int:
    """Post or update the comment; the exit code."""
    try:
        print(post(os.environ))  # noqa: T201 - the job's log is all there is to see
    except (CommentError, UntrustedError) as error:
        print(f"::error title=nbaprops::no comment: {error}")  # noqa: T201
        return 1
    return 0


def post(environment: Mapping[str, str]) -> str:
    """Do it, and say what was done.

    Raises:
        CommentError: the event, the archive or GitHub's answer is not what it must be.
        UntrustedError: decision.json is not one.
    """
    repository = environment["GITHUB_REPOSITORY"]
    event = json.loads(Path(environment["GITHUB_EVENT_PATH"]).read_text(encoding="utf-8"))
    run = _run(event, repository)
    github = GitHub(environment.get("GITHUB_API_URL", "https://api.github.com"), environment["GITHUB_TOKEN"])
    number = _pull_request(github, repository, run)
    if number is None:
        return "no open pull request has this commit as its head: nothing is said"
    document = checked_decision(_decision(github, repository, int(run["id"])))
    text = comment_text(document, commit=str(run["head_sha"]))
    known = _known_comment(github, repository, number)
    if known is None:
        github.call("POST", f"/repos/{repository}/issues/{number}/comments", {"body": text})
        return f"commented on #{number}"
    github.call("PATCH", f"/repos/{repository}/issues/comments/{known}", {"body": text})
    return f"updated the comment on #{number}"


def comment_text(document: Mapping[str, Any], *, commit: str) -> str:
    """The comment's Markdown, with the mark by which it is found again."""
    note = f"<sub>As the pull request's own run of {commit[:12]} reported it; main decides again.</sub>"
    text = summary_text(document)
    if len(text) > MOST_CHARACTERS:
        text = text[:MOST_CHARACTERS].rpartition("\n")[0] + "\n\nThe rest is in the report.\n"
    return f"{MARK}\n{text}\n{note}\n"


class GitHub:
    """The REST API, a call at a time; the token goes to no other host."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url.rstrip("/"), token

    def call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> Any:
        """GitHub's answer as JSON."""
        content = self.content(method, path, None if body is None else json.dumps(body).encode())
        try:
            return json.loads(content or b"null")
        except ValueError:
            raise CommentError(f"GitHub's answer to {method} {path} is not JSON") from None

    def content(self, method: str, path: str, body: bytes | None = None) -> bytes:
        """GitHub's answer, or what it redirects to, where the token stays behind."""
        headers = {"Accept": "application/vnd.github+json", "X-GitHub-Api-Version": "2022-11-28"}
        request = Request(f"{self._url}{path}", data=body, method=method, headers=headers)  # noqa: S310 - the runner's
        request.add_unredirected_header("Authorization", f"Bearer {self._token}")
        where = urlsplit(request.full_url).path
        try:
            with urlopen(request, timeout=60) as answer:  # noqa: S310 - redirects lead to web addresses only
                content: bytes = answer.read(MOST_BYTES + 1)
        except HTTPError as error:
            raise CommentError(f"GitHub answers {error.code} to {method} {where}") from None
        except (URLError, OSError) as error:
            raise CommentError(f"GitHub cannot be reached: {error}") from None
        if len(content) > MOST_BYTES:
            raise CommentError(f"{where} is larger than {MOST_BYTES:,} bytes")
        return content


def _run(event: Mapping[str, Any], repository: str) -> Mapping[str, Any]:
    """The run that the event is about, if it is one of a pull request of this very repository."""
    run = event.get("workflow_run")
    if not isinstance(run, dict):
        raise CommentError("the event is no workflow_run")
    if (run.get("repository") or {}).get("full_name") != repository:
        raise CommentError("the run is another repository's")
    if run.get("event") != "pull_request":
        raise CommentError(f"the run was started by {str(run.get('event'))[:40]!r}, not by a pull request")
    return run


def _pull_request(github: GitHub, repository: str, run: Mapping[str, Any]) -> int | None:
    """Number of the open pull request whose head is the run's commit; of forks the event names none."""
    source = run.get("head_repository") or {}
    owner = (source.get("owner") or {}).get("login") or str(source.get("full_name", "")).partition("/")[0]
    query = urlencode({"state": "open", "head": f"{owner}:{run.get('head_branch')}", "per_page": 100})
    for pull in github.call("GET", f"/repos/{repository}/pulls?{query}") or []:
        head, base = pull.get("head") or {}, pull.get("base") or {}
        ours = (base.get("repo") or {}).get("full_name") == repository
        if ours and head.get("sha") == run.get("head_sha"):
            return int(pull["number"])
    return None


def _decision(github: GitHub, repository: str, run: int) -> object:
    """The JSON of the run's decision.json."""
    query = urlencode({"name": ARTIFACT, "per_page": 100})
    answer = github.call("GET", f"/repos/{repository}/actions/runs/{run}/artifacts?{query}") or {}
    named = [one for one in answer.get("artifacts", []) if one.get("name") == ARTIFACT and not one.get("expired")]
    own = [one for one in named if (one.get("workflow_run") or {}).get("id") == run]
    if not own:
        raise CommentError(f"the run left no artifact {ARTIFACT}")
    newest = max(own, key=lambda one: str(one.get("created_at", "")))
    if int(newest.get("size_in_bytes", 0)) > MOST_BYTES:
        raise CommentError(f"the artifact is larger than {MOST_BYTES:,} bytes")
    archive = github.content("GET", f"/repos/{repository}/actions/artifacts/{quote(str(int(newest['id'])))}/zip")
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as file, file.open(DECISION) as entry:
            content = entry.read(MOST_DECISION + 1)
    except (zipfile.BadZipFile, KeyError, OSError, RuntimeError, NotImplementedError, EOFError) as error:
        raise CommentError(f"the artifact holds no {DECISION} that can be read ({type(error).__name__})") from None
    if len(content) > MOST_DECISION:
        raise CommentError(f"{DECISION} is larger than {MOST_DECISION:,} bytes")
    try:
        return json.loads(content, parse_constant=_refuse)
    except (ValueError, RecursionError):
        raise CommentError(f"{DECISION} is not JSON") from None


def _refuse(name: str) -> None:
    raise ValueError(name)


def _known_comment(github: GitHub, repository: str, number: int) -> int | None:
    """Id of the comment that an earlier run left: it has our mark, and nobody else wrote it."""
    for page in range(1, MOST_PAGES + 1):
        path = f"/repos/{repository}/issues/{number}/comments?per_page=100&page={page}"
        comments = github.call("GET", path) or []
        for comment in comments:
            if (comment.get("user") or {}).get("login") == AUTHOR and str(comment.get("body", "")).startswith(MARK):
                return int(comment["id"])
        if len(comments) < 100:  # noqa: PLR2004 - the last page
            return None
    return None


if __name__ == "__main__":
    sys.exit(main())
