"""The page in a browser: sorting, filters, questions, charts, and hostile texts."""

import itertools
import re
from dataclasses import replace

import pytest
from made_runs import Bench, questions_of

from solution.report import report

READY = "html[data-ready]"
HOSTILE = [
    "</script><script>window.pwned = 1</script>",
    "<img src=x onerror='window.pwned = 1'>",
    "\"'`&amp;&lt;<!--",
    "\u202eright to left\u202c \u2067x\u2069 \u200f",
    "{{DATA}} ${1} javascript:window.pwned=1",
    "가나다라마바사 " * 4500,
]


class Seen:
    """A page with its console messages and requests since it was opened."""

    def __init__(self, browser, file, **options):
        self.file = file.as_uri()
        self.page = browser.new_page(**({"locale": "en-US"} | options))
        self.faults, self.asked = [], []
        self.page.on("console", lambda m: self.faults.append(m.text))
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(self.file)
        self.page.wait_for_selector(READY)

    def column(self, number):
        return self.page.locator(f"#ranks tr > :nth-child({number})").all_inner_texts()

    def overflow(self):
        return self.page.evaluate("document.documentElement.scrollWidth - innerWidth")


@pytest.fixture
def opened(browser):
    pages = []

    def one(file, **options):
        pages.append(Seen(browser, file, **options))
        return pages[-1]

    yield one
    for seen in pages:
        assert seen.faults == []
        assert {url.split("#")[0] for url in seen.asked} == {seen.file}
        seen.page.close()


def test_columns_sort_both_ways_by_mouse_and_keyboard(opened, study):
    seen = opened(study)
    accuracies = [float(text) for text in seen.column(2)]
    assert accuracies == sorted(accuracies, reverse=True)
    button = seen.page.locator("button[data-sort=accuracy]")
    button.focus()
    seen.page.keyboard.press("Enter")
    assert [float(text) for text in seen.column(2)] == sorted(accuracies)
    assert seen.page.locator("th[aria-sort=ascending]").count() == 1
    seen.page.keyboard.press("Enter")  # the focus is still there
    assert [float(text) for text in seen.column(2)] == accuracies
    seen.page.click("button[data-sort=model]")
    assert [name.split()[0] for name in seen.column(1)] == [
        "hub/large",
        "made",
        "middle",
        "middle-wiki",
        "small",
    ]


def test_filters_and_search_narrow_the_list(opened, study):
    page = opened(study).page

    def count():
        return int(page.inner_text(".count").split()[0])

    assert count() == 120
    page.locator("select[name=subject]").select_option(label="사회")
    assert count() == 60
    page.locator("select[name=outcome]").select_option(label="models disagree")
    some = count()
    assert 0 < some < 60
    page.locator("select[name=outcome]").select_option(label="correct")
    right = count()
    page.locator("select[name=outcome]").select_option(label="wrong")
    assert right + count() == 60
    page.get_by_role("button", name="Clear").click()
    assert count() == 120
    page.locator("input[type=range]").fill("100")
    assert count() < 120
    page.get_by_role("button", name="Clear").click()
    page.locator("#search").fill("made-0042")
    assert count() == 1


def test_a_question_opens_and_its_link_opens_it_again(opened, study):
    seen = opened(study)
    page = seen.page
    page.locator("#search").fill("made-0042")
    page.locator(".list a").focus()
    page.keyboard.press("Enter")
    page.wait_for_selector("#chosen h3")
    assert page.url.endswith("#q=made-0042")
    question = questions_of(120)[42]
    card = page.inner_text("#chosen")
    assert question.paragraph in card
    assert all(choice in card for choice in question.choices)
    rows = page.locator(".bars tbody tr")
    assert rows.count() == 6  # five models and their mean
    cells = rows.first.locator("td span:not(.micro)")
    shares = [float(text) for text in cells.all_inner_texts()]
    assert sum(shares) == pytest.approx(100, abs=0.5)
    page.reload()
    page.wait_for_selector(READY)
    assert page.inner_text("#chosen h3") == "made-0042"


def test_next_and_previous_walk_through_the_found_questions(opened, study):
    page = opened(study).page
    page.locator("select[name=subject]").select_option(label="사회")
    page.locator(".list a").first.click()
    page.click("#go-next")
    page.wait_for_function("document.querySelector('#chosen h3')?.innerText === 'made-0003'")
    page.click("#go-previous")
    page.wait_for_function("document.querySelector('#chosen h3')?.innerText === 'made-0001'")


def test_theme_and_language_change_and_stay(opened, study):
    page = opened(study).page
    paper = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(paper)
    page.click("#theme")
    assert page.evaluate(paper) != light
    page.click("#language")
    assert page.evaluate("document.documentElement.lang") == "ko"
    assert page.inner_text("#leaderboard h2") == "순위표"
    assert page.evaluate(paper) != light
    page.click("#language")
    assert page.inner_text("#leaderboard h2") == "Leaderboard"


def test_a_dark_korean_browser_gets_a_dark_korean_page(opened, study):
    page = opened(study, locale="ko-KR", color_scheme="dark").page
    assert page.evaluate("document.documentElement.lang") == "ko"
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    assert not re.search("undefined|NaN", page.inner_text("body"))


