"use strict";
(() => {
  const unpack = async (id) => {
    const packed = atob(document.getElementById(id).textContent);
    const bytes = Uint8Array.from(packed, (character) => character.charCodeAt(0));
    const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return JSON.parse(await new Response(stream).text());
  };
  const structures = unpack("structures");
  const element = (name, className, text = "") => Object.assign(document.createElement(name), { className, textContent: text });

  const fill = (place, [drawing, smiles] = ["", ""]) => {
    place.innerHTML = drawing;
    Object.assign(place, { role: "img", ariaLabel: smiles, title: smiles });
  };
  const molecule = async (number, lines) => {
    const card = element("div", "molecule");
    const drawing = element("div", "structure");
    fill(drawing, (await structures)[number]);
    card.append(drawing, ...lines.map((line) => element("p", "", line)));
    return card;
  };
  structures.then((drawn) => {
    for (const place of document.querySelectorAll("[data-structure]")) fill(place, drawn[place.dataset.structure]);
  });

  // Tables: the button of a heading sorts the rows; empty cells come last.
  const valueOf = (row, column) => {
    const cell = row.cells[column];
    const text = cell.dataset.value ?? cell.textContent.trim();
    return text !== "" && !isNaN(text) ? Number(text) : text;
  };
  const compare = (a, b) => (typeof a === "number" && typeof b === "number" ? a - b : String(a).localeCompare(String(b)));
  const sort = (heading) => {
    const table = heading.closest("table");
    const ascending = heading.getAttribute("aria-sort") !== "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", ascending ? "ascending" : "descending");
    table.dataset.sorted = "";
    const rows = [...table.tBodies[0].rows].map((row) => [valueOf(row, heading.cellIndex), row]);
    rows.sort(([a], [b]) => (a === "") - (b === "") || (ascending ? compare(a, b) : compare(b, a)));
    table.tBodies[0].append(...rows.map(([, row]) => row));
  };
  for (const button of document.querySelectorAll(".sortable thead button")) {
    button.addEventListener("click", () => sort(button.closest("th")));
  }

  // Charts: choices show some of the traces; a point that is a molecule shows its structure.
  const tip = document.getElementById("tip");
  const hide = () => { tip.hidden = true; };
  const show = async (plot, point) => {
    if (point.customdata === undefined) return;
    tip.replaceChildren(...(await molecule(point.customdata, [point.text])).childNodes);
    tip.hidden = false;
    tip.scrolled = scrollY;
    const frame = plot.getBoundingClientRect();
    const x = frame.left + point.bbox.x1 + 12;
    const left = x + tip.offsetWidth < innerWidth ? x : frame.left + point.bbox.x0 - tip.offsetWidth - 12;
    const top = frame.top + point.bbox.y0 - tip.offsetHeight / 2;
    tip.style.left = `${Math.max(4, Math.min(left, innerWidth - tip.offsetWidth - 4))}px`;
    tip.style.top = `${Math.max(4, Math.min(top, innerHeight - tip.offsetHeight - 4))}px`;
  };
  const CONFIG = { responsive: true, displayModeBar: false };
  const chosenIn = (figure) =>
    Object.fromEntries([...figure.querySelectorAll("input:checked")].map((input) => [input.dataset.choice, input.value]));
  const choose = (figure, plot) => {
    const chosen = Object.entries(chosenIn(figure));
    const fits = ({ options }) => chosen.every(([name, option]) => (options[name] ?? option) === option);
    const visible = plot.data.map(({ meta }) => fits(meta) && meta.visible);
    hide();
    return Plotly.update(plot, { visible }, plot.layout.meta?.titles?.[chosenIn(figure).Target] ?? {});
  };
  // Maps: the choice of the data decides which projections and colours are offered. Molecules without the label are grey.
  const offer = (figure, name, options, kept = options[0]) => {
    const fieldset = figure.querySelector(`[data-choice="${name}"]`)?.closest("fieldset");
    if (!fieldset) return;
    const chosen = options.includes(kept) ? kept : options[0];
    const labels = options.map((value) => {
      const input = fieldset.querySelector("input").cloneNode();
      Object.assign(input, { value, checked: value === chosen });
      const label = element("label", "");
      label.append(input, ` ${value}`);
      return label;
    });
    fieldset.replaceChildren(fieldset.querySelector("legend"), ...labels);
  };
  const traceOf = (map, places, { values, low, high, classes }, look, known) => {
    const shown = (value) => (value === null ? "no label" : String(value).replace("-", "−"));
    const text = (i) => `${map.titles[i]}. ${Object.entries(map.colours).map(([label, all]) => `${label}: ${shown(all.values[i])}`).join(", ")}`;
    const chosen = [...values.keys()].filter((i) => (values[i] !== null) === known);
    const pick = (list) => chosen.map((i) => list[i]);
    const colorbar = { thickness: 12, outlinewidth: 0, ...(classes && { tickvals: [0, 1], ticktext: ["0", "1"] }) };
    const scale = { colorscale: classes ? look.classes : look.values, cmin: low, cmax: high, colorbar, showscale: true };
    const marker = { ...look.marker, symbol: map.symbols.length > 1 ? pick(map.symbols) : map.symbols[0] };
    return {
      type: "scatter", mode: "markers", hoverinfo: "none", showlegend: false, x: pick(places[0]), y: pick(places[1]), zorder: +known,
      customdata: pick(map.structures), text: chosen.map(text),
      marker: known ? { ...marker, ...scale, color: pick(values) } : { ...marker, color: look.missing },
    };
  };
  const drawMap = (figure, plot, { meta: { maps, look }, ...layout }) => {
    const before = chosenIn(figure);
    const name = before.Data ?? Object.keys(maps)[0];
    const map = maps[name];
    if (plot.map !== map) {
      plot.map = map;
      offer(figure, "Projection", Object.keys(map.places), before.Projection);
      offer(figure, "Colour", Object.keys(map.colours));
    }
    const { Projection = Object.keys(map.places)[0], Colour } = chosenIn(figure);
    const [colour, places] = [map.colours[Colour], map.places[Projection]];
    const unknown = colour.values.filter((value) => value === null).length;
    figure.querySelector("figcaption span").textContent = `${name}: ${map.note}${unknown ? ` Grey: ${unknown} without this label.` : ""}`;
    hide();
    plot.stepped = undefined;
    const traces = [true, ...(unknown ? [false] : [])].map((known) => traceOf(map, places, colour, look, known));
    return Plotly.react(plot, traces, structuredClone(layout), CONFIG);
  };
  // The arrow keys go through the points of the first visible trace with molecules, from left to right.
  const step = (plot, by) => {
    const curve = plot._fullData.find((trace) => trace.visible === true && trace.customdata);
    if (!curve) return;
    if (plot.stepped?.curve !== curve.index) {
      plot.stepped = { curve: curve.index, place: by > 0 ? -1 : 0, order: [...curve.x.keys()].sort((a, b) => curve.x[a] - curve.x[b]) };
    }
    const { order } = plot.stepped;
    plot.stepped.place = (plot.stepped.place + by + order.length) % order.length;
    const pointNumber = order[plot.stepped.place];
    const { xaxis, yaxis } = plot._fullLayout;
    const x = xaxis._offset + xaxis.l2p(curve.x[pointNumber]);
    const y = yaxis._offset + yaxis.l2p(curve.y[pointNumber]);
    const bbox = { x0: x, x1: x, y0: y, y1: y };
    show(plot, { pointNumber, bbox, customdata: curve.customdata?.[pointNumber], text: curve.text?.[pointNumber] });
  };
  const draw = async (figure) => {
    const plot = figure.querySelector(".plot");
    const { data, layout } = JSON.parse(document.getElementById(figure.id.replace("figure", "chart")).textContent);
    const redraw = layout.meta?.maps ? () => drawMap(figure, plot, layout) : () => choose(figure, plot);
    await (layout.meta?.maps ? redraw() : Plotly.newPlot(plot, data, layout, CONFIG));
    plot.on("plotly_hover", ({ points }) => show(plot, points[0]));
    plot.on("plotly_unhover", hide);
    plot.addEventListener("blur", hide);
    plot.addEventListener("keydown", (event) => {
      const by = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (by) { event.preventDefault(); step(plot, by); }
      if (event.key === "Escape") hide();
    });
    figure.addEventListener("change", redraw);
    figure.dataset.drawn = "";
  };

  // Retrieval: a molecule, chosen by its number or in the map, and its neighbours.
  const retrieval = (panel) => {
    const found = JSON.parse(panel.querySelector("script").textContent);
    const input = panel.querySelector("input");
    const list = panel.querySelector(".molecules");
    const ask = async () => {
      const query = input.value - 1;
      if (!(query in found.structures)) return;
      const cards = [molecule(found.structures[query], ["query"])];
      found.found[query].forEach((place, rank) => {
        cards.push(molecule(found.structures[place], [`${rank + 1}: cosine ${found.cosines[query][rank].toFixed(3)}`]));
      });
      list.replaceChildren(...(await Promise.all(cards)));
      list.firstChild.classList.add("query");
    };
    input.addEventListener("input", ask);
    const plot = document.querySelector(`#figure-${panel.dataset.figure} .plot`);
    plot.on("plotly_click", ({ points }) => {
      if (!plot.map.queries) return;
      input.value = points[0].pointNumber + 1;
      ask();
    });
    return ask();
  };
  const all = async () => {
    for (const figure of document.querySelectorAll("figure.chart")) {
      await draw(figure);
      await new Promise((resolve) => setTimeout(resolve));
    }
    await Promise.all([...document.querySelectorAll(".retrieval")].map(retrieval));
    document.body.dataset.ready = "";
  };
  all();
  addEventListener("scroll", () => { if (Math.abs(scrollY - tip.scrolled) > 2) hide(); }, { passive: true });

  addEventListener("beforeprint", () => {
    for (const details of document.querySelectorAll("details")) details.open = true;
    for (const plot of document.querySelectorAll(".plot")) Plotly.relayout(plot, { width: 640 });
  });
  addEventListener("afterprint", () => {
    for (const plot of document.querySelectorAll(".plot")) Plotly.relayout(plot, { width: null, autosize: true });
  });
})();
