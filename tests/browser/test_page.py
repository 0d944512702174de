# SPDX-License-Identifier: Apache-2.0
"""The web page in a real browser, against real services and real machines.

One cluster is created through the page's form, watched in two windows while it comes up, looked at
in every way, and deleted through the page at the end. Tests of this file run in order.
"""

import contextlib
import functools
import pathlib
import urllib.parse

import pytest
from relay import Relay

from support import wait_for

TEMPLATE = "web"
SIZE = 3
NAME = "browser-test"
SLOW = 600
RUNNING = ".task[data-state=running]"
ESCAPE = "\ue00c"
TAB = "\ue004"

CONTRAST = (pathlib.Path(__file__).parent / "contrast.js").read_text(encoding="utf-8")
TASKS = ("return [...document.querySelectorAll('.task')]"
         ".map((e) => [e.dataset.task, e.dataset.state])")
NODES = ("return [...document.querySelectorAll('#nodes .node')].map((e) =>"
         " [e.querySelector('.node-name').textContent,"
         "  e.querySelector('.node-address').textContent,"
         "  e.querySelectorAll('.task[data-state=complete]').length])")


class Made:
    """The cluster under test and the two windows that watch it."""

    def __init__(self, page, lister):
        self.page = page
        self.lister = lister
        self.id = None


@pytest.fixture(scope="module")
def new_browser(new_browser, stack, ui_url):
    """Browsers of somebody who has signed in."""
    def make(**options):
        opened = new_browser(**options)
        opened.sign_in(ui_url, stack.token())
        return opened

    return make


@pytest.fixture(scope="module")
def made(ui_url, new_browser):
    page = new_browser()
    lister = new_browser()
    for window in (page, lister):
        window.open(f"{ui_url}/")
        window.wait("#link-state[data-state=live]")
        window.script("window.neverReloaded = true")
    return Made(page, lister)


def open_form(page):
    page.until(lambda: next((b for b in page.find("#new-cluster, #empty button") if b.visible),
                            None), "a button to create a cluster").click()
    page.wait("#new-name")


def choose(page, template):
    page.script("const s = document.getElementById('new-template'); s.value = arguments[0];"
                "s.dispatchEvent(new Event('change'))", template)


def fill_form(page, name, size):
    choose(page, TEMPLATE)
    assert page.script("return document.getElementById('new-template').value") == TEMPLATE
    page.find("#new-name")[0].type(name)
    page.find("#new-size")[0].type(str(size))


def row(made):
    return f"#clusters .row[data-id='{made.id}']"


def assert_fits(window):
    wide = window.script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide[0] <= wide[1], "the page scrolls sideways"


def test_refusal_shows_the_servers_words_as_text(made):
    page = made.page
    open_form(page)
    fill_form(page, "<img src=x onerror=boom()>", SIZE)
    page.find(".modal button[type=submit]")[0].click()
    problem = page.wait(".form .callout")
    assert "name" in problem.text.lower()
    assert page.count("img") == 0
    page.press(ESCAPE)
    page.until(lambda: page.count("dialog") == 0, "the form to close")


def test_form_previews_the_layout(made):
    page = made.page
    open_form(page)
    fill_form(page, NAME, SIZE)
    # each key typed asks anew: the preview of the last one counts
    page.until(lambda: sum(int(text.split()[0]) for text in page.texts(".preview-count")) == SIZE,
               "the preview of the wanted size")
    page.press(ESCAPE)


