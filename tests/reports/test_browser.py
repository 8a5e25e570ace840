"""The page in a real browser: Debian's chromium, where it is installed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from matplotlib.image import imread

from pytest_nbaprops.reports.html import page
from tests.reports.documents import HOSTILE, document_of, hostile_document, predictions_of, tables_of

CHROMIUM = shutil.which("chromium")
BROWSER = (str(CHROMIUM), "--headless", "--no-sandbox", "--disable-gpu")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed")

# What a page may not do under Jenkins' policy; without styles the same bytes must still be readable.
STRICT = "sandbox; default-src 'none'; img-src 'self'; style-src 'self'"


class Site:
    """Serves pages, and remembers what was asked for."""

    def __init__(self, pages: dict[str, tuple[str, str | None]]) -> None:
        self.asked: list[str] = []
        site = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                site.asked.append(self.path)
                text, policy = pages.get(self.path, ("", None))
                self.send_response(200 if self.path in pages else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                if policy:
                    self.send_header("Content-Security-Policy", policy)
                self.end_headers()
                self.wfile.write(text.encode())

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """The page of a season, the same under a strict policy, and one of hostile names."""
    predictions = predictions_of(players=20)
    whole = page(document_of(), tables_of(predictions))
    hostile = page(hostile_document(HOSTILE[1]), tables_of(predictions.assign(candidate=HOSTILE[1]), player=HOSTILE[0]))
    site = Site({"/": (whole, None), "/strict": (whole, STRICT), "/hostile": (hostile, None)})
    thread = Thread(target=site.server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    yield site
    site.server.shutdown()
    site.server.server_close()


@pytest.fixture(scope="module")
def visits(site: Site, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str, Path]]:
    """Each way to look at it: the document as the browser has it, what it complained of, and the picture."""
    ways = {
        "light": ("/", "1100,3000"),
        "dark": ("/", "1100,3000", "--blink-settings=preferredColorScheme=0"),
        "phone": ("/", "360,3000"),
        "strict": ("/strict", "1100,3000"),
        "hostile": ("/hostile", "1100,3000"),
    }
    folder = tmp_path_factory.mktemp("pictures")

    def visit(name: str) -> tuple[str, str, Path]:
        path, size, *more = ways[name]
        picture = folder / f"{name}.png"
        command = [*BROWSER, "--hide-scrollbars", "--enable-logging=stderr", "--disable-background-networking"]
        command += [f"--user-data-dir={folder / name}", f"--window-size={size}", *more]
        address = site.url + path
        subprocess.run([*command, f"--screenshot={picture}", address], capture_output=True, check=True, timeout=120)
        seen = subprocess.run(
            [*command, "--dump-dom", address], capture_output=True, text=True, check=True, timeout=120
        )
        return seen.stdout, seen.stderr, picture

    with ThreadPoolExecutor(2) as pool:
        return dict(zip(ways, pool.map(visit, ways), strict=True))


def test_it_renders_without_a_complaint(visits: dict[str, tuple[str, str, Path]]) -> None:
    """No console errors, light, dark, on a phone and with hostile names; under the strict policy only its own."""
    for name, (dom, log, picture) in visits.items():
        assert "What to do next" in dom, name
        assert picture.stat().st_size > 10_000
        complaints = [line for line in log.splitlines() if "CONSOLE" in line]
        if name == "strict":
            assert all("style" in line or "'data:,'" in line for line in complaints), complaints
        else:
            assert complaints == []


def test_it_asks_for_nothing(site: Site, visits: dict[str, tuple[str, str, Path]]) -> None:
    """The page itself, and no icon, font, picture or script."""
    assert visits
    assert set(site.asked) == {"/", "/strict", "/hostile"}


def test_dark_is_dark_and_light_is_light(visits: dict[str, tuple[str, str, Path]]) -> None:
    """The background follows what the reader's system asks for."""
    assert imread(visits["light"][2])[5, 5][:3].mean() > 0.9
    assert imread(visits["dark"][2])[5, 5][:3].mean() < 0.2


def test_a_phone_need_not_scroll_sideways(tmp_path: Path) -> None:
    """At 360 pixels the page is as wide as the screen; wide tables scroll by themselves."""
    probe = tmp_path / "probe.html"
    frame = "<iframe id=f width=360 height=800 srcdoc='{}'></iframe>"
    script = "f.onload=()=>document.title=JSON.stringify([f.contentDocument.documentElement.scrollWidth])"
    text = page(document_of(), tables_of(predictions_of(players=20)))
    text = (
        re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", text)
        .replace("&", "&amp;")
        .replace("'", "&#39;")
    )
    probe.write_text(f"<!doctype html>{frame.format(text)}<script>{script}</script>", encoding="utf-8")
    command = [
        *BROWSER,
        f"--user-data-dir={tmp_path / 'profile'}",
        "--virtual-time-budget=5000",
        "--dump-dom",
        probe.as_uri(),
    ]
    seen = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    (found,) = re.findall(r"<title>(\[\d+\])</title>", seen)[:1]
    assert json.loads(found)[0] <= 360


def test_hostile_names_run_nothing(visits: dict[str, tuple[str, str, Path]]) -> None:
    """The document that the browser made has no element that a name brought."""
    dom = visits["hostile"][0]
    assert "<img" not in dom
    assert "<script" not in dom
