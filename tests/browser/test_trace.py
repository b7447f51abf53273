"""The page of an episode: its views, keys, selection, find, live spans, size and safety."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser_kit import PHONE, Site, Visits, Wire, nodes, settle, violations
from made_episode import Made, long, short, text, tool_call, tool_result
from viewer_kit import HERE, python, viewing

expect = pytest.importorskip("playwright.sync_api").expect

MOST_NODES, PAGE_BYTES, TURNS = 1_500, 300_000, 3_332
VIEWS = ("chat", "timeline", "split", "raw")
SCRIPT = "<script>document.title='owned'</script><img src=x onerror=alert(1)>"
PNG = base64.b64encode(
    bytes.fromhex(
        "89504e470d0a1a0a0000000d49484452000000010000000108060000001f15c489"
        "0000000d49444154789c6360f8cf500f0003860180e5b6b0b10000000049454e44ae426082"
    )
).decode()


def hostile() -> Made:
    """An episode whose model and tools want to do harm, or are just very large."""
    made = Made(77, reward=0.0)
    link = "[here](javascript:alert(1)) ![x](https://example.com/x.png) **bold**"
    image = {"type": "blob", "mime_type": "image/png", "modality": "image"}
    drawn = {"type": "blob", "mime_type": "image/svg+xml", "modality": "image"}
    far = {"type": "uri", "uri": "javascript:alert(1)", "modality": "image"}
    asked = text("user", SCRIPT)
    asked["parts"] += [{**image, "content": PNG}, {**drawn, "content": PNG}, far]
    made.turn(asked, answer=tool_call("h1", "dump", {"html": SCRIPT}, link))
    big = "a line of the five megabytes\n" * 180_000 + "the last word"
    made.turn(
        tool_result("h1", big), answer=text("assistant", "\x1b[31m\u202egnp.exe \ud800")
    )
    return made


def threads() -> Made:
    """An episode whose history is rewritten, after a pause of a quarter of an hour."""
    made = Made(78)
    made.turn(text("user", "Begin."), answer=tool_call("t1", "look", {}))
    made.turn(tool_result("t1", "seen"), answer=tool_call("t2", "look", {}))
    made.at += 900 * 10**9
    made.turn(text("user", "Summary: seen."), answer=text("assistant", "ok"), kept=1)
    return made


def strays() -> Made:
    """An episode of which some spans have not been received."""
    made = short(79)
    made.lose("stray one")
    made.lose("stray two")
    return made


@pytest.fixture
def alone(tmp_path: Path) -> Iterator[Site]:
    """A viewer of a store of the test's own; tests ask for it before they visit it."""
    store = tmp_path / "traces.db"
    short().write(store)
    with viewing(store) as viewer:
        yield Site(viewer.url.rstrip("/"), store, {})


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A viewer of made episodes, one of them of ten thousand spans."""
    store = tmp_path_factory.mktemp("made") / "traces.db"
    ids = {
        "failed": short(1, reward=0.0).write(store, "got 'JM', expected 'JR'"),
        "passed": short(2).write(store),
        "long": long(TURNS).write(store),
        "hostile": hostile().write(store, SCRIPT),
        "rewritten": threads().write(store),
        "lost": strays().write(store),
    }
    with viewing(store) as viewer:
        yield Site(viewer.url.rstrip("/"), store, ids)


@pytest.fixture
def go(made: Site, visit: Visits) -> Any:
    """Open an episode: `go("failed", "view=split")`."""

    def open_page(name: str, query: str = "", **options: Any) -> Any:
        return visit(f"{made.url}/trace/{made.ids[name]}?{query}", **options)

    return open_page


def picked(page: Any) -> str:
    """Return the span that the URL says is picked."""
    found = re.search(r"span=([0-9a-f]{16})", page.url)
    return found[1] if found else ""


def picked_row(page: Any) -> Any:
    return page.locator(".wf-row[aria-selected=true]")


# What is shown ---------------------------------------------------------------------------


def test_the_head_says_what_came_of_it(go: Any) -> None:
    """Reward, its reason and its grader, the figures, and the trace id are at the top."""
    page = go("failed")
    head = page.locator(".trace-head")
    expect(head.locator(".reward").first).to_have_text("0.00")
    for words in (
        "got 'JM', expected 'JR'",
        "by code initials",
        "gpt-5",
        "price unknown",
    ):
        expect(head).to_contain_text(words)
    page.get_by_role("button", name="Download").click()
    for form in ("json", "otlp", "jaeger", "perfetto", "md", "html"):
        assert head.locator(f"a[href$='/{form}'][download]").count() == 1


def test_calls_show_what_is_new_and_all_on_demand(go: Any) -> None:
    """A call has only its new messages; one click shows all that the model was given."""
    page = go("failed")
    last = page.locator("article.call").nth(2)
    expect(last.locator(".message")).to_have_count(1)
    last.get_by_role("button", name="+2 new of 7").click()
    expect(last.locator(".history-all .message")).to_have_count(5)


def test_a_tool_call_and_its_result_are_one_block(go: Any) -> None:
    """Arguments are above the result; several lines are lines; a failure says so."""
    page = go("failed")
    first, second = (page.locator(".call-block").nth(n) for n in (0, 1))
    expect(first).to_contain_text('company="HUD"')
    expect(first.locator(".result")).to_have_text("Jay Ram")
    expect(second.locator(".args")).to_contain_text("command:\n  wc -l *\n  ls")
    expect(second).to_contain_text("failed")
    expect(second.get_by_role("group", name="error")).to_contain_text("the tool failed")
    expect(page.locator(".outline-row.failed")).to_contain_text("broken")


def test_what_the_grader_read_is_marked_and_one_click_away(go: Any) -> None:
    """From the reward to the span that was read; it is marked in chat and timeline."""
    page = go("failed")
    page.get_by_role("button", name="grader read 1 span").click()
    expect(page.locator("article.call.picked")).to_contain_text("read by grader")
    page.keyboard.press("2")
    expect(picked_row(page)).to_contain_text("read")


def test_a_history_that_was_rewritten_is_divided(go: Any) -> None:
    """Where a call does not go on from the one before, a divider says so."""
    page = go("rewritten")
    note = page.get_by_role("note")
    expect(note).to_contain_text("history rewritten here")
    assert note.count() == 1


def test_a_long_pause_is_squeezed(go: Any) -> None:
    """A quarter of an hour of nothing is narrow, until it is asked for."""
    page = go("rewritten", "view=timeline")
    widths = [bar.bounding_box()["width"] for bar in page.locator(".bar.model").all()]
    assert min(widths[:2]) > 30
    expect(page.locator(".pause")).to_have_attribute("title", re.compile("15m"))
    page.get_by_role("button", name="idle time").click()
    widths = [bar.bounding_box()["width"] for bar in page.locator(".bar.model").all()]
    assert max(widths[:2]) < 10
    assert min(widths) >= 2


def test_an_error_is_first_class(shop: Site, visit: Visits) -> None:
    """What ended the episode is above everything, with its traceback."""
    page = visit(f"{shop.url}/trace/{shop.ids['nothing']}")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("RuntimeError")
    alert.get_by_text("Traceback").first.click()
    expect(alert).to_contain_text("Traceback (most recent call last)")
    expect(page.locator(".why")).to_contain_text("not scored")


def test_verdicts_have_a_history(shop: Site, visit: Visits) -> None:
    """A later verdict counts; the one before it is there, and said to be superseded."""
    page = visit(f"{shop.url}/trace/{shop.ids['rubbish']}")
    expect(page.locator(".trace-title .reward")).to_have_text("0.50")
    page.get_by_role("button", name="2 verdicts").click()
    rows = page.locator(".verdicts tbody tr")
    expect(rows.first).to_contain_text("superseded")
    expect(rows.last).to_contain_text("human ann")
    assert violations(page) == []


def test_spans_without_their_parent_are_under_a_row_of_their_own(go: Any) -> None:
    """Whatever lacks its parent is there, and said to lack it; it can be picked, too."""
    page = go("lost", "view=timeline")
    expect(page.locator(".wf-row", has_text="2 without their parent")).to_be_visible()
    page.locator(".wf-row", has_text="stray one").click()
    expect(page.locator(".detail")).to_contain_text("stray one")


def test_content_that_is_not_recorded_is_said_so(alone: Site, visit: Visits) -> None:
    """Without messages there are the calls, and how to have messages the next time."""
    steps = [str(HERE / "recording.py"), "store"]
    with python(alone.store, *steps, HUDTRACE_CONTENT="none") as running:
        out, err = running.communicate(timeout=100)
    assert running.returncode == 0, err
    page = visit(f"{alone.url}/trace/{json.loads(out)['bread']}")
    expect(page.get_by_role("note")).to_contain_text("HUDTRACE_CONTENT=full")
    expect(page.locator(".call-line").first).to_be_visible()


# Moving about -----------------------------------------------------------------------------


def test_views_are_one_key_away_and_back_returns(go: Any) -> None:
    """1 to 4 change the view, in the URL; Back and Forward go through them."""
    page = go("failed")
    for key, view in zip("234", VIEWS[1:], strict=True):
        page.keyboard.press(key)
        expect(page.locator(f".trace[data-view={view}]")).to_be_visible()
    page.go_back()
    expect(page.locator(".trace[data-view=split]")).to_be_visible()
    page.go_back()
    expect(page.locator(".trace[data-view=timeline]")).to_be_visible()
    page.go_forward()
    expect(page.locator(".trace[data-view=split]")).to_be_visible()
    page.reload()
    expect(page.get_by_role("tab", name="Split")).to_have_attribute(
        "aria-selected", "true"
    )


def test_neighbours_are_those_of_the_list(go: Any, made: Site) -> None:
    """The list's filter stays in the URL; ] and [ go through what it has, u back to it."""
    page = go("failed", "q=tokens<10k&sort=-turns&view=split")
    steps = page.get_by_role("navigation", name="Episodes of the list")
    expect(steps).to_contain_text("of 5")
    place = steps.locator(".num").inner_text()
    there, back = ("[", "]") if place == "5 of 5" else ("]", "[")
    page.keyboard.press(there)
    expect(steps.locator(".num")).to_have_text(re.compile(f"^(?!{place}).* of 5"))
    expect(page.locator(".trace[data-view=split]")).to_be_visible()
    assert "q=tokens" in page.url
    page.keyboard.press(back)
    expect(steps.locator(".num")).to_have_text(place)
    assert made.ids["failed"] in page.url
    page.keyboard.press("u")
    page.wait_for_url(re.compile(r"/\?q=tokens.*sort=-turns"))


