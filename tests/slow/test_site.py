"""The site in a real browser: Debian's chromium, driven by selenium."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from importlib.util import find_spec
from typing import Any

import pytest

from docs import build as build_module
from docs.build import build

WIDTH = 360
"""The width of a small phone, in pixels."""

LIMIT = 30.0
"""The seconds that a page may need on a busy machine."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[str]]]:
    """The address of the site on this machine, and the names of its pages."""
    if find_spec("sphinx") is None:
        assert "CI" not in os.environ, "CI has the dependency group docs"
        pytest.skip("the dependency group docs is needed: make docs-check")
    html = build(tmp_path_factory.mktemp("site"), strict=True)
    handler = functools.partial(_Quiet, directory=str(html))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        pages = sorted(path.name for path in html.glob("*.html"))
        yield f"http://127.0.0.1:{server.server_port}", pages
        server.shutdown()
        thread.join()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        """Print nothing."""


@pytest.fixture(scope="module")
def browser(site: tuple[str, list[str]]) -> Iterator[Any]:
    """A browser without a window."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if not (program and driver and find_spec("selenium")):
        assert "CI" not in os.environ, "CI has chromium"
        pytest.skip("chromium is needed: apt install chromium chromium-driver, make docs-check")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = program
    options.add_argument("--headless=new")
    options.add_argument("--disable-dev-shm-usage")
    options.add_argument("--window-size=1280,900")
    if os.geteuid() == 0:
        options.add_argument("--no-sandbox")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    opened = webdriver.Chrome(options, webdriver.ChromeService(driver))
    yield opened
    opened.quit()


@pytest.fixture
def phone(browser: Any) -> Iterator[Any]:
    """The browser, as narrow as a phone."""
    size = {"width": WIDTH, "height": 740, "deviceScaleFactor": 1, "mobile": True}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    yield browser
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


def requests(browser: Any) -> list[str]:
    """Return the addresses that the browser has asked for since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    sent = [event for event in events if event["method"] == "Network.requestWillBeSent"]
    return [event["params"]["request"]["url"] for event in sent]


def test_every_page_loads_without_errors_and_asks_no_other_host(site, browser):
    address, pages = site
    assert len(pages) > 30
    for page in pages:
        browser.get_log("browser")
        requests(browser)
        browser.get(f"{address}/{page}")
        asked = requests(browser)
        assert f"{address}/{page}" in asked
        assert [url for url in asked if not url.startswith((address, "data:"))] == [], page
        errors = browser.get_log("browser")
        assert [entry for entry in errors if entry["level"] == "SEVERE"] == [], page


@pytest.mark.parametrize(
    ("link", "problem"),
    [("no-page.md", "no-page.md"), ("cache.md#no-heading", "no-heading")],
    ids=["page", "heading"],
)
def test_a_link_to_what_is_missing_stops_the_build(
    link, problem, site, tmp_path, monkeypatch, capfd
):
    shutil.copytree(build_module.DOCS, tmp_path / "docs")
    for page in build_module.OUTSIDE:
        shutil.copy(build_module.ROOT / page, tmp_path)
    with (tmp_path / "docs" / "trust.md").open("a") as page:
        page.write(f"\n[More]({link})\n")
    monkeypatch.setattr(build_module, "ROOT", tmp_path)
    monkeypatch.setattr(build_module, "DOCS", tmp_path / "docs")
    with pytest.raises(subprocess.CalledProcessError):
        build(tmp_path / "site", strict=True)
    (warning,) = [line for line in capfd.readouterr().err.splitlines() if "WARNING" in line]
    assert "trust.md" in warning
    assert problem in warning


def test_the_search_finds_what_people_look_for(site, browser):
    address, _pages = site
    wanted = {
        "LoadError": "loader.html", "WAZCACHE_TARGET": "targets.html", "publish": "ci.html",
        "docker": "development.html", "migrate": "migrating.html", "security": "SECURITY.html",
        "gitignore": "tutorial.html", "PyInstaller": "frozen.html", "conda": "packagers.html",
    }  # fmt: skip
    for word, page in wanted.items():
        browser.get(f"{address}/index.html")
        box = browser.find_element("css selector", "input[name=q]")
        box.send_keys(word, "\n")
        found = ""
        end = time.monotonic() + LIMIT
        while page not in found and time.monotonic() < end:
            time.sleep(0.1)
            with suppress(Exception):  # the results are replaced while they are read
                links = browser.find_elements("css selector", "#search-results a")
                found = " ".join(link.get_attribute("href") or "" for link in links)
        assert page in found


# Counts the light and the dark pixels of a picture that was taken of the page.
COUNT = """
const [picture, done] = arguments;
const image = new Image();
image.onload = () => {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [image.width, image.height];
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const data = context.getImageData(0, 0, image.width, image.height).data;
  let light = 0, dark = 0;
  for (let i = 0; i < data.length; i += 4) {
    const sum = data[i] + data[i + 1] + data[i + 2];
    if (sum > 690) light++;
    if (sum < 300) dark++;
  }
  done([light / (data.length / 4), dark / (data.length / 4)]);
};
image.src = "data:image/png;base64," + picture;
"""


SCROLL = "arguments[0].scrollIntoView({behavior: 'instant', block: 'center'})"


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_plots_and_pictures_are_seen_on_a_page_that_is(site, browser, theme):
    address, _pages = site
    for page, number in {"performance.html": 5, "how-it-works.html": 4, "index.html": 1}.items():
        browser.get(f"{address}/{page}")
        browser.execute_script("document.body.dataset.theme = arguments[0]", theme)
        background = browser.execute_script(
            "return getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)"
        )
        assert (sum(background[:3]) > 600) == (theme == "light")
        images = browser.find_elements("css selector", "article img")
        assert len(images) == number
        for image in images:
            # At once: no picture is taken while the page scrolls smoothly.
            browser.execute_script(SCROLL, image)
            light, dark = browser.execute_async_script(COUNT, image.screenshot_as_base64)
            assert light > 0.4, (page, theme)  # what it is drawn on
            assert dark > 0.002, (page, theme)  # its words and lines


# Finds what is wider than the window and cannot be scrolled to.
CUT_OFF = """
const width = arguments[0], found = [];
const scrolls = (part) => {
  for (let above = part; above && above !== document.body; above = above.parentElement)
    if (["auto", "scroll"].includes(getComputedStyle(above).overflowX)) return true;
  return false;
};
for (const part of document.querySelectorAll("article *")) {
  const box = part.getBoundingClientRect();
  if (box.width > 0 && box.right > width + 1 && !scrolls(part)) found.push(part.outerHTML);
}
if (document.documentElement.scrollWidth > width + 1) found.push("the page");
return found.map((html) => html.slice(0, 200));
"""


def test_nothing_is_cut_off_on_a_phone(site, phone):
    address, pages = site
    for page in pages:
        phone.get(f"{address}/{page}")
        assert phone.execute_script("return window.innerWidth") == WIDTH
        assert phone.execute_script(CUT_OFF, WIDTH) == [], page
