"""Frames per second of a scatter plot of molecules in a page, in Chromium: `python benchmarks/report.py [POINTS]`.

The pointer moves over the points, which shows structures; then it drags the plot. Needs chromium and chromedriver.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from molclr.evaluation.report.maps import corpus_map, map_chart
from molclr.evaluation.report.render import write_page
from molclr.evaluation.report.structures import Structures

REPOSITORY = Path(__file__).parent.parent
sys.path.insert(0, str(REPOSITORY / "tests"))
from browser import chromium, open_page  # noqa: E402

MEASURE = """
const [kind, done] = arguments, buttons = kind === "drag" ? 1 : 0;
const plot = document.querySelector(".plot"), area = plot.querySelector(".nsewdrag");
const box = area.getBoundingClientRect(), frames = 120, times = [];
const at = (part) => ({clientX: box.x + box.width * part, clientY: box.y + box.height * (0.5 + 0.2 * Math.sin(20 * part))});
const send = (name, part, target = area) =>
  target.dispatchEvent(new MouseEvent(name, {bubbles: true, cancelable: true, view: window, buttons, ...at(part)}));
if (kind === "drag") { Plotly.relayout(plot, {dragmode: "pan"}); send("mousedown", 0.3); }
const frame = (now) => {
  times.push(now);
  if (times.length > frames) {
    if (kind === "drag") send("mouseup", 0.6, document);
    const lengths = times.slice(1).map((time, place) => time - times[place]).sort((a, b) => a - b);
    done([1000 * frames / (times[frames] - times[0]), lengths[Math.floor(0.95 * frames)]]);
  } else {
    send("mousemove", 0.3 + 0.3 * times.length / frames, kind === "drag" ? document : area);
    requestAnimationFrame(frame);
  }
};
requestAnimationFrame(frame);
"""


def main() -> None:
    """Print a Markdown table: frames per second, and the time between frames that 95 % of them do not exceed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("points", nargs="?", type=int, default=5000, help="points of the plot (default: 5000)")
    points = parser.parse_args().points
    with tempfile.TemporaryDirectory() as folder, chromium() as driver:
        page = Path(folder) / "page.html"
        write_scatter(page, points)
        open_page(driver, page)
        print("| the pointer | frames per second | 95 % of frames take at most, ms |\n|---|---:|---:|")
        for name, kind in (("moves over points", "move"), ("drags the plot", "drag")):
            rate, slow = driver.execute_async_script(MEASURE, kind)
            print(f"| {name} | {rate:.0f} | {slow:.0f} |")


def write_scatter(page: Path, points: int) -> None:
    """Write a page with a map of made-up vectors."""
    smiles = pd.read_csv(REPOSITORY / "tests/fixtures/zinc.csv")["smiles"].tolist()
    places = np.arange(points) % len(smiles)
    vectors = np.random.default_rng(0).normal(size=(points, 2)).astype(np.float32)
    structures = Structures()
    made_up = corpus_map([smiles[place] for place in places], {"PCA": vectors}, structures)
    content = {"title": "Scatter", "sections": {}, "shown_charts": [map_chart("made-up vectors", [made_up])]}
    write_page(page, "base.html", content, structures)


if __name__ == "__main__":
    main()