def test_form_shows_what_a_template_inherits(made, stack):
    """Its limits and services come from what it extends and includes, or else nowhere."""
    admin, page = stack.api, made.page
    part = {"name": "form-part", "immutable": False, "defaults": {"services": ["base"]}}
    parent = {"name": "form-parent", "defaults": {"services": ["web"], "provider": "sandbox"},
              "constraints": {"size": {"min": 2, "max": 5}}}
    child = {"name": "form-child", "defaults": {"services": []}, "extends": {"name": "form-parent"},
             "includes": [{"name": "form-part"}]}
    broken = {**child, "name": "form-broken", "extends": {"name": "form-nowhere"}}
    try:
        assert admin.put("/v2/partialtemplates/form-part", part).ok
        for document in (parent, child, broken):
            answer = admin.put(f"/v2/clustertemplates/{document['name']}", document)
            assert answer.ok, answer
        open_form(page)
        choose(page, "form-broken")
        page.until(lambda: "form-nowhere" in (page.text(".preview") or ""), "why it is refused")
        assert page.text("#new-size-hint") == ""
        choose(page, "form-child")
        page.until(lambda: page.text("#new-size-hint") == "2 to 5", "the limits of its parent")
        assert page.text("#new-template-hint") == "web, base"
        page.press(ESCAPE)
        page.until(lambda: page.count("dialog") == 0, "the form to close")
    finally:
        for name in ("form-broken", "form-child", "form-parent"):
            admin.delete(f"/v2/clustertemplates/{name}")
        admin.delete("/v2/partialtemplates/form-part")


@pytest.mark.timeout(SLOW + 60)
def test_cluster_becomes_active_live(made):
    page = made.page
    open_form(page)
    fill_form(page, NAME, SIZE)
    page.find(".modal button[type=submit]")[0].click()
    page.until(lambda: "#/clusters/" in page.url, "the new cluster's page")
    made.id = page.url.rsplit("/", 1)[1]
    assert page.until(lambda: page.text("h1") == NAME, "the cluster's name")
    page.until(lambda: page.script("return document.activeElement.textContent") == NAME,
               "the focus on the new page's heading")
    page.wait("#status[data-status=pending]")
    page.until(lambda: page.count("#nodes .node") == SIZE, "the nodes")
    page.until(lambda: page.count(RUNNING) > 0, "a running task")
    made.lister.until(lambda: made.lister.text(f"{row(made)} .pill") == "pending",
                      "the list to show the new cluster")
    page.until(lambda: page.count("#status[data-status=active]") == 1, "active", SLOW)
    assert page.script("return window.neverReloaded") is True
    assert page.title.startswith(f"{NAME} · active")


def test_nodes_and_steps_are_done(made):
    page = made.page
    page.until(lambda: page.text("#doing") == "Create done", "the end of the create")
    tasks = page.script(TASKS)
    assert tasks and all(state == "complete" for _, state in tasks), tasks
    for name, address, done in page.script(NODES):
        assert name and address.count(".") == 3 and done >= 3, (name, address, done)
    bar = page.find(".overall .bar")[0]
    assert bar.attribute("aria-valuenow") == "100"
    assert any("is active" in text for text in page.texts("#feed li"))


def test_list_saw_it_without_reload(made):
    lister = made.lister
    lister.until(lambda: lister.text(f"{row(made)} .pill") == "active", "active in the list")
    assert lister.script("return window.neverReloaded") is True
    assert lister.text(f"{row(made)} .c-nodes").split()[-1] == str(SIZE)


def test_nothing_was_polled(made):
    calls = made.page.script(
        "return performance.getEntriesByType('resource').map((e) => new URL(e.name).pathname)")
    assert calls.count(f"/api/v2/clusters/{made.id}/snapshot") <= 1, calls
    listed = made.lister.script(
        "return performance.getEntriesByType('resource').map((e) => new URL(e.name).pathname)")
    assert listed.count("/api/v2/clusters") <= 3, listed


def test_a_step_shows_its_log(made):
    page = made.page
    button = next(b for b in page.find(".task") if b.text.startswith("install"))
    button.click()
    page.wait("dialog.sheet")
    page.until(lambda: page.text(".log-note") == "End of the log", "the log's end")
    assert len(page.text(".log")) > 20
    assert "done" in page.text(".log-bar .pill")
    page.press(ESCAPE)
    page.until(lambda: page.count("dialog") == 0, "the log to close")
    page.until(lambda: page.script("return document.activeElement.dataset.task") == button.attribute("data-task"),
               "the focus to return to the task")


def test_a_late_window_tells_the_same_story(made, ui_url, new_browser):
    late = new_browser()
    late.open(f"{ui_url}/#/clusters/{made.id}")
    late.until(lambda: late.script(NODES) == made.page.script(NODES), "the same nodes")
    assert late.text("#status") == "active"
    late.until(lambda: late.texts("#feed li") == made.page.texts("#feed li"), "the same news")


def test_a_first_load_takes_few_requests(made, ui_url, new_browser):
    """Two rounds: the page, then what it names; data comes after."""
    page = new_browser()
    page.open(f"{ui_url}/")
    page.wait("#link-state[data-state=live]")
    asked = page.script("return performance.getEntriesByType('resource')"
                        ".map((e) => [new URL(e.name).pathname, e.transferSize])")
    files = [(path, size) for path, size in asked if not path.startswith("/api/")]
    assert len({path for path, _ in files}) <= 6, files
    assert sum(size for _, size in files) < 60_000, files


def test_eight_windows_have_one_stream_and_room_for_more(made, stack, ui_url, new_browser):
    streams = functools.partial(stack.metric, "gateway", "loom_gateway_exchanges")
    wait_for(lambda: streams() == 2, what="those of the windows that stay")
    window = new_browser()
    handles = []
    for number in range(8):
        if number:
            window.new_window()
        handles.append(window.handle)
        window.open(f"{ui_url}/" if number == 4 else f"{ui_url}/#/clusters/{made.id}")
        window.wait("#link-state[data-state=live]")
        window.wait(row(made) if number == 4 else "#nodes .node")
    wait_for(lambda: streams() == 3, what="one stream")
    assert stack.api.put(f"/v2/clusters/{made.id}/labels", {"labels": {"seen": "by-all"}}).status == 200
    for handle in handles:
        window.switch(handle)
        window.until(lambda: "seen=by-all" in window.text("main"), "the label")
    stack.api.put(f"/v2/clusters/{made.id}/labels", {"labels": {"seen": None}})
    window.until(lambda: "seen=by-all" not in window.text(".facts"), "the label to go")


@pytest.mark.parametrize("width,height,dark", [(390, 844, False), (360, 740, True)])
def test_phone(made, ui_url, new_browser, width, height, dark):
    phone = new_browser(width=width, height=height, dark=dark)
    phone.open(f"{ui_url}/")
    phone.wait(row(made))
    assert_fits(phone)
    assert phone.text(f"{row(made)} .pill") == "active"
    open_form(phone)
    assert_fits(phone)
    phone.press(ESCAPE)
    phone.find(f"{row(made)} .row-link")[0].click()
    phone.wait("#status[data-status=active]")
    phone.until(lambda: phone.script(NODES) == made.page.script(NODES), "the same nodes")
    assert_fits(phone)
    phone.find(".task")[0].click()
    phone.wait("dialog.sheet")
    assert_fits(phone)


def test_light_and_dark(made, ui_url, new_browser):
    colours = set()
    for dark in (False, True):
        window = new_browser(dark=dark)
        window.open(f"{ui_url}/")
        window.wait(row(made))
        colours.add(window.script(
            "return getComputedStyle(document.documentElement).backgroundColor"))
        assert window.script(CONTRAST) == []
        window.open(f"{ui_url}/#/clusters/{made.id}")
        window.wait(".task")
        assert window.script(CONTRAST) == []
        window.find(".task")[0].click()
        window.wait("dialog.sheet .pill")
        assert window.script(CONTRAST) == []
    assert len(colours) == 2


def test_reduced_motion_stops_all_motion(made, ui_url, new_browser):
    still = new_browser(reduced_motion=True)
    still.open(f"{ui_url}/#/clusters/{made.id}")
    still.wait("#status[data-status=active]")
    assert still.script("return document.getAnimations().length") == 0


def test_keyboard_alone_is_enough(made, ui_url, new_browser):
    window = new_browser()
    window.open(f"{ui_url}/")
    window.wait(row(made))
    window.press(TAB)
    assert window.script("return document.activeElement.id") == "skip"
    for _ in range(40):
        window.press(TAB)
        if window.script("return document.activeElement.closest('.row')?.dataset.id") == made.id:
            break
    window.press("\ue007")
    window.wait("#status[data-status=active]")
    window.until(lambda: window.script("return document.activeElement.textContent") == NAME,
                 "the focus on the heading")


def test_connection_loss_is_shown_and_mended(made, ui_url, new_browser):
    where = urllib.parse.urlsplit(ui_url)
    relay = Relay(where.hostname, where.port)
    try:
        window = new_browser()
        window.open(f"{relay.url}/#/clusters/{made.id}")
        window.until(lambda: window.script(NODES) == made.page.script(NODES), "the nodes")
        window.until(lambda: window.texts("#feed li") == made.page.texts("#feed li"), "the news")
        feed = window.texts("#feed li")
        relay.cut()
        window.wait("#link-state[data-state=reconnecting]")
        assert window.text("#link-state") == "Reconnecting"
        assert window.texts("#feed li") == feed, "what was known stays on the page"
        relay.mend()
        window.wait("#link-state[data-state=live]")
        assert window.texts("#feed li") == feed
        window.open("about:blank")
    finally:
        relay.close()


def test_unknown_cluster_is_explained(ui_url, new_browser):
    window = new_browser()
    window.open(f"{ui_url}/#/clusters/99999999")
    window.until(lambda: window.text("h1") == "There is no such cluster", "the explanation")


def open_change(page, operation):
    page.wait("#change-menu").click()
    page.wait(f".menu-item[data-change={operation}]").click()
    page.wait("#change-apply")


def set_value(page, css, value):
    page.script("const e = document.querySelector(arguments[0]); e.value = arguments[1];"
                "e.dispatchEvent(new Event('input', { bubbles: true }))", css, value)


def enabled(page, css):
    return page.script("return !document.querySelector(arguments[0]).disabled", css)


def test_changes_are_shown_before_they_are_done(made):
    page = made.page
    open_change(page, "expand")
    page.until(lambda: "1 node added" in (page.text("#change-plan") or ""), "the plan")
    set_value(page, "#change-count", "0")
    page.until(lambda: "whole number" in (page.text("#change-problem") or ""), "the refusal")
    assert not enabled(page, "#change-apply")
    page.press(ESCAPE)
    page.until(lambda: page.count("dialog") == 0, "the dialog to close")
    open_change(page, "shrink")
    set_value(page, "#change-count", str(SIZE))
    page.wait("#change-problem[data-tone=warn]")
    assert not enabled(page, "#change-apply")
    page.press(ESCAPE)
    page.until(lambda: page.count("dialog") == 0, "the dialog to close")
    open_change(page, "replace")
    assert page.count("#change-node option") == SIZE
    page.until(lambda: "1 node added, 1 node removed" in (page.text("#change-plan") or ""), "the plan")
    page.until(lambda: enabled(page, "#change-apply"), "the way to do it")
    page.press(ESCAPE)
    assert page.text("#status") == "active"


def test_the_menu_works_by_keyboard_on_a_phone(made, ui_url, new_browser):
    phone = new_browser(width=360, height=740)
    phone.open(f"{ui_url}/#/clusters/{made.id}")
    phone.wait("#change-menu")
    phone.script("document.getElementById('change-menu').focus()")
    phone.press("\ue007")
    phone.wait(".menu-item")
    assert_fits(phone)
    phone.press(ESCAPE)
    assert phone.script("return document.activeElement.id") == "change-menu"
    phone.press("\ue007", TAB, "\ue007")
    phone.wait("#change-config")
    assert_fits(phone)


