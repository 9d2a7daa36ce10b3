"""Real Chromium, and axe-core in it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.support.paths import ROOT

AXE = ROOT / "tests/tools/node_modules/axe-core/axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
COLOURS = {"type": "rule", "values": ["color-contrast", "link-in-text-block"]}
PHONE, DESK = {"width": 320, "height": 450}, {"width": 1280, "height": 800}
RUN_AXE = """async rules => (await axe.run(document, {runOnly: rules, resultTypes: ['violations']}))
    .violations.map(v => v.id + ': ' + v.nodes.map(n => n.target.join(' ')).slice(0, 3).join(', '))"""


@contextmanager
def chromium(*arguments: str) -> Iterator[Browser]:
    """A browser with the back-forward cache on, as people have it."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium",
            args=["--no-sandbox", *arguments],
            ignore_default_args=["--disable-back-forward-cache"],
        )
        yield browser
        browser.close()


@contextmanager
def with_memory(browser: Browser, profile: Path) -> Iterator[BrowserContext]:
    """A browser beside this one that keeps its profile, with what it remembers of forms, in a folder."""
    context = browser.browser_type.launch_persistent_context(
        profile, executable_path="/usr/bin/chromium", args=["--no-sandbox", "--headless=new"]
    )
    yield context
    context.close()


def violations(page: Page) -> list[str]:
    """What axe-core finds against WCAG 2.2 AA and best practice; the page's own policy does not hold axe up."""
    page.evaluate(AXE.read_text(encoding="utf-8"))
    return page.evaluate(RUN_AXE, RULES)
