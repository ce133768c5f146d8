"""`python -m tests.browser.screenshots`: the pictures of the README, of a simulated shop, into docs/screenshots.

With a folder as its argument every page is taken there too, at three widths, light and dark, whole.
"""

import argparse
import asyncio
import shutil
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from playwright.async_api import Browser, Page, async_playwright, expect

from tests.browser import chromium
from tests.browser.shop import REOPENED, Shop
from tests.browser.stack import Stack, running
from tests.browser.visitors import visiting
from tests.e2e.children import ROOT

README: Final = ROOT / "docs" / "screenshots"
SIZES: Final = ((1440, 900), (768, 1024), (375, 812))
README_SIZE: Final = (1280, 800)
LABELS: Final = 0.4
READER: Final = {"LOGNAME": "ana"}
"""Whose name stands on the pages, whoever takes them."""
THEMES: Final = ("light", "dark")
ALL: Final = "all"
MOST_BYTES: Final = 200_000


async def _as_it_is(_: Page) -> None:
    """Take the page as it comes."""


async def _drawn(page: Page) -> None:
    await expect(page.locator("canvas").first).to_be_visible()


async def _three_decided(page: Page) -> None:
    """Be in the middle of a review: one skipped, two gone past."""
    await page.wait_for_load_state("load")
    for key in ("j", "s", "j"):
        here = page.url
        await page.keyboard.press(key)
        await page.wait_for_function("here => location.href !== here", arg=here)
        await expect(page.locator("body")).not_to_have_attribute("aria-busy", "true")


@dataclass(frozen=True)
class Shot:
    """A page, what is done on it first, and in which theme it stands in the README, if it does."""

    name: str
    path: str
    ready: Callable[[Page], Awaitable[None]] = _as_it_is
    readme: str = ""


SHOTS: Final = (
    Shot("learning", "/learning/all?language=en&rated=true&range=month", readme="light"),
    Shot("fallbacks", "/learning/fallback?range=week"),
    Shot("empty", "/learning/all?topic=returns&client=u-nobody&range=week"),
    Shot("conversation", f"/conversation?of=shop&id={REOPENED}", readme="light"),
    Shot("review", "/review?section=fallback&language=en", _three_decided, readme="dark"),
    Shot("review-end", "/review?client=u-nobody"),
    Shot("statistics", "/statistics?range=month", _drawn, readme="light"),
    Shot("error", "/learning/all?langage=en"),
)
FIRST: Final = (Shot("first-run", "/"),)
STRANGER: Final = (Shot("sign-in", "/sign-in"),)


async def taken(browser: Browser, stack: Stack, shots: tuple[Shot, ...], folder: Path, *, signed_in: bool) -> None:
    """Take pages at every size in every theme, whole, and those of the README as a screen shows them."""
    for theme in THEMES:
        pictured = tuple(shot for shot in shots if shot.readme == theme)
        await _taken(browser, stack, pictured, README_SIZE, theme, signed_in, lambda shot: folder / f"{shot.name}.png")
        for size in SIZES:
            place = f"{size[0]}-{theme}.png"
            await _taken(
                browser,
                stack,
                shots,
                size,
                theme,
                signed_in,
                lambda shot, place=place: folder / ALL / f"{shot.name}-{place}",
            )


async def _taken(
    browser: Browser,
    stack: Stack,
    shots: tuple[Shot, ...],
    size: tuple[int, int],
    theme: str,
    signed_in: bool,
    place: Callable[[Shot], Path],
) -> None:
    options: dict[str, Any] = {"viewport": {"width": size[0], "height": size[1]}, "color_scheme": theme}
    async with visiting(browser, stack, **options) as visitor:
        visitor.watch.expected.append("status of 422")
        if signed_in:
            await visitor.sign_in()
        for shot in shots:
            page = await visitor.opened(shot.path)
            await shot.ready(page)
            await page.screenshot(path=place(shot), full_page=size != README_SIZE)
            await page.close()


async def all_taken(folder: Path) -> None:
    """Start a shop, and an Afterword in which nothing is, and take their pages into `folder`."""
    for name in ("shop", "nothing", ALL):
        (folder / name).mkdir()
    file = folder / "shop.jsonl"
    file.write_bytes(b"\n".join(Shop(datetime.now(UTC), labels=LABELS).seemly()))
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=chromium.executable(),
            args=[
                *chromium.arguments(),
                "--disable-lcd-text",
            ],  # grey edges of letters: right on any screen, and smaller
        )
        async with running(folder / "shop", file, settings=READER) as shop:
            await taken(browser, shop, SHOTS, folder, signed_in=True)
            await taken(browser, shop, STRANGER, folder, signed_in=False)
        async with running(folder / "nothing", settings=READER) as nothing:
            await taken(browser, nothing, FIRST, folder, signed_in=True)
        await browser.close()


def main() -> int:
    """Take them; gives 1 when there is no browser, or a picture is too large to be kept in the repository."""
    parser = argparse.ArgumentParser("tests.browser.screenshots", description=__doc__)
    parser.add_argument("folder", nargs="?", type=Path, help="where all pages, widths and themes go")
    options = parser.parse_args()
    if reason := chromium.why_unavailable():
        sys.stderr.write(f"no pictures: {reason}\n")
        return 1
    README.mkdir(exist_ok=True)
    status = 0
    with TemporaryDirectory() as place:
        asyncio.run(all_taken(Path(place)))
        for picture in sorted(Path(place).glob("*.png")):
            size = picture.stat().st_size
            sys.stdout.write(f"{picture.name}: {size:,} bytes\n")
            if size > MOST_BYTES:
                sys.stderr.write(f"{picture.name} is larger than {MOST_BYTES:,} bytes\n")
                status = 1
            shutil.copy(picture, README / picture.name)
        if options.folder:
            shutil.copytree(Path(place) / ALL, options.folder, dirs_exist_ok=True)
    return status


if __name__ == "__main__":
    sys.exit(main())
