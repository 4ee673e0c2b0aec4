// What all pages are made of: their data, a heading, links to sections, cards and panels.

const report = JSON.parse(document.getElementById("report").textContent);

const short = (name, start) => element("span", { title: name }, breakable(name.slice(start.length)));
const withoutStart = (start) => (start ? ` Names are shown without “${start}”.` : "");

function numberColumn(title, value, print) {
  return { title, number: true, value, show: (row) => print(value(row)) };
}

function icon(kind) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", kind === "good" ? "M5 12.5l4.5 4.5L19 7.5" : "M12 4v10M12 18.5v.5");
  path.setAttribute("fill", "none");
  path.setAttribute("stroke", "currentColor");
  path.setAttribute("stroke-width", "2.5");
  path.setAttribute("stroke-linecap", "round");
  svg.append(path);
  return svg;
}

function card(title, figure, unit, ...content) {
  return element(
    "div",
    { class: "card" },
    element("h3", {}, title),
    element("div", { class: "figure" }, figure, unit ? element("small", {}, ` ${unit}`) : null),
    content.filter(Boolean).map((text) => (typeof text === "string" ? element("p", {}, text) : text)),
  );
}

function cards(...all) {
  return element(
    "div",
    { class: "cards" },
    all.filter((one) => one !== null),
  );
}

function facts(entries) {
  return element(
    "dl",
    { class: "facts" },
    entries.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))),
  );
}

function section(id, title, isLong, ...content) {
  return element(
    "section",
    { id, class: isLong ? "panel long" : "panel", "aria-labelledby": `${id}-title` },
    element("h2", { id: `${id}-title` }, title),
    content,
  );
}

// `above` the sections: cards and boxes. What is null is left out.
function layOut({ kind, name, lead, above, sections }) {
  const present = (parts) => parts.filter((one) => one !== null && one !== undefined);
  document.title = `${name}: adascale ${kind}`;
  document
    .getElementById("top")
    .append(
      element("p", { class: "brand" }, `adascale ${kind}`),
      element("h1", {}, name),
      element("p", { class: "lead" }, lead),
    );
  const links = present(sections).map((one) =>
    element("li", {}, element("a", { href: `#${one.id}` }, one.querySelector("h2").textContent)),
  );
  document
    .getElementById("main")
    .append(
      element("nav", { "aria-label": "Sections" }, element("ul", {}, links)),
      ...present(above),
      ...present(sections),
    );
  document.getElementById("made").textContent = `Version ${report.adascale}.`;
  drawAll();
}