def test_split_keeps_both_halves_together(go: Any) -> None:
    """A row goes to its message, a message to its row, also far down a long episode."""
    page = go("long", "view=split")
    for _ in range(5):
        page.keyboard.press("j")
    expect(page.locator(".chat .picked").first).to_be_in_viewport()
    page.get_by_role("treegrid").focus()
    page.keyboard.press("End")
    expect(page.locator(".chat .verdict.picked")).to_be_in_viewport()
    block = page.locator(".chat .call-block").last
    block.locator(".call-name").click()
    expect(picked_row(page)).to_be_in_viewport()
    assert picked(page) == block.get_attribute("data-span")


def test_turns_errors_and_tools_are_walked_through(go: Any) -> None:
    """The keys n and p go by turns, e by errors, t by calls of the same tool."""
    page = go("long", "view=split")
    for _ in range(3):
        page.keyboard.press("n")
    expect(page.locator(".stepper")).to_contain_text("turn 3/3,333")
    page.keyboard.press("p")
    expect(page.locator(".stepper")).to_contain_text("turn 2/3,333")
    page.keyboard.press("e")
    expect(page.locator(".stepper")).to_contain_text("turn 50/3,333")
    expect(page.locator(".chat .call-block.failed.picked")).to_be_in_viewport()
    page.keyboard.press("t")
    expect(page.locator(".stepper")).to_contain_text("turn 100/3,333")
    page.keyboard.press("E")
    expect(page.locator(".stepper")).to_contain_text("turn 50/3,333")


