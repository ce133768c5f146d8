"""The list, as a manager uses it: filters, order, pages, columns, files, labels for many, news."""

import csv
import io
from datetime import UTC, datetime
from urllib.parse import urlsplit

import httpx2
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.reading import arrived, facets, ids, ids_of, labelled, listed, state
from tests.browser.shop import COMMAND, ESCALATED, FORMULA, LONG_NAME, STRANGE_ID
from tests.browser.visitors import Visitor
from tests.builders import event

pytestmark = pytest.mark.asyncio(loop_scope="session")

WANTED = "rated=true&language=en&topic=returns&escalated=true"
WANTED_STATE = {"rated": ["true"], "language": ["en"], "topic": ["returns"], "escalated": ["true"]}


async def filtered(page: Page) -> None:
    """Ask for English conversations about returns that were escalated and rated, with the panel."""
    panel = page.locator("#filters")
    await panel.locator("select[name=rated]").select_option("true")
    await panel.locator("select[name=escalated]").select_option("true")
    for name, value in (("language", "en"), ("topic", "returns")):
        await panel.locator(f"#values-{name} summary").click()
        await panel.locator(f"input[name={name}][value={value}]").check()
    await panel.get_by_role("button", name="Apply").click()
    await expect(page.locator(".chip")).to_have_count(4)


