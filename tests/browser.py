"""A headless Chromium, Debian's, driven through selenium."""

import os
import shutil
from contextlib import contextmanager

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.wait import WebDriverWait

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
DRIVER = shutil.which("chromedriver")
SECONDS = 60


@contextmanager
def chromium(width=1400, height=900):
    """A browser without a network whose window has this size, in pixels."""
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    sandbox = ["--no-sandbox"] if os.getuid() == 0 else []  # which root cannot have
    for argument in ("--headless=new", "--disable-dev-shm-usage", "--enable-unsafe-swiftshader", *sandbox):
        options.add_argument(argument)
    options.add_argument("--host-resolver-rules=MAP * ~NOTFOUND")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=Service(DRIVER))
    try:
        resize(driver, width, height)
        yield driver
    finally:
        driver.quit()


def resize(driver, width, height=900):
    """Give the page this size, which a window cannot have if it is narrow."""
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def open_page(driver, path):
    """Open a page and wait until its charts are drawn."""
    driver.get(path.resolve().as_uri())
    WebDriverWait(driver, SECONDS).until(lambda _: driver.execute_script("return 'ready' in document.body.dataset"))