def test_the_tree_folds_and_the_axis_zooms(go: Any) -> None:
    """Arrows fold and unfold; z fits the span, w a s d move, Z shows everything."""
    page = go("failed", "view=timeline")
    rows = page.locator(".wf-rows .wf-row")
    count = rows.count()
    page.keyboard.press("j")
    page.keyboard.press("ArrowLeft")
    expect(rows).to_have_count(1)
    expect(rows.first).to_have_attribute("aria-expanded", "false")
    page.keyboard.press("ArrowRight")
    expect(rows).to_have_count(count)
    page.keyboard.press("n")
    page.keyboard.press("z")
    expect(picked_row(page).locator(".bar")).to_be_in_viewport()
    track = picked_row(page).locator(".wf-track").bounding_box()
    assert picked_row(page).locator(".bar").bounding_box()["width"] > track["width"] / 2
    before = page.url
    for key in "wasd":
        page.keyboard.press(key)
        assert page.url != before
        before = page.url
    page.keyboard.press("Z")
    assert "from=" not in page.url


def test_the_minimap_zooms_by_drag(go: Any) -> None:
    """A drag across the minimap is what the axis then shows."""
    page = go("long", "view=timeline")
    box = page.locator(".minimap").bounding_box()
    page.mouse.move(box["x"] + box["width"] * 0.2, box["y"] + 10)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.3, box["y"] + 10, steps=4)
    page.mouse.up()
    page.wait_for_url(re.compile("from=.*to="))
    page.locator(".minimap").dblclick()
    page.wait_for_url(lambda url: "from=" not in url)