async def test_a_manager_filters_sorts_pages_and_opens_one(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/")
    await filtered(page)
    assert urlsplit(page.url).path == "/learning/all"
    assert state(page) == WANTED_STATE
    sentence = page.locator("#sentence")
    await expect(sentence).to_contain_text("English")
    for words in ("returns", "escalated", "rated"):
        await expect(sentence).to_contain_text(words)
    found = await listed(api, WANTED + "&limit=50")
    total = found["total"]
    assert total >= ESCALATED > 50
    await expect(page.locator("#span")).to_have_text(f"1–50 of {total}")  # noqa: RUF001
    await expect(page.locator("#tab-all")).to_have_text(f"All {total}")
    assert await ids(page) == ids_of(found)

    await page.locator("#sort-duration_ms").click()
    await expect(page.locator("th.c-duration_ms")).to_have_attribute("aria-sort", "descending")
    assert state(page) == {**WANTED_STATE, "sort": ["-duration_ms"]}
    first = await listed(api, WANTED + "&sort=-duration_ms&limit=50")
    assert await ids(page) == ids_of(first)
    lengths = [row["duration_ms"] for row in first["items"]]
    assert lengths == sorted(lengths, reverse=True)

    await page.get_by_role("link", name="Next", exact=True).click()
    await expect(page.locator("#span")).to_have_text(f"51–{total} of {total}")  # noqa: RUF001
    rest = await ids(page)
    assert len(rest) == total - 50
    assert not set(rest) & set(ids_of(first))
    await page.get_by_role("link", name="Previous", exact=True).click()
    await expect(page.locator("#span")).to_have_text(f"1–50 of {total}")  # noqa: RUF001
    assert await ids(page) == ids_of(first)

    await page.locator("#rows tbody th a").first.click()
    await arrived(page, ids_of(first)[0])
    await expect(page.get_by_role("link", name=f"back to {total} results")).to_be_visible()
    await page.keyboard.press("j")
    await arrived(page, ids_of(first)[1])
    await page.keyboard.press("b")
    await expect(page.locator("#span")).to_have_text(f"1–50 of {total}")  # noqa: RUF001
    assert state(page) == {**WANTED_STATE, "sort": ["-duration_ms"]}


async def test_the_counts_beside_each_filter_are_those_of_the_list_it_leads_to(
    manager: Visitor, api: httpx2.AsyncClient
) -> None:
    page = await manager.opened("/learning/all?language=en&rated=true")
    counted = (await facets(api, "language=en&rated=true"))["facets"]
    shown = {
        await choice.locator("input").get_attribute("value"): int(
            (await choice.locator(".num").inner_text()).replace(",", "")
        )
        for choice in await page.locator("#values-language label").all()
    }
    assert shown == {one["value"] or "(none)": one["count"] for one in counted["language"]}
    for language, count in shown.items():
        assert (await listed(api, f"rated=true&language={language}&limit=1"))["total"] == count


async def test_the_address_is_the_whole_state_for_a_colleague_too(manager: Visitor, visit: Visiting) -> None:
    page = await manager.opened("/learning/all")
    await filtered(page)
    await page.locator("#sort-rating").click()
    await expect(page.locator("th.c-rating")).to_have_attribute("aria-sort", "descending")
    await page.get_by_role("link", name="Next", exact=True).click()
    await expect(page.locator("#previous")).to_be_visible()
    async with visit() as colleague:
        await colleague.sign_in_with_the_issuer()
        theirs = await colleague.opened(page.url.removeprefix(colleague.stack.url))
        assert await ids(theirs) == await ids(page)
        for part in ("#sentence", "#span", ".tabs", ".chips"):
            assert await theirs.locator(part).inner_text() == await page.locator(part).inner_text()


async def test_back_and_forward_bring_back_what_was_there(manager: Visitor) -> None:
    page = await manager.opened("/learning/all")
    seen = [await ids(page)]
    await filtered(page)
    seen.append(await ids(page))
    await page.locator("#sort-duration_ms").click()
    await expect(page.locator("th.c-duration_ms")).to_have_attribute("aria-sort", "descending")
    seen.append(await ids(page))
    await page.go_back()
    await expect(page.locator("th.c-duration_ms")).to_have_attribute("aria-sort", "none")
    assert await ids(page) == seen[1]
    await expect(page.locator("#filters select[name=rated]")).to_have_value("true")
    await page.go_back()
    await expect(page.locator(".chip")).to_have_count(0)
    assert await ids(page) == seen[0]
    await expect(page.locator("#filters select[name=rated]")).to_have_value("")
    await page.go_forward()
    await page.go_forward()
    await expect(page.locator("th.c-duration_ms")).to_have_attribute("aria-sort", "descending")
    assert await ids(page) == seen[2]


async def test_filters_are_taken_away_one_by_one_and_all_at_once(manager: Visitor) -> None:
    page = await manager.opened(f"/learning/all?{WANTED}&sort=-duration_ms")
    await page.locator(".chip", has_text="returns").click()
    await expect(page.locator(".chip")).to_have_count(3)
    assert state(page) == {name: value for name, value in WANTED_STATE.items() if name != "topic"} | {
        "sort": ["-duration_ms"]
    }
    await page.locator(".chips").get_by_role("link", name="Reset").click()
    await expect(page.locator(".chip")).to_have_count(0)
    assert state(page) == {"sort": ["-duration_ms"]}


async def test_time_ranges_and_sections_narrow_the_list(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/learning/all")
    await page.get_by_role("link", name="Last week").click()
    await expect(page.get_by_role("link", name="Last week")).to_have_attribute("aria-current", "true")
    await page.locator("#tab-fallback").click()
    await expect(page.locator("#tab-fallback")).to_have_attribute("aria-current", "page")
    found = await listed(api, "section=fallback&range=week&limit=50")
    assert await ids(page) == ids_of(found)
    assert 0 < found["total"] < (await listed(api, "section=fallback&limit=1"))["total"]
    today = f"{datetime.now(UTC):%Y-%m-%d}"
    await page.get_by_text("Custom range").click()
    await page.get_by_label("From").fill("2026-01-01" if today < "2026" else f"{today[:4]}-01-01")
    await page.get_by_label("To, that day included").fill(today)
    await page.locator("#custom").get_by_role("button", name="Apply").click()
    await page.wait_for_url("**range=custom**")
    assert state(page)["zone"] == ["Europe/Madrid"]
    assert await page.locator("#rows tbody tr").count() > 0


async def test_columns_are_chosen_and_stay_in_the_address(manager: Visitor) -> None:
    page = await manager.opened("/learning/all")
    await page.locator("#choose summary").click()
    await page.get_by_label("Device").uncheck()
    await page.get_by_label("Subtopic").check()
    await page.locator("#choose").get_by_role("button", name="Apply").click()
    await expect(page.locator("thead th.c-subtopic")).to_be_visible()
    await expect(page.locator("thead th.c-device")).to_have_count(0)
    await page.locator("#sort-queries").click()
    await expect(page.locator("th.c-queries")).to_have_attribute("aria-sort", "descending")
    await expect(page.locator("thead th.c-subtopic")).to_be_visible()
    await page.locator("#choose summary").click()
    await page.get_by_role("link", name="Usual ones").click()
    await expect(page.locator("thead th.c-device")).to_be_visible()


async def test_an_exported_file_has_the_same_rows_in_the_same_order(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened(f"/learning/all?{WANTED}&sort=-duration_ms")
    await page.locator("#export summary").click()
    async with page.expect_download() as started:
        await page.get_by_role("link", name="CSV").click()
    with open(await (await started.value).path(), encoding="utf-8-sig", newline="") as file:  # noqa: ASYNC230, PTH123
        rows = list(csv.DictReader(file))
    whole = await listed(api, WANTED + "&sort=-duration_ms&limit=200", everything=True)
    assert [row["conversation_id"] for row in rows] == ids_of(whole)
    assert [row["rating"] for row in rows] == [str(row["rating"]) for row in whole["items"]]
    assert [row["feedback"] for row in rows] == [row["feedback"] for row in whole["items"]]


async def test_formulas_in_an_exported_file_are_only_text(api: httpx2.AsyncClient) -> None:
    answer = await api.get("/v1/conversations.csv?topic=hostile")
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"), newline="")))
    assert len(rows) == 6
    for row in rows:
        for name, value in row.items():
            assert not value.startswith(("=", "@", "+", "-", "\t", "\r")), (name, value)
    names = {row["user_name"] for row in rows}
    assert {"'" + FORMULA, "'" + COMMAND, LONG_NAME} <= names


async def test_hostile_texts_are_shown_and_nothing_else(manager: Visitor) -> None:
    page = await manager.opened("/learning/all?topic=hostile")
    assert set(await ids(page)) == {
        STRANGE_ID,
        *(f"hostile-{name}" for name in ("image", "formula", "command", "rtl", "long")),
    }
    assert "pwned" not in await page.title()
    assert await page.locator("main img, main script, main b").count() == 0
    await page.locator("#rows tbody a").first.click()
    for _ in range(6):
        assert "pwned" not in await page.title()
        assert await page.locator("main img, main script, main b").count() == 0
        step = page.get_by_role("link", name="Next")
        if await step.count():
            await step.click()
    page = await manager.opened("/learning/all?topic=hostile")
    await page.locator("#rows tbody th", has_text="&of=other").locator("a").click()
    await arrived(page, STRANGE_ID)
    assert await page.evaluate("document.documentElement.scrollWidth <= innerWidth")


async def test_three_rows_are_labelled_at_once(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/learning/all?topic=bulk")
    await expect(page.get_by_role("button", name="Positive")).to_be_disabled()
    for row in (0, 1, 3):
        await page.locator("#rows tbody input[name=of]").nth(row).check()
    await expect(page.locator("#selected")).to_have_text("With 3 selected:")
    chosen = [(await ids(page))[row] for row in (0, 1, 3)]
    await page.get_by_role("button", name="Positive").click()
    await expect(page.get_by_role("status").first).to_have_text("3 conversations labelled positive.")
    for conversation_id in chosen:
        whole = await labelled(api, conversation_id, "positive")
        assert whole["row"]["label_stale"] is False
        assert whole["labels"][0]["seen_messages"] == 4
    assert (await listed(api, "topic=bulk&section=positive"))["total"] == 3
    for conversation_id in chosen:
        row = page.locator("#rows tbody tr", has_text=conversation_id)
        await expect(row.locator(".c-label")).to_have_text("Positive")


async def test_shift_selects_a_range_and_letters_move_between_rows(manager: Visitor) -> None:
    page = await manager.opened("/learning/all?topic=keyboard")
    ticks = page.locator("#rows tbody input[name=of]")
    await ticks.nth(1).click()
    await ticks.nth(4).click(modifiers=["Shift"])
    await expect(page.locator("#selected")).to_have_text("With 4 selected:")
    await page.locator("#every").check()
    await expect(page.locator("#selected")).to_have_text("With 12 selected:")
    await page.locator("#every").uncheck()
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    await page.keyboard.press("x")
    await expect(page.locator("#selected")).to_have_text("With 1 selected:")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", level=1)).to_have_text("keyboard-10")


async def test_what_comes_in_is_announced_and_shown_when_asked_for(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/learning/all?state=all&topic=news")
    await expect(page.get_by_role("heading", name="No conversation is like that")).to_be_visible()
    now = datetime.now(UTC).isoformat()
    events = [
        event(
            kind,
            id=f"news-{number}-{kind}",
            conversation_id=f"news-{number}",
            at=now,
            **({"topic": "news"} if kind == "conversation.started" else {"text": "Is this new?"}),
        )
        for number in range(3)
        for kind in ("conversation.started", "message.sent")
    ]
    answer = await api.post("/v1/events", json=events)
    assert answer.status_code == 202, answer.text
    await expect(page.locator("#news")).to_contain_text("3 new")
    await page.locator("#news").get_by_role("link", name="Show").click()
    await expect(page.locator("#rows tbody tr")).to_have_count(3)
    assert set(await ids(page)) == {"news-0", "news-1", "news-2"}


async def test_an_empty_list_says_which_filter_empties_it(manager: Visitor) -> None:
    page = await manager.opened("/learning/all?topic=returns&client=nobody-at-all")
    await expect(page.get_by_role("heading", name="No conversation is like that")).to_be_visible()
    await page.get_by_role("link", name="nobody-at-all").last.click()
    await expect(page.locator("#rows")).to_be_visible()
    assert state(page) == {"topic": ["returns"]}


async def test_the_red_dot_speaks_the_comment(manager: Visitor) -> None:
    page = await manager.opened("/learning/all?client=u-811")
    dot = page.get_by_role("img", name="took two tries")
    await expect(dot).to_be_visible()
    assert await dot.get_attribute("title") == "took two tries"
    await expect(page.locator("#rows tbody td.c-rating")).to_contain_text("2")


async def test_a_search_finds_words_of_messages(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/learning/all")
    await page.keyboard.press("/")
    await page.keyboard.type("order 1182")
    await page.keyboard.press("Enter")
    await expect(page.locator(".chip")).to_have_count(1)
    assert state(page)["q"] == ["order 1182"]
    found = await listed(api, "q=order 1182&limit=50")
    assert await ids(page) == ids_of(found)
    assert "refund-1182" in ids_of(found)


async def test_a_theme_that_was_chosen_is_kept(manager: Visitor) -> None:
    page = await manager.opened("/learning/all")
    dark = "matchMedia('(prefers-color-scheme: dark)').matches"
    assert not await page.evaluate(dark)
    light = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    await page.locator("#you summary").click()
    await page.get_by_role("button", name="Dark").click()
    chosen = await page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert chosen != light
    await page.reload()
    assert await page.evaluate("getComputedStyle(document.documentElement).backgroundColor") == chosen


async def test_a_faulty_address_is_explained(manager: Visitor) -> None:
    manager.watch.expected.append("status of 422")
    page = await manager.opened("/learning/all?langage=en")
    await expect(page.get_by_role("heading", level=1)).to_be_visible()
    await expect(page.locator(".faults")).to_contain_text("langage")
    await page.get_by_role("link", name="All conversations").click()
    await expect(page.locator("#rows")).to_be_visible()
