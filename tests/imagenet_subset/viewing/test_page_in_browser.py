"""The preview page in Chromium: what a person sees and does, and a screenshot of each look."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from imagenet_subset.reading.subset import open_subset
from imagenet_subset.viewing.page import write_page
from imagenet_subset.viewing.sampling import per_class_of_page
from tests.harness.tiers import thorough
from tests.imagenet_subset.viewing.photos import write_npz

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = thorough("needs Chromium")

OUTPUT = Path(__file__).parents[3] / ".ci/output"
PHONE = {"viewport": {"width": 390, "height": 844}, "device_scale_factor": 2, "has_touch": True}
PATIENCE = 30_000  # milliseconds; a busy machine is slow, and what is wrong stays wrong
Open = Callable[..., "Page"]


@pytest.fixture(scope="module")
def html(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page of twelve classes, from tench to ostrich and so on; 8 of train and 5 of val each."""
    folder = tmp_path_factory.mktemp("page")
    subset = open_subset(write_npz(folder / "twelve_cls.npz", 12, (20, 5)))
    write_page(subset, folder / "page.html")
    return folder / "page.html"


@pytest.fixture(scope="module")
def thousand(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Page of all of ILSVRC's classes, with as many images as it has by default."""
    folder = tmp_path_factory.mktemp("thousand")
    subset = open_subset(write_npz(folder / "thousand_cls.npz", 1000, (2, 2), side=112))
    write_page(subset, folder / "page.html", per_class=per_class_of_page(1000, 2))
    return folder / "page.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of the system; Playwright's own isn't downloaded."""
    try:
        from playwright.sync_api import sync_playwright
    except ModuleNotFoundError:
        pytest.skip('Playwright isn\'t installed; pip install -e ".[dev]"')
    chromium = shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("there is no chromium; apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, html: Path) -> Iterator[Open]:
    """Open the page; whatever it asks a network for or complains about fails the test."""
    wrong: list[str] = []
    contexts = []

    def open_it(fragment: str = "", path: Path = html, **options: Any) -> Page:
        options = {"viewport": {"width": 1366, "height": 768}, **options}
        context = browser.new_context(**options)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: wrong.append(message.text))
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("dialog", lambda dialog: wrong.append(dialog.message))
        ours = path.as_uri()
        page.on(
            "request",
            lambda request: (
                None if request.url.startswith(("data:", ours)) else wrong.append(request.url)
            ),
        )
        page.goto(f"{ours}{fragment}")
        return page

    yield open_it
    for context in contexts:
        context.close()
    assert wrong == []


def shoot(page: Page, name: str) -> None:
    OUTPUT.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=OUTPUT / f"preview-{name}.png", animations="disabled")


def expect(what: Any) -> Any:
    from playwright.sync_api import expect as expect_of_playwright

    expect_of_playwright.set_options(timeout=PATIENCE)
    return expect_of_playwright(what)


# The first look


@pytest.mark.parametrize("width", [320, 390, 768, 1366, 2560])
def test_photos_are_in_the_first_screen_and_nothing_is_wider_than_it(
    open_page: Open, width: int
) -> None:
    page = open_page(viewport={"width": width, "height": 700})
    fourth = page.locator(".thumbs img").nth(3).bounding_box()
    assert fourth is not None
    assert fourth["y"] + fourth["height"] < 700
    for details in page.locator("summary").all():
        details.click()
    assert page.evaluate("document.documentElement.scrollWidth") == width
    page.locator(".thumbs a").first.click()
    expect(page.get_by_role("dialog")).to_be_visible()
    inside = "(d => d.scrollWidth <= d.clientWidth)(document.querySelector('dialog'))"
    assert page.evaluate(inside)


def test_every_image_is_there_and_its_name_says_what_it_is(open_page: Open) -> None:
    page = open_page()
    images = page.locator(".thumbs img")
    assert images.count() == 12 * (8 + 5)
    for place in (0, 80, 155):
        images.nth(place).scroll_into_view_if_needed()
        expect(images.nth(place)).to_have_js_property("naturalWidth", 224)
    page.evaluate("scrollTo(0, 0)")
    expect(page.get_by_role("link", name="tench, val row 0, val_id 10", exact=True)).to_be_visible()
    shoot(page, "desktop")


def test_screen_readers_are_told_what_each_control_is(open_page: Open) -> None:
    page = open_page()
    expect(page.get_by_role("searchbox", name="Find a class")).to_be_visible()
    expect(page.get_by_role("group", name="Images shown")).to_be_visible()
    expect(page.get_by_role("radio", name="val")).to_have_count(1)
    expect(page.get_by_role("heading", level=1)).to_have_text("twelve")
    expect(page.get_by_role("article")).to_have_count(12)
    page.locator(".thumbs a").first.click()
    expect(page.get_by_role("dialog", name="tench")).to_be_visible()
    for name in ("Close", "Previous image", "Next image"):
        expect(page.get_by_role("button", name=name)).to_be_visible()


# Search


def test_the_search_leaves_what_matches_and_says_how_many(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("searchbox").fill("SHARK")
    expect(page.locator("article:visible h2")).to_have_text(
        ["great white shark", "tiger shark"], use_inner_text=True
    )
    expect(page.locator("#found")).to_have_text("2 of 12 classes")
    expect(page).to_have_url(re.compile("#find=SHARK$"))
    page.get_by_role("searchbox").fill("")
    expect(page.locator("article:visible")).to_have_count(12)


@pytest.mark.parametrize(
    ("text", "name"),
    [("n01443537", "goldfish"), ("ILSVRC2012_val_00000010", "tench"), ("3", "tiger shark")],
)
def test_a_wnid_a_file_name_and_a_label_are_found(open_page: Open, text: str, name: str) -> None:
    page = open_page()
    page.get_by_role("searchbox").fill(text)
    expect(page.locator("article:visible h2")).to_have_text([name])


def test_nothing_found_says_what_was_searched_and_what_is_near(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("searchbox").fill("goldfisch")
    nothing = page.locator("#nothing")
    expect(nothing).to_contain_text("Nothing found for “goldfisch”")
    expect(nothing).to_contain_text("labels and CLS-LOC ids of all 12 classes")
    expect(nothing).to_contain_text("file names of the 156 images shown here")
    shoot(page, "nothing-found")
    nothing.get_by_role("button", name="goldfish", exact=True).click()
    expect(page.locator("article:visible h2")).to_have_text(["goldfish"])
    page.get_by_role("searchbox").fill("1999")
    expect(nothing).to_contain_text("imagenet-subset locate twelve_cls.npz --split train --id 1999")
    nothing.get_by_role("button", name="Clear the search").click()
    expect(nothing).to_be_hidden()
    expect(page.locator("article:visible")).to_have_count(12)
    expect(page.get_by_role("searchbox")).to_be_focused()


@pytest.mark.parametrize(
    ("text", "name"),
    [("val/ILSVRC2012_val_00000010.JPEG", "tench"), ("train/n01443537/", "goldfish")],
)
def test_the_path_that_the_page_shows_of_a_photo_is_found(
    open_page: Open, text: str, name: str
) -> None:
    page = open_page()
    page.get_by_role("searchbox").fill(text)
    expect(page.locator("article:visible h2")).to_have_text([name])
    page.get_by_role("searchbox").fill("train")
    expect(page.locator("#nothing")).to_be_visible()


def test_the_clsloc_id_that_a_card_shows_is_found(open_page: Open) -> None:
    page = open_page()
    shown = page.locator("[id='class=2'] .about").inner_text()
    page.get_by_role("searchbox").fill(shown.rpartition(" ")[2])
    expect(page.locator("[id='class=2']")).to_be_visible()
    expect(page.locator("article:visible")).to_have_count(1)


@pytest.mark.parametrize(
    ("fragment", "number", "split"),
    [("", "599", "train"), ("#show=val", "599", "val"), ("#show=val", "1999", "train")],
)
def test_the_command_for_a_number_is_of_the_split_that_can_have_it(
    open_page: Open, fragment: str, number: str, split: str
) -> None:
    page = open_page(fragment)
    page.get_by_role("searchbox").fill(number)
    expect(page.locator("#nothing code")).to_have_text(
        f"imagenet-subset locate twelve_cls.npz --split {split} --id {number}"
    )


def test_a_number_that_no_image_can_have_is_not_asked_for(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("searchbox").fill("99999")
    expect(page.locator("#nothing")).to_contain_text("Nothing found for “99999”")
    expect(page.locator("#nothing code")).to_be_hidden()


def test_an_image_that_the_switch_hides_is_shown_when_it_is_found(open_page: Open) -> None:
    page = open_page()
    hidden = page.locator("[id='class=11'] .train figcaption").last.text_content()
    assert hidden
    page.get_by_role("radio", name="val").check()
    page.get_by_role("searchbox").fill("goldfish")
    expect(page.get_by_role("radio", name="val")).to_be_checked()
    page.get_by_role("searchbox").fill(hidden)
    expect(page.get_by_role("radio", name="both")).to_be_checked()
    expect(page.locator("article:visible")).to_have_count(1)
    expect(page.get_by_text(hidden, exact=True)).to_be_visible()


def test_a_slash_goes_to_the_search_and_stays_a_slash_in_it(open_page: Open) -> None:
    page = open_page()
    page.keyboard.press("/")
    expect(page.get_by_role("searchbox")).to_be_focused()
    page.keyboard.type("a/b")
    expect(page.get_by_role("searchbox")).to_have_value("a/b")


# One image


def test_a_click_enlarges_an_image_and_says_which_it_is(open_page: Open) -> None:
    page = open_page()
    link = page.locator("article").nth(1).locator(".val .thumbs a").nth(2)
    link.click()
    dialog = page.get_by_role("dialog", name="goldfish")
    assert dialog.locator("dd").all_text_contents() == [
        "n01443537", "1", "7 of val", "80", "val/ILSVRC2012_val_00000080.JPEG"
    ]  # fmt: skip
    shown, there = dialog.locator("img").bounding_box(), link.bounding_box()
    assert shown is not None
    assert there is not None
    assert shown["width"] > 2.5 * there["width"]
    shoot(page, "enlarged")


def test_enter_enlarges_arrows_go_on_and_escape_gives_the_focus_back(open_page: Open) -> None:
    page = open_page()
    first = page.locator(".thumbs a").first
    first.focus()
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("imagenet-subset locate twelve_cls.npz --split train --row")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    third = page.locator(".thumbs a").nth(2)
    name = third.locator("img").get_attribute("alt")
    expect(dialog.get_by_role("img", name=name, exact=True)).to_be_visible()
    expect(page).to_have_url(re.compile(f"#{third.get_attribute('id')}$"))
    page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(third).to_be_focused()
    expect(page).not_to_have_url(re.compile("train="))


def test_the_ends_are_ends_and_the_buttons_say_so(open_page: Open) -> None:
    page = open_page()
    page.locator(".thumbs a").first.click()
    before = page.get_by_role("button", name="Previous image")
    expect(before).to_be_disabled()
    page.keyboard.press("ArrowLeft")
    expect(page.get_by_role("dialog", name="tench")).to_be_visible()
    page.get_by_role("button", name="Next image").click()
    expect(before).to_be_enabled()
    page.get_by_role("button", name="Close").click()
    expect(page.locator(".thumbs a").nth(1)).to_be_focused()


def test_arrows_go_through_images_and_lines_of_them(open_page: Open) -> None:
    page = open_page()
    images = page.locator(".thumbs a")
    images.nth(2).focus()
    page.keyboard.press("ArrowRight")
    expect(images.nth(3)).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(images.nth(8 + 3)).to_be_focused()  # val, below train
    page.keyboard.press("ArrowDown")
    expect(images.nth(13 + 3)).to_be_focused()  # train of the next class
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("ArrowLeft")
    expect(images.nth(2)).to_be_focused()


def assert_focus_in_sight(page: Page, height: int) -> None:
    """What has the focus is neither below the search nor off a window of this height."""
    box = page.locator(":focus").bounding_box()
    tools = page.locator(".tools").bounding_box()
    assert box is not None
    assert tools is not None
    assert tools["y"] + tools["height"] <= box["y"] < height


def test_no_image_with_the_focus_is_below_the_search(open_page: Open) -> None:
    page = open_page("#class=11")
    page.locator("[id='class=11'] .thumbs a").first.focus()
    for _ in range(12):
        page.keyboard.press("ArrowUp")
        assert_focus_in_sight(page, 768)


@pytest.mark.parametrize("width", [320, 1366])
def test_no_class_link_with_the_focus_is_below_the_search(open_page: Open, width: int) -> None:
    page = open_page("#class=9", viewport={"width": width, "height": 600})
    page.locator("[id='class=9'] .thumbs a").first.focus()
    for _ in range(14):
        page.keyboard.press("Shift+Tab")
        assert_focus_in_sight(page, 600)


@pytest.mark.parametrize("height", [256, 500, 768])
def test_the_class_of_a_link_is_in_view_below_a_bar_of_any_height(
    open_page: Open, height: int
) -> None:
    page = open_page("#find=shark", viewport={"width": 320, "height": height})
    page.evaluate("location.hash = '#class=2'")
    heading = page.locator("[id='class=2'] h2")
    expect(heading).to_be_in_viewport(ratio=1)
    box, tools = heading.bounding_box(), page.locator(".tools").bounding_box()
    assert box is not None
    assert tools is not None
    assert tools["y"] + tools["height"] <= box["y"]
    shoot(page, f"class-at-320x{height}")


def test_tab_stops_at_the_controls_and_twice_in_each_class(open_page: Open) -> None:
    page = open_page()
    stops = []
    for _ in range(8):
        page.keyboard.press("Tab")
        stops.append(
            page.evaluate("(e => e.id || e.value || e.textContent)(document.activeElement)")
        )
    row = page.locator(".thumbs a").first.get_attribute("id")
    second = page.locator("[id='class=1'] .thumbs a").first.get_attribute("id")
    controls = ["Images per class", "How it was made", "q", "both"]
    assert stops == [*controls, "tench", row, "goldfish", second]


# Links


def test_a_link_to_a_class_shows_it_even_where_a_search_hides_it(open_page: Open) -> None:
    page = open_page("#class=9")
    expect(page.locator("[id='class=9'] h2")).to_be_in_viewport()
    page.get_by_role("searchbox").fill("tench")
    page.evaluate("location.hash = '#class=8'")
    expect(page.locator("[id='class=8'] h2")).to_be_in_viewport()
    expect(page.get_by_role("searchbox")).to_have_value("")


def test_a_link_to_an_image_opens_it_and_closing_leads_to_its_class(open_page: Open) -> None:
    page = open_page("#val=31")
    dialog = page.get_by_role("dialog")
    expect(dialog.locator("dd").nth(2)).to_have_text("31 of val")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("#class=6$"))
    expect(page.locator("[id='val=31']")).to_be_focused()
    expect(page.locator("[id='val=31']")).to_be_in_viewport()


def test_a_link_to_an_image_that_is_not_on_the_page_says_so(open_page: Open) -> None:
    page = open_page("#train=99999")
    expect(page.locator("#found")).to_have_text(
        "The file has no train row 99999: its rows are 0 to 239"
    )
    expect(page.locator("article:visible")).to_have_count(12)


def test_a_row_that_is_not_shown_has_a_command_until_something_else_is_done(
    open_page: Open,
) -> None:
    page = open_page()
    shown = page.locator(".thumbs a").evaluate_all("all => all.map(a => a.id)")
    row = next(row for row in range(240) if f"train={row}" not in shown)
    said = f"imagenet-subset locate twelve_cls.npz --split train --row {row}"
    for then in ("#class=3", "#val=1", "#find=shark", "#show=val"):
        page.evaluate(f"location.hash = '#train={row}'")
        expect(page.locator("#found")).to_contain_text(said)
        page.evaluate(f"location.hash = '{then}'")
        expect(page.locator("#found")).not_to_contain_text("locate")
    page.evaluate(f"location.hash = '#train={row}'")
    expect(page.locator("#found")).to_contain_text(said)
    shoot(page, "row-not-shown")
    page.locator(".thumbs a:visible").first.click()
    page.keyboard.press("Escape")
    expect(page.locator("#found")).not_to_contain_text("locate")


@pytest.mark.parametrize(
    ("fragment", "said"),
    [
        ("#train=", "#train= is no image: after = there has to be a row"),
        ("#val=x", "#val=x is no image: after = there has to be a row"),
        ("#class=99", "This page has no class 99: its labels are 0 to 11"),
        ("#class=x", "This page has no class x: its labels are 0 to 11"),
        ("#row=5", "This page has no #row=5; there are #class=0, #train=0"),
    ],
)
def test_an_address_that_names_nothing_says_what_there_is(
    open_page: Open, fragment: str, said: str
) -> None:
    page = open_page(fragment)
    expect(page.locator("#found")).to_contain_text(said)
    expect(page.locator("article:visible")).to_have_count(12)


def test_a_split_that_there_is_not_is_both(open_page: Open) -> None:
    page = open_page("#show=bogus")
    expect(page.get_by_role("radio", name="both")).to_be_checked()
    expect(page.locator("section:visible .thumbs")).to_have_count(24)


def test_a_link_brings_back_search_and_split(open_page: Open) -> None:
    page = open_page("#find=shark&show=val")
    expect(page.locator("article:visible")).to_have_count(2)
    expect(page.get_by_role("radio", name="val")).to_be_checked()
    expect(page.locator("section.train:visible")).to_have_count(0)


def test_back_closes_an_image_and_then_leaves_the_class(open_page: Open) -> None:
    page = open_page()
    page.get_by_role("searchbox").fill("shark")
    expect(page).to_have_url(re.compile("#find=shark$"))
    page.locator(".thumbs a:visible").nth(1).click()
    page.keyboard.press("ArrowRight")
    page.go_back()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page).to_have_url(re.compile("#find=shark$"))
    expect(page.locator("article:visible")).to_have_count(2)
    expect(page.locator(".thumbs a:visible").nth(2)).to_be_focused()
    page.go_forward()
    expect(page.get_by_role("dialog")).to_be_visible()


def test_back_after_escape_does_not_open_the_image_again(open_page: Open) -> None:
    page = open_page()
    page.locator("h2 a").nth(1).click()
    expect(page).to_have_url(re.compile("#class=1$"))
    page.locator("[id='class=1'] .thumbs a").first.click()
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile("#class=1$"))
    page.go_back()
    expect(page).not_to_have_url(re.compile("#"))
    expect(page.get_by_role("dialog")).to_be_hidden()


# The splits


def test_the_switch_shows_one_split_or_both(open_page: Open) -> None:
    page = open_page()
    for choice, splits in (("val", ["val"]), ("train", ["train"]), ("both", ["train", "val"])):
        page.get_by_role("radio", name=choice).check()
        for split in ("train", "val"):
            count = 12 if split in splits else 0
            expect(page.locator(f"section.{split}:visible")).to_have_count(count)
        last = page.locator(".thumbs a:visible").last
        last.click()
        expect(page.get_by_role("button", name="Next image")).to_be_disabled()
        page.keyboard.press("Escape")
        expect(last).to_be_focused()
    page.get_by_role("radio", name="both").focus()
    page.keyboard.press("ArrowLeft")
    expect(page).to_have_url(re.compile("#show=val$"))


# Looks


def test_a_phone_shows_a_whole_image_and_its_facts(open_page: Open) -> None:
    page = open_page(**PHONE)
    shoot(page, "phone")
    page.locator(".thumbs a").first.tap()
    dialog = page.get_by_role("dialog")
    for part in (dialog.locator("img"), dialog.locator("dl"), dialog.get_by_role("button").last):
        expect(part).to_be_in_viewport(ratio=1)
    shoot(page, "phone-enlarged")


def test_it_is_dark_where_the_system_is(open_page: Open) -> None:
    def brightness(page: Page) -> int:
        color = page.evaluate("getComputedStyle(document.body).backgroundColor")
        return sum(map(int, re.findall(r"\d+", color)[:3]))

    assert brightness(open_page(color_scheme="light")) > 3 * 230
    dark = open_page(color_scheme="dark")
    assert brightness(dark) < 3 * 40
    shoot(dark, "dark")
    dark.locator(".thumbs a").first.click()
    shoot(dark, "dark-enlarged")


def test_train_and_val_differ_by_shape_where_colours_are_forced(open_page: Open) -> None:
    page = open_page(forced_colors="active")
    page.get_by_text("Images per class").click()
    shoot(page, "forced-colors")
    patterns = [
        page.locator(f".bar i.{split}").first.evaluate("e => getComputedStyle(e).backgroundImage")
        for split in ("train", "val")
    ]
    assert patterns[0] == "none"
    assert patterns[1].startswith("repeating-linear-gradient")


def test_nothing_moves_where_motion_is_not_wanted(open_page: Open) -> None:
    for motion, animation in (("reduce", "none"), ("no-preference", "appear")):
        page = open_page(reduced_motion=motion)
        page.locator(".thumbs a").first.click()
        dialog = page.get_by_role("dialog")
        assert dialog.evaluate("e => getComputedStyle(e).animationName") == animation
        shown = page.locator(".thumbs img").first
        duration = shown.evaluate("e => getComputedStyle(e).transitionDuration")
        assert (duration == "0s") == (motion == "reduce")


def test_bars_of_both_splits_have_one_scale(open_page: Open) -> None:
    page = open_page()
    page.get_by_text("Images per class").click()
    boxes = [page.locator(f".bar i.{split}").first.bounding_box() for split in ("train", "val")]
    assert boxes[0] is not None
    assert boxes[1] is not None
    assert boxes[0]["width"] / boxes[1]["width"] == pytest.approx(20 / 5, rel=0.02)
    shoot(page, "bars")


def test_without_a_script_the_images_links_and_the_switch_are_there(open_page: Open) -> None:
    page = open_page(java_script_enabled=False)
    expect(page.get_by_role("searchbox")).to_have_count(0)
    expect(page.locator("article:visible")).to_have_count(12)
    expect(page.get_by_text("Keys:")).to_be_hidden()
    page.get_by_role("radio", name="val").check()
    expect(page.locator("section.train:visible")).to_have_count(0)
    link = page.locator("[id='class=3'] .val .thumbs a").nth(1)
    link.click()
    expect(page).to_have_url(re.compile(f"#{link.get_attribute('id')}$"))
    expect(link).to_be_in_viewport()
    shoot(page, "no-script")


def test_paper_has_all_facts_and_no_controls(open_page: Open, tmp_path: Path) -> None:
    page = open_page(color_scheme="dark")
    page.emulate_media(media="print")
    expect(page.locator(".tools")).to_be_hidden()
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.emulate_media()
    OUTPUT.mkdir(parents=True, exist_ok=True)
    pdf = page.pdf(path=OUTPUT / "preview-print.pdf", format="A4", print_background=True)
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 6
    expect(page.locator("details[open]")).to_have_count(0)  # opened for the paper alone


def test_paper_says_what_of_the_page_is_on_it(open_page: Open) -> None:
    page = open_page("#find=shark&show=val")
    expect(page.locator(".filter")).to_be_hidden()
    page.emulate_media(media="print")
    expect(page.locator(".filter")).to_be_visible()
    assert page.locator(".filter").inner_text() == (
        "Only images of val are shown. Only what the search for “shark” finds is shown: "
        "2 of 12 classes."
    )
    page = open_page()
    page.emulate_media(media="print")
    assert page.locator(".filter").inner_text().strip() == ""


def test_details_are_open_on_paper_and_then_as_they_were(open_page: Open) -> None:
    page = open_page()
    page.get_by_text("How it was made").click()
    page.evaluate(
        "addEventListener('beforeprint', () => {"
        " window.onPaper = document.querySelectorAll('details[open]').length })"
    )
    page.pdf()
    assert page.evaluate("window.onPaper") == 2
    expect(page.locator("details[open] summary")).to_have_text(["How it was made"])


# Sizes and strangers


def test_a_thousand_classes_are_below_15_mb_and_can_be_searched(
    open_page: Open, thousand: Path
) -> None:
    assert thousand.stat().st_size < 15_000_000
    page = open_page("#class=500", path=thousand)
    expect(page.locator("[id='class=500'] h2")).to_be_in_viewport()
    shoot(page, "thousand")
    page.get_by_role("searchbox").fill("terrier")
    expect(page.locator("#found")).to_have_text(re.compile(r"^\d\d of 1,000 classes$"))
    last = page.locator("article:not([hidden]) .thumbs a").last
    last.click()
    page.keyboard.press("Escape")
    expect(last).to_be_focused()


def test_only_what_is_in_view_is_drawn_of_a_thousand_classes(
    open_page: Open, thousand: Path
) -> None:
    page = open_page(path=thousand)
    skipped = (
        "[...document.querySelectorAll('article header')]"
        ".filter(e => !e.checkVisibility({contentVisibilityAuto: true})).length"
    )
    assert page.evaluate(skipped) > 900


