"""A headless Chromium and a way to open results in it that fails when the page complains or asks for anything."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.report.pages import Opener

from genscope.core.results import Result
from genscope.report.page import write_report


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    found = next((path for name in ("chromium", "chromium-browser", "google-chrome") if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip("no Chromium found: install chromium, chromium-browser or google-chrome")
    driver = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with driver.sync_playwright() as playwright:
        quiet = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]
        chromium = playwright.chromium.launch(executable_path=found, args=quiet)
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Any, tmp_path: Path) -> Iterator[Opener]:
    """Opens a result and fails at the end of the test if the page complained or asked for anything."""
    complaints: list[str] = []
    contexts = []

    def open_page(result: Result, width: int = 1600, theme: str = "light", address: str = "", **options: Any) -> Any:
        path = write_report(result, tmp_path / "report.html")
        context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=theme, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: complaints.append(f"error: {error}"))
        page.on(
            "request",
            lambda request: None if request.url.startswith((path.as_uri(), "data:", "blob:")) else complaints.append(f"asked for {request.url}"),
        )
        page.goto(path.as_uri() + address)
        page.wait_for_timeout(120)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []
