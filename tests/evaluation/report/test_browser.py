"""The page of a run in a real Chromium."""

import base64
import re

import pytest
from browser import CHROMIUM, DRIVER, chromium, open_page, resize
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.wait import WebDriverWait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (CHROMIUM and DRIVER), reason="needs chromium and chromedriver (Debian: chromium-driver)"),
]
POINT = "return [...document.querySelectorAll('.plot')].find((plot) => plot.data.some((trace) => trace.customdata))"


@pytest.fixture(scope="module")
def driver():
    with chromium() as driver:
        yield driver


@pytest.fixture
def browser(driver, page):
    """A browser with the page."""
    resize(driver, 1400)
    open_page(driver, page)
    return driver


def tip(browser):
    """The structure and the text that are shown beside a point."""
    found = browser.find_element("id", "tip")
    WebDriverWait(browser, 10).until(lambda _: found.is_displayed())
    return found.find_element("css selector", "svg"), found.text


def test_nothing_is_complained_about(browser):
    assert browser.get_log("browser") == []
    drawn = browser.execute_script("return document.querySelectorAll('figure[data-drawn] .main-svg').length")
    assert drawn >= 2 * len(browser.find_elements("css selector", "figure.chart")) > 10


def test_a_heading_sorts_the_table(browser):
    heading = browser.find_element("xpath", "//table[@id='results-table']//th[.='Test score']")
    values = (
        "return [...document.querySelectorAll('#results-table tbody tr')].map((row) => +row.cells[2].dataset.value)"
    )
    for order, reverse in (("ascending", False), ("descending", True)):
        heading.find_element("tag name", "button").click()
        found = browser.execute_script(values)
        assert found == sorted(found, reverse=reverse) and len(set(found)) == 6
        assert heading.get_attribute("aria-sort") == order
    empty = "return [...document.querySelectorAll('#results-table tbody tr')].map((row) => row.cells[4].dataset.value)"
    browser.find_element("xpath", "//th[.='Minus scratch']/button").click()
    assert [value == "" for value in browser.execute_script(empty)] == [False, False, True, True, True, True]


def test_a_point_shows_its_structure(browser):
    plot = browser.execute_script(POINT)
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", plot)
    ActionChains(browser).move_to_element(plot.find_element("css selector", ".points path")).perform()
    drawing, text = tip(browser)
    assert drawing.find_elements("css selector", "path") and re.search(r"row \d+: measured", text)


def test_an_option_shows_another_model(browser):
    plot = browser.execute_script(POINT)
    other = plot.find_element("xpath", "..//input[@value='RF']")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", other)
    other.click()
    shown = "return arguments[0].data.filter((trace) => trace.visible).map((trace) => trace.meta.options.Model)"
    assert browser.execute_script(shown, plot) == ["RF"]


def test_a_map_shows_other_data_projections_and_colours(browser):
    figure = browser.find_element("css selector", ".explore figure")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", figure)
    plot = figure.find_element("css selector", ".plot")

    def click(option):
        figure.find_element("css selector", f"input[value='{option}']").click()
        return browser.execute_script(
            "const [{x, marker, customdata}] = arguments[0].data; return [x, marker.color, customdata]", plot
        )

    def options(choice):
        return [one.get_attribute("value") for one in figure.find_elements("css selector", f"[data-choice='{choice}']")]

    seen = [click(name) for name in ("t-SNE", "UMAP", "PCA")]
    assert len({str(x) for x, _, _ in seen}) == 3 and len({str(colours) for _, colours, _ in seen}) == 1
    corpus = options("Colour")
    x, labels, molecules = click("BBBP")
    assert labels == [0, 1] * 12 and options("Colour") == ["bbbp", *corpus] and molecules != seen[-1][2]
    assert options("Projection") == ["t-SNE", "UMAP", "PCA"]
    assert figure.find_element("css selector", "input[value='PCA']").is_selected(), "the projection stays"
    assert "BBBP: 24 molecules. Circles: training" in figure.find_element("tag name", "figcaption").text
    same, rings, _ = click("Number of rings")
    assert same == x and len(set(rings)) > 2
    ActionChains(browser).move_to_element(plot.find_element("css selector", ".points path")).perform()
    drawing, text = tip(browser)
    assert drawing.find_elements("css selector", "path") and re.search(r"row \d+, \w+\. bbbp: [01], Molecular", text)
    _, colours, _ = click("Corpus, held out")
    assert options("Colour") == corpus and len(set(colours)) > 20
    assert browser.get_log("browser") == []


def test_the_keyboard_changes_the_map(browser):
    data = browser.find_element("css selector", ".explore [data-choice='Data']")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", data)
    data.send_keys(Keys.ARROW_RIGHT)
    plot = browser.find_element("css selector", ".explore .plot")
    assert browser.execute_script("return arguments[0].map.name", plot) == "BBBP"
    browser.execute_script("arguments[0].focus()", plot)
    plot.send_keys(Keys.ARROW_RIGHT)
    assert re.search(r"^row \d+, \w+\. bbbp: ", tip(browser)[1], re.MULTILINE)


def test_a_molecule_of_the_map_shows_its_neighbours(browser):
    number = browser.find_element("css selector", ".retrieval input")
    browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", number)
    cards = ".retrieval .molecule svg"
    before = [card.get_attribute("innerHTML") for card in browser.find_elements("css selector", cards)]
    number.send_keys(Keys.ARROW_UP)
    WebDriverWait(browser, 10).until(
        lambda _: browser.find_element("css selector", cards).get_attribute("innerHTML") != before[0]
    )
    assert len(before) == len(browser.find_elements("css selector", cards)) == 9


def test_the_keyboard_reaches_everything(browser):
    focused = "const now = document.activeElement; return [now.tagName, now.textContent.trim(), now.className]"
    seen = []
    for _ in range(60):
        ActionChains(browser).send_keys(Keys.TAB).perform()
        seen.append(tuple(browser.execute_script(focused)))
        if seen[-1][2].startswith("plot"):
            break
    assert seen[0][1] == "Skip to the content" and ("BUTTON", "Test score", "") in seen
    browser.execute_script(POINT + ".focus()")
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
    _, first = tip(browser)
    ActionChains(browser).send_keys(Keys.ARROW_RIGHT).perform()
    WebDriverWait(browser, 10).until(lambda _: tip(browser)[1] != first)
    ActionChains(browser).send_keys(Keys.ESCAPE).perform()
    assert not browser.find_element("id", "tip").is_displayed()


@pytest.mark.parametrize("width", [1400, 400])
def test_nothing_is_wider_than_the_window(browser, width):
    resize(browser, width)
    WebDriverWait(browser, 10).until(
        lambda _: browser.execute_script("return document.documentElement.scrollWidth") <= width,
        "the page scrolls sideways",
    )


def test_tables_fit_into_a_wide_window(browser):
    resize(browser, 1400)
    tables = browser.execute_script(
        "return [...document.querySelectorAll('.scroll')].map((s) => [s.ariaLabel, s.scrollWidth - s.clientWidth])"
    )
    assert len(tables) > 3 and all(more == 0 for _, more in tables), tables


def test_it_prints(browser):
    printed = base64.b64decode(browser.execute_cdp_cmd("Page.printToPDF", {"printBackground": True})["data"])
    assert printed.startswith(b"%PDF") and len(re.findall(rb"/Type\s*/Page\b", printed)) > 3