def test_a_name_of_any_length_keeps_to_a_phone(open_page: Open, tmp_path: Path) -> None:
    npz = write_npz(tmp_path / "long_cls.npz", 2, (3, 3), side=64)
    (tmp_path / "long_cls_metadata.csv").write_text(
        "subset_label,original_id,WNID,human_label\n"
        f"0,1,n1,{'a name of very many words ' * 8}\n1,2,n2,{'W' * 300}\n"
    )
    write_page(open_subset(npz), tmp_path / "long.html")
    page = open_page(path=tmp_path / "long.html", **PHONE)
    page.get_by_text("Images per class").click()
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    shoot(page, "phone-long-names")
    page.locator(".thumbs a").last.click()
    assert page.get_by_role("dialog").evaluate("d => d.scrollWidth <= d.clientWidth")


@pytest.mark.parametrize(("side", "shown"), [(16, "pixelated"), (64, "pixelated"), (224, "auto")])
def test_few_pixels_are_shown_as_they_are(
    open_page: Open, tmp_path: Path, side: int, shown: str
) -> None:
    write_page(open_subset(write_npz(tmp_path / "few.npz", 2, (3, 3), side)), tmp_path / "f.html")
    page = open_page(path=tmp_path / "f.html")
    rendering = "e => getComputedStyle(e).imageRendering"
    assert page.locator(".thumbs img").first.evaluate(rendering) == shown
    if side == 16:
        shoot(page, "few-pixels")
    page.locator(".thumbs a").first.click()
    assert page.locator(".stage img").evaluate(rendering) == shown


def test_names_of_any_script_have_their_own_direction(open_page: Open, tmp_path: Path) -> None:
    npz = write_npz(tmp_path / "two_cls.npz", 2, (2, 2), side=64)
    (tmp_path / "two_cls_metadata.csv").write_text(
        "subset_label,original_id,WNID,human_label\n0,1,n1,سمكة (ذهبية)\n1,2,n2,tench (fish)\n",
        encoding="utf-8",
    )
    write_page(open_subset(npz), tmp_path / "two.html")
    page = open_page(path=tmp_path / "two.html")
    for place, direction in ((0, "rtl"), (1, "ltr")):
        card = page.locator("article").nth(place)
        assert card.locator("h2 a").evaluate(f"e => e.matches(':dir({direction})')")
        expect(card.locator("img").first).to_have_attribute("dir", "auto")  # so its alt has its own
    shoot(page, "right-to-left")


def test_names_from_a_file_are_shown_and_never_run(
    open_page: Open, tmp_path: Path, html: Path
) -> None:
    name = "<script>alert(1)</script><img src=x onerror=alert(2)>&amp;'\""
    npz = write_npz(tmp_path / "odd_cls.npz", 1, (2, 1), side=32)
    quoted = name.replace('"', '""')
    (tmp_path / "odd_cls_metadata.csv").write_text(
        f'subset_label,original_id,WNID,human_label\n0,1,"{quoted}","{quoted}"\n'
    )
    write_page(open_subset(npz), tmp_path / "odd.html")
    page = open_page(path=tmp_path / "odd.html")
    expect(page.locator("article h2")).to_have_text(name)
    page.locator(".thumbs a").first.click()
    expect(page.get_by_role("dialog").get_by_role("heading")).to_have_text(name)
    page.keyboard.press("Escape")
    page.get_by_role("searchbox").fill("<img src=x onerror=alert(3)> <b>")
    expect(page.locator("#nothing strong")).to_contain_text("<b>")