@pytest.mark.parametrize("width", [390, 1440])
def test_nothing_overflows(opened, study, width):
    seen = opened(study, viewport={"width": width, "height": 900})
    seen.page.evaluate("location.hash = '#q=made-0000'")
    seen.page.wait_for_selector("#chosen h3")
    for summary in seen.page.locator("summary").all():
        summary.click()
    assert seen.overflow() <= 0


@pytest.mark.parametrize(("width", "scheme"), [(390, "light"), (1440, "dark")])
def test_axe_finds_no_serious_problem(opened, study, scheme, width):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    seen = opened(study, color_scheme=scheme, viewport={"width": width, "height": 900})
    seen.page.evaluate("location.hash = '#q=made-0000'")
    seen.page.wait_for_selector("#chosen h3")
    found = axe.Axe().run(seen.page).response["violations"]
    serious = [v for v in found if v["impact"] in ("serious", "critical")]
    assert [(v["id"], [n["html"][:200] for n in v["nodes"][:3]]) for v in serious] == []


BOXES = """() => [...document.querySelectorAll('.chart')].map((chart) => ({
  name: chart.getAttribute('aria-label'),
  plot: chart.getBoundingClientRect().toJSON(),
  labels: [...chart.querySelectorAll('text')].map((text) =>
    [text.textContent, text.getBoundingClientRect().toJSON()]),
}))"""


@pytest.mark.parametrize("width", [390, 1440])
def test_no_label_of_a_chart_overlaps_another_or_leaves_its_plot(opened, study, width):
    page = opened(study, viewport={"width": width, "height": 900}).page
    charts = page.evaluate(BOXES)
    named = {text for chart in charts for text, _ in chart["labels"]}
    assert len(charts) == 16 and {"large", "made", "middle-wiki", "small"} <= named
    for chart in charts:
        plot, boxes = chart["plot"], chart["labels"]
        assert boxes
        for text, box in boxes:
            inside = box["left"] >= plot["left"] and box["right"] <= plot["right"]
            inside &= box["top"] >= plot["top"] and box["bottom"] <= plot["bottom"]
            assert inside, (chart["name"], text)
        for (a, one), (b, two) in itertools.combinations(boxes, 2):
            across = min(one["right"], two["right"]) - max(one["left"], two["left"])
            down = min(one["bottom"], two["bottom"]) - max(one["top"], two["top"])
            assert min(across, down) <= 0, (chart["name"], a, b)


def test_a_mark_shows_its_figures_when_pointed_at(opened, study):
    page = opened(study).page
    chart = page.locator(".chart").first
    chart.scroll_into_view_if_needed()
    label = chart.locator("text", has_text="large").bounding_box()
    page.mouse.move(label["x"] + label["width"] + 9, label["y"] + label["height"] / 2)
    chart.get_by_text(re.compile("hub/large: 0[.].+, 4M")).wait_for()


def test_hostile_texts_are_only_shown(opened, tmp_path):
    bench = Bench(tmp_path)
    questions = list(questions_of(12))
    for number, text in enumerate(HOSTILE):
        questions[number] = replace(
            questions[number],
            paragraph=text,
            question=f"{number} {text}",
            choices=(text, f"b {text}", "c", "d"),
            subject=text[:200],
        )
    board = 'model,status,licence\none,scored,"<b onclick=x>"\ntwo,"failed: <script>",\n'
    bench.explored(tuple(questions), {"one": 0.5}, board)
    bench.tuned(tuple(questions), 0.8, "<script>window.pwned=1</script>" * 400)
    file = tmp_path / "page.html"
    report([tmp_path / "explore", tmp_path / "finetune"], file, 32.0)
    seen = opened(file, viewport={"width": 390, "height": 900})
    for number, text in enumerate(HOSTILE):
        seen.page.evaluate(f"location.hash = '#q=made-{number:04d}'")
        heading = f"document.querySelector('#chosen h3')?.innerText === 'made-{number:04d}'"
        seen.page.wait_for_function(heading)
        assert seen.page.locator("#chosen .passage").first.text_content() == text
        assert seen.page.locator("#chosen .choices .user").first.text_content() == text
        assert seen.overflow() <= 0
    assert seen.page.evaluate("window.pwned") is None
    assert seen.page.locator("script").count() == 3
    assert seen.page.locator("img, iframe, object, [onclick]").count() == 0


def test_an_unknown_question_is_reported(opened, study):
    page = opened(study).page
    page.evaluate("location.hash = '#q=%E0%A4%A'")  # not even valid as an address
    page.wait_for_function(
        "document.querySelector('#chosen').innerText.includes('No question')"
    )


def test_ten_models_on_two_thousand_questions_stay_small_and_work(opened, tmp_path):
    bench = Bench(tmp_path)
    questions = questions_of(2000, words=180)
    bench.explored(questions, {f"model-{n}": 0.3 + n / 20 for n in range(10)})
    file = tmp_path / "page.html"
    report([tmp_path], file, 32.0)
    assert file.stat().st_size <= 5 * 2**20
    page = opened(file).page
    page.locator("select[name=outcome]").select_option(label="models disagree")
    assert int(page.inner_text(".count").split()[0]) > 1000
    assert page.locator("#ranks tr").count() == 10


def test_the_page_prints_without_its_controls(opened, study):
    page = opened(study).page
    page.emulate_media(media="print")
    assert not page.locator(".filters").is_visible()
    assert not page.locator("#theme").is_visible()
    assert page.locator("#ranks tr").first.is_visible()
