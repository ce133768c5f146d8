"""A walk through many conversations with the keyboard, alone and beside a colleague."""

import asyncio

import httpx2
import pytest
from playwright.async_api import Page, expect

from tests.browser.conftest import Visiting
from tests.browser.reading import arrived, labelled, listed, state
from tests.browser.shop import GROUPS
from tests.browser.visitors import Visitor

pytestmark = pytest.mark.asyncio(loop_scope="session")


def shown(page: Page) -> str:
    """The conversation that the address of a step names."""
    (conversation_id,) = state(page).get("id", [""])
    return conversation_id


async def pressed(page: Page, key: str) -> str:
    """Press a key that goes to another conversation; gives that one's id, '' at the end."""
    before = shown(page)
    await page.keyboard.press(key)
    await page.wait_for_function(
        "before => (new URLSearchParams(location.search).get('id') ?? '') !== before", arg=before
    )
    await expect(page.locator("body")).not_to_have_attribute("aria-busy", "true")
    return shown(page)


async def test_ten_are_reviewed_with_the_keyboard(manager: Visitor, api: httpx2.AsyncClient) -> None:
    total = GROUPS["keyboard"]
    page = await manager.opened("/learning/all?topic=keyboard&sort=started_at")
    await page.get_by_role("link", name="Review these").click()
    await expect(page.locator("#progress")).to_contain_text(f"1 of {total}")
    order = [f"keyboard-{number:02}" for number in range(total)]
    assert shown(page) == order[0]
    await arrived(page, order[0])

    assert await pressed(page, "p") == order[1]
    assert await pressed(page, "n") == order[2]
    assert await pressed(page, "s") == order[3]
    await expect(page.locator("#skipped")).to_contain_text("1 skipped")

    # u undoes the last, which was a skip, and goes back to it; then a label is undone too.
    assert await pressed(page, "u") == order[2]
    assert await pressed(page, "n") == order[3]
    assert await pressed(page, "u") == order[2]
    await expect(page.locator("#label button[value=negative]")).to_have_attribute("aria-pressed", "false")
    assert await pressed(page, "p") == order[3]  # at once, while the undoing may still be under way

    # j and k walk without judging.
    assert await pressed(page, "j") == order[4]
    assert await pressed(page, "k") == order[3]

    # e opens reason and better answer, Esc leaves the field, ? shows the keys.
    await page.keyboard.press("e")
    await expect(page.locator("#label").get_by_label("Reason")).to_be_focused()
    await page.keyboard.type("not what was asked")
    await page.keyboard.press("Tab")
    await page.get_by_label("Better answer").fill("Four days.")
    await page.keyboard.press("Escape")
    await page.keyboard.press("?")
    await expect(page.locator("#keys")).to_have_attribute("open", "")
    await page.keyboard.press("Escape")
    assert await pressed(page, "n") == order[4]

    for place, key in enumerate("pnpnpnpn", start=4):
        following = await pressed(page, key)
        assert following == (order[place + 1] if place + 1 < total else "")
    await expect(page.get_by_role("heading", name="That was all of them")).to_be_visible()
    wanted = {
        order[0]: "positive",
        order[1]: "negative",
        order[2]: "positive",
        order[3]: "negative",
        **{order[place]: "positive" if key == "p" else "negative" for place, key in enumerate("pnpnpnpn", start=4)},
    }
    for conversation_id, label in wanted.items():
        whole = await labelled(api, conversation_id, label)
        if conversation_id == order[2]:
            assert [one["label"] for one in whole["labels"]] == ["positive", "", "negative"]
        if conversation_id == order[3]:
            assert (whole["row"]["label_reason"], whole["row"]["correction"]) == ("not what was asked", "Four days.")
    await expect(page.locator("#unsaved li")).to_have_count(0)
    done = page.locator(".done dl dd")
    await expect(done.nth(0)).to_have_text("6")
    await expect(done.nth(1)).to_have_text("6")
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Preference pairs").click()
    assert "Four days." in (await (await started.value).path()).read_text()


async def test_two_managers_at_once_get_different_conversations(
    manager: Visitor, visit: Visiting, api: httpx2.AsyncClient
) -> None:
    total = GROUPS["pair"]
    async with visit() as colleague:
        await colleague.sign_in_with_the_issuer()
        mine, theirs = await asyncio.gather(
            manager.opened("/review?topic=pair&sort=started_at"), colleague.opened("/review?topic=pair&sort=started_at")
        )
        seen: dict[str, str] = {}
        for _ in range(total):
            for name, page in (("mine", mine), ("theirs", theirs)):
                here = shown(page)
                if here:
                    assert seen.setdefault(here, name) == name, "both were shown this one"
                    await pressed(page, "p")
        assert set(seen) == {f"pair-{number:02}" for number in range(total)}
        assert set(seen.values()) == {"mine", "theirs"}
        for conversation_id, name in seen.items():
            row = (await labelled(api, conversation_id, "positive"))["row"]
            assert (row["labelled_by"] == "ana@example.org") == (name == "theirs")


async def test_a_step_survives_a_reload_and_going_back(manager: Visitor, api: httpx2.AsyncClient) -> None:
    page = await manager.opened("/review?section=positive&sort=started_at&language=es")
    walked = [
        row["conversation_id"] for row in (await listed(api, "section=positive&sort=started_at&language=es"))["items"]
    ]
    assert len(walked) > 3
    assert shown(page) == walked[0]
    assert await pressed(page, "j") == walked[1]
    assert await pressed(page, "j") == walked[2]
    await page.reload()
    assert shown(page) == walked[2]
    await arrived(page, walked[2])
    await page.go_back()
    await arrived(page, walked[1])


async def test_a_label_that_cannot_be_sent_stays_in_sight_while_the_walk_goes_on(
    manager: Visitor, api: httpx2.AsyncClient
) -> None:
    manager.watch.expected.append("ERR_FAILED")
    page = await manager.opened("/review?topic=failing&sort=started_at&client=u-failing-2")
    await page.wait_for_load_state("load")
    await page.route("**/v1/labels", lambda route: route.abort(), times=1)
    assert await pressed(page, "n") == ""
    unsaved = page.locator("#unsaved li")
    await expect(unsaved).to_contain_text("Not saved: failing-02: negative")
    await unsaved.get_by_role("button", name="Try again").click()
    await labelled(api, "failing-02", "negative")
    await expect(unsaved).to_have_count(0)


async def test_c_takes_a_label_back_and_goes_on(manager: Visitor, api: httpx2.AsyncClient) -> None:
    await api.post(
        "/v1/labels",
        json={
            "label": "negative",
            "conversations": [{"assistant": "shop", "conversation_id": f"clearing-0{number}"} for number in (0, 1)],
        },
    )
    for name in ("clearing-00", "clearing-01"):
        await labelled(api, name, "negative")
    page = await manager.opened("/review?section=negative&topic=clearing&sort=started_at")
    await arrived(page, "clearing-00")
    assert await pressed(page, "c") == "clearing-01"
    await labelled(api, "clearing-00", "")
    await labelled(api, "clearing-01", "negative")