def test_chips_narrow_the_timeline(go: Any) -> None:
    """Errors only: what failed, with what it is in, out of ten thousand."""
    page = go("long", "view=timeline")
    page.get_by_role("button", name="errors", exact=True).click()
    grid = page.get_by_role("treegrid")
    expect(grid).to_have_attribute("aria-rowcount", str(1 + 2 + 66 * 2))
    page.get_by_role("button", name="turns axis").click()
    page.wait_for_url(re.compile("show=errors.*axis=turns"))


def test_the_detail_has_everything_about_a_span(go: Any) -> None:
    """The picked row's attributes are there, can be searched, and its JSON unfolded."""
    page = go("failed", "view=timeline")
    page.locator(".wf-row", has_text="broken").click()
    detail = page.get_by_role("complementary", name="The picked span")
    expect(detail).to_contain_text("the tool failed")
    detail.get_by_role("searchbox").fill("arguments")
    expect(detail.locator(".pairs").first).to_contain_text("gen_ai.tool.call.arguments")
    expect(detail.locator(".pairs").first).not_to_contain_text("hud.phase")
    page.keyboard.press("Escape")


def test_find_counts_in_the_whole_episode(go: Any) -> None:
    """/ finds what is not on the page yet, says how often, and goes from one to the next."""
    page = go("long")
    page.keyboard.press("/")
    page.keyboard.type("needle")
    status = page.locator(".find-bar [role=status]")
    expect(status).to_have_text("1 of 34")
    page.keyboard.press("Enter")
    expect(status).to_have_text("2 of 34")
    expect(page.locator(".block", has_text="result 107 needle")).to_be_in_viewport()
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
    expect(status).to_have_text("34 of 34")
    expect(page.locator(".block", has_text="result 3307 needle")).to_be_in_viewport()
    assert "find=needle" in page.url
    assert nodes(page) < MOST_NODES
    page.keyboard.press("Escape")
    assert "find=" not in page.url