@pytest.mark.timeout(SLOW)
def test_configure_pause_and_resume(made, stack):
    page = made.page
    open_change(page, "configure")
    config = page.script("return document.getElementById('change-config').value")
    page.until(lambda: page.text("#change-plan") is not None, "the plan")
    set_value(page, "#change-config", config[:-1])
    page.until(lambda: (page.text("#change-problem") or "").startswith("Not valid yet"), "the notice")
    assert not enabled(page, "#change-apply")
    set_value(page, "#change-config", config.replace("Hello from Loom", "<b>changed</b>"))
    page.until(lambda: "/web/message" in (page.text("#change-plan") or ""), "the difference")
    assert "<b>changed</b>" in page.text("#change-plan")
    page.find("#change-restart")[0].click()
    page.until(lambda: enabled(page, "#change-apply") and "started" not in (page.text("#change-plan") or "started"),
               "the plan without restarts")
    stack.pause("provisioner")
    try:
        page.find("#change-apply")[0].click()
        page.wait("#status[data-status=pending]")
        assert page.count("#change-menu") == 1 and not page.find("#change-menu")[0].visible
        page.wait("#why")
        page.until(lambda: len(page.text("#why")) > len("Why? "), "the reason")
        page.wait("#pause-job").click()
        page.wait("#resume-job")
        page.until(lambda: page.text("#doing").endswith("paused"), "the pause")
    finally:
        stack.resume("provisioner")
    page.find("#resume-job")[0].click()
    page.wait("#status[data-status=active]", 180)
    page.until(lambda: page.count("#why[hidden]") == 1, "no reason any more")
    page.until(lambda: page.text("#doing") == "Configure done", "the end of the job")


@pytest.mark.timeout(SLOW)
def test_what_was_aborted_is_tried_again(made, stack):
    page = made.page
    open_change(page, "restart")
    page.until(lambda: enabled(page, "#change-apply"), "the plan")
    stack.pause("provisioner")
    try:
        page.find("#change-apply")[0].click()
        with contextlib.suppress(AssertionError):
            page.wait(RUNNING, 30)
        if not page.count(RUNNING):  # it stood still between two takes
            stack.resume("provisioner")
            stack.pause("provisioner")
        page.wait(RUNNING)  # a job of which nothing was begun leaves the cluster active
        page.wait("#abort-job").click()
        page.wait("dialog .danger").click()
        page.until(lambda: page.count("dialog") == 0, "the question to close")
    finally:
        stack.resume("provisioner")
    page.wait("#status[data-status=inconsistent]", 180)
    page.wait("#change-menu").click()
    assert not enabled(page, ".menu-item[data-change=expand]")
    page.wait(".menu-item[data-change=rollback]").click()
    page.until(lambda: "task" in (page.text("#change-plan") or ""), "the plan of the way back")
    page.press(ESCAPE)
    page.until(lambda: page.count("dialog") == 0, "the dialog to close")
    open_change(page, "retry")
    page.until(lambda: enabled(page, "#change-apply") and "task" in (page.text("#change-plan") or ""), "the plan")
    page.find("#change-apply")[0].click()
    page.wait("#status[data-status=active]", 180)
    page.until(lambda: page.text("#doing").endswith("done"), "the end of the job")


@pytest.mark.timeout(SLOW)
def test_delete_asks_first_and_is_live(made):
    page = made.page
    jobs = page.count(".tab")
    page.find("#delete-cluster")[0].click()
    page.wait("dialog")
    page.press(ESCAPE)
    page.until(lambda: page.count("dialog") == 0, "the question to close")
    assert page.count("#status[data-status=active]") == 1
    page.find("#delete-cluster")[0].click()
    page.wait("dialog .danger").click()
    page.until(lambda: page.count("#status[data-status=terminated]") == 1, "terminated", 120)
    page.until(lambda: page.texts("#nodes .node .node-head .pill") == ["deleted"] * SIZE,
               "all nodes deleted")
    made.lister.until(lambda: made.lister.count(row(made)) == 0, "the list to drop the cluster")
    page.until(lambda: page.count(".tab") == jobs + 1, "the job's tab")
    page.find(".tab")[0].click()
    page.until(lambda: page.count(".task[data-state=complete]") > SIZE, "the tasks of the create")
    refused = [line for line in page.failed_requests()  # what was typed in forms
               if " 400 " in line or "/v2/resolve - " in line or "/v2/clusters/plan - " in line]
    assert page.failed_requests() == refused