def test_a_message_has_an_address(go: Any) -> None:
    """#m5002 opens the episode at that message, in the middle of a long one."""
    page = go("long", "view=chat#m5002")
    expect(page.locator("#m5002")).to_be_in_viewport()
    page.goto(page.url.replace("#m5002", "#m2"))
    expect(page.locator("#m2")).to_be_in_viewport()


def test_going_back_is_to_the_same_place(go: Any, made: Site) -> None:
    """Whoever leaves a long conversation finds it again where it was."""
    page = go("long")
    page.locator(".outline").evaluate("(e) => { e.scrollTop = 24 * 1500 }")
    page.locator(".outline-row", has_text="1502").click()
    expect(page.locator("article.call", has_text="turn 1,502")).to_be_in_viewport()
    page.keyboard.press("Escape")
    page.wait_for_url(lambda url: "span=" not in url)
    page.locator(".chat").hover()
    page.mouse.wheel(0, 2_000)
    page.wait_for_function("() => history.state?.chat > 1502")
    there = page.evaluate("() => history.state.chat")
    page.get_by_role("link", name="Setup").click()
    page.wait_for_url("**/setup")
    page.go_back()
    expect(page.locator(f".block[data-index='{there}']")).to_be_in_viewport()


def test_raw_unfolds_and_searches(go: Any) -> None:
    """Spans are fetched as they are unfolded; a search unfolds what has the words."""
    page = go("failed", "view=raw")
    page.locator(".raw-line", has_text="execute_tool broken").get_by_role(
        "button"
    ).click()
    expect(page.locator(".raw-line", has_text="attributes")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type("the tool failed")
    expect(page.locator(".raw-line", has_text="the tool failed")).to_be_visible()


def test_the_trace_id_and_texts_can_be_copied(go: Any, made: Site) -> None:
    """Y copies the trace id; a block's button copies the call with its result."""
    page = go("failed")
    page.keyboard.press("Y")
    read = "() => navigator.clipboard.readText()"
    page.wait_for_function(f"async () => (await ({read})()) === '{made.ids['failed']}'")
    page.locator(".call-block .copy").first.click()
    page.wait_for_function(f"async () => (await ({read})()).includes('Jay Ram')")


def test_two_marked_episodes_are_compared(go: Any, made: Site) -> None:
    """Key x on one, c on another: their comparison."""
    page = go("failed")
    page.keyboard.press("x")
    page.goto(f"{made.url}/trace/{made.ids['passed']}")
    settle(page)
    page.keyboard.press("c")
    page.wait_for_url(f"**/diff/{made.ids['failed']}...{made.ids['passed']}")


def test_compare_offers_episodes_that_are_alike(go: Any, made: Site) -> None:
    """Compare lists the others of the scenario; Escape puts the list away."""
    page = go("failed")
    page.get_by_role("button", name="Compare").click()
    expect(page.locator(".episode-pick li")).not_to_have_count(0)
    page.keyboard.press("Escape")
    expect(page.locator(".episode-pick")).to_have_count(0)
    page.get_by_role("button", name="Compare").click()
    page.locator(".episode-pick li button").first.click()
    page.wait_for_url(f"**/diff/{made.ids['failed']}...*")


def test_scrolling_up_does_not_jump(go: Any) -> None:
    """Blocks that come in above the view, higher than was thought, do not move it."""
    page = go("long", "view=chat#m5002")
    expect(page.locator("#m5002")).to_be_in_viewport()
    where = """() => {
        const box = document.querySelector('.chat').getBoundingClientRect();
        const all = [...document.querySelectorAll('.chat article.call')];
        const seen = all.find((e) => e.getBoundingClientRect().top > box.top);
        return [seen.dataset.span, seen.getBoundingClientRect().top]; }"""
    page.locator(".chat").hover()
    for _ in range(12):
        span, before = page.evaluate(where)
        page.mouse.wheel(0, -300)
        page.wait_for_timeout(150)
        after = page.locator(f"article[data-span='{span}']").bounding_box()
        assert after is None or abs(after["y"] - before - 300) < 40


# Size ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", VIEWS)
def test_ten_thousand_spans_are_few_nodes_and_bytes(
    made: Site, visit: Visits, view: str
) -> None:
    """Every view of 10,000 spans has under 1,500 nodes and 300 KB on the wire in all."""
    page = visit.tab()
    wire = Wire(page)
    page.goto(f"{made.url}/trace/{made.ids['long']}?view={view}")
    settle(page)
    expect(page.locator(".call, .wf-row .bar, .raw-line").first).to_be_visible()
    assert wire.bytes < PAGE_BYTES, wire.bytes
    assert nodes(page) < MOST_NODES
    for key in ("j", "j", "End", "k", "Home"):
        page.keyboard.press(key)
        settle(page)
        assert nodes(page) < MOST_NODES
    assert wire.bytes < PAGE_BYTES, wire.bytes


def test_five_megabytes_stay_cut_until_they_are_asked_for(
    made: Site, visit: Visits
) -> None:
    """A tool's 5 MB come as 20 KB; all of it is there on demand, and the page goes on."""
    page = visit.tab()
    wire = Wire(page)
    page.goto(f"{made.url}/trace/{made.ids['hostile']}")
    settle(page)
    block = page.locator(".call-block").first
    expect(block).to_contain_text("a line of the five megabytes")
    assert wire.bytes < PAGE_BYTES
    block.get_by_role("button", name="Show more").click()
    block.get_by_role("button", name=re.compile("Show all 5,220,013")).click()
    expect(block.get_by_role("button", name=re.compile("Show all"))).to_have_count(0)
    assert block.evaluate("(e) => e.textContent.length") > 5_000_000
    page.keyboard.press("2")
    expect(page.locator(".wf-row .bar").first).to_be_visible()


def test_find_looks_in_what_is_cut_off_when_asked_to(go: Any) -> None:
    """A text of which the beginning is there is said to be one, and then looked in."""
    page = go("hostile", "find=the last word")
    found = page.locator(".find-bar")
    expect(found.get_by_role("status")).to_have_text("not found")
    found.get_by_role("button", name="look in the rest of a long text").click()
    expect(found.get_by_role("status")).to_have_text("1 of 1")
    expect(found.get_by_role("button", name=re.compile("look in"))).to_have_count(0)


# Harm ------------------------------------------------------------------------------------------


def test_what_a_model_wrote_is_only_text(go: Any) -> None:
    """No script, link or image of a model's works by itself; controls can be seen."""
    page = go("hostile")
    expect(page.locator(".message.user")).to_contain_text("<script>document.title")
    assert (
        page.locator("main script, main img, main a[href^='javascript:' i]").count()
        == 0
    )
    page.get_by_role("button", name="Markdown").first.click()
    expect(page.locator(".markdown strong")).to_have_text("bold")
    assert page.locator("main img, main a[href^='javascript:' i]").count() == 0
    expect(page.locator("article.call").last).to_contain_text("\\x1b[31m\\u202egnp.exe")
    assert "owned" not in page.title()
    assert (
        page.locator(".blob").nth(1).get_by_role("button", name="Show image").count()
        == 0
    )


def test_images_show_only_when_asked_for(go: Any) -> None:
    """A picture is a chip with its kind and size, and a picture after a click."""
    page = go("hostile")
    chip = page.locator(".blob").first
    expect(chip).to_contain_text("image/png")
    chip.get_by_role("button", name="Show image").click()
    image = chip.get_by_role("img")
    expect(image).to_be_visible()
    page.wait_for_function(
        "() => document.querySelector('.blob img').naturalWidth === 1"
    )


# Live ------------------------------------------------------------------------------------------


def test_a_page_fills_while_the_eval_runs(alone: Site, visit: Visits) -> None:
    """Spans of another process come by themselves, from the first to the reward."""
    with python(alone.store, str(HERE / "recording.py"), "steps") as running:
        trace = json.loads(running.stdout.readline())["trace"]
        page = visit(f"{alone.url}/trace/{trace}?view=split")
        expect(page.locator(".trace-title")).to_contain_text("running")
        expect(page.locator(".bar.running").first).to_be_visible()
        step(running)
        expect(page.locator(".wf-row", has_text="look")).to_be_visible()
        step(running)
        expect(page.locator(".trace-title .reward")).to_have_text("1.00")
        expect(page.locator(".bar.running")).to_have_count(0)
        expect(page.locator(".chat .verdict")).to_be_visible()


def test_f_follows_what_happens(alone: Site, visit: Visits) -> None:
    """Whoever follows has the newest span picked, and its message in view."""
    with python(alone.store, str(HERE / "recording.py"), "steps") as running:
        trace = json.loads(running.stdout.readline())["trace"]
        page = visit(f"{alone.url}/trace/{trace}?view=split")
        expect(page.get_by_role("button", name="Follow")).to_be_visible()
        page.keyboard.press("f")
        step(running)
        expect(picked_row(page)).to_contain_text("look")
        expect(page.locator(".chat .call-block.picked")).to_be_in_viewport()


def test_an_unknown_trace_is_waited_for(alone: Site, visit: Visits) -> None:
    """A trace that nobody has seen is no error: it appears as soon as it is written."""
    episode = short(5)
    page = visit(f"{alone.url}/trace/{episode.trace}")
    expect(page.locator(".empty")).to_contain_text("Waiting for spans")
    assert violations(page) == []
    episode.write(alone.store)
    expect(page.locator("article.call").first).to_be_visible()


def test_a_killed_eval_is_interrupted(alone: Site, visit: Visits) -> None:
    """What a process that was killed left open says so, without a reload."""
    with python(alone.store, str(HERE / "recording.py"), "steps") as running:
        trace = json.loads(running.stdout.readline())["trace"]
        page = visit(f"{alone.url}/trace/{trace}?view=timeline")
        expect(page.locator(".bar.running").first).to_be_visible()
        running.kill()
    expect(page.locator(".bar.interrupted").first).to_be_visible(timeout=40_000)
    expect(page.locator(".trace-title")).to_contain_text("interrupted")


def step(running: Any) -> None:
    """Let the eval go on."""
    running.stdin.write("\n")
    running.stdin.flush()


# For everybody -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_no_view_has_barriers(go: Any, view: str, dark: bool) -> None:
    """There is nothing that axe finds in any view, in both themes, with a span picked."""
    page = go("failed", f"view={view}", dark=dark)
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.wait_for_timeout(200)
    settle(page)
    assert violations(page) == []


@pytest.mark.parametrize("name", ["long", "hostile"])
def test_large_and_hostile_episodes_have_no_barriers(go: Any, name: str) -> None:
    """There is nothing that axe finds in a windowed conversation, nor in one full of odd parts."""
    assert violations(go(name, "view=split")) == []


def test_a_phone_shows_the_chat_without_scrolling_sideways(go: Any) -> None:
    """Nothing is wider than a phone, and the views are there."""
    page = go("failed", size=PHONE)
    for key in "123":
        page.keyboard.press(key)
        page.wait_for_timeout(100)
        wide = "() => document.documentElement.scrollWidth > innerWidth"
        assert not page.evaluate(wide)
    assert violations(page) == []


def test_paper_has_the_conversation_and_nothing_else(go: Any) -> None:
    """Printed, there are the head and all messages, unfolded, without the controls."""
    page = go("failed")
    page.emulate_media(media="print")
    expect(page.locator(".trace-head")).to_be_visible()
    expect(page.locator("article.call").last).to_be_visible()
    for gone in (".top", ".outline", ".trace-bar"):
        expect(page.locator(gone)).to_be_hidden()
    assert len(page.pdf()) > 5_000


def test_keys_are_in_the_help(go: Any) -> None:
    """? lists the keys of the page."""
    page = go("failed", "view=split")
    page.keyboard.press("?")
    help_ = page.get_by_role("dialog")
    for what in ("next turn", "next error", "zoom to the span", "view: raw"):
        expect(help_).to_contain_text(what)
