// Elements and tables. All text goes in as text, never as HTML: names come from models.

function element(tag, attributes, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes || {}))
    if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value);
  made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
  return made;
}

const MISSING = "–";

function significant(value, digits) {
  if (value === null || value === undefined) return MISSING;
  if (value === 0) return "0";
  const size = Math.abs(value);
  return size >= 1e5 || size < 1e-3
    ? value.toExponential(digits - 1).replace("e-", "e−")
    : value.toPrecision(digits).replace(/^-/, "−");
}

// Of one notation for all values of a column.
function evenly(values, digits) {
  const sizes = values.filter((value) => value).map(Math.abs);
  if (sizes.length === 0 || (Math.min(...sizes) >= 1e-3 && Math.max(...sizes) < 1e5))
    return (value) => significant(value, digits);
  return (value) =>
    value ? value.toExponential(digits - 1).replace("e-", "e−") : significant(value, digits);
}

function fixed(value, digits) {
  return value === null || value === undefined ? MISSING : value.toFixed(digits).replace("-", "−");
}

function percent(share, digits = 0) {
  return share === null || share === undefined ? MISSING : `${fixed(100 * share, digits)} %`;
}

// Powers of 1000, as the command prints them.
function bytes(count) {
  const units = ["B", "kB", "MB", "GB", "TB"];
  let unit = 0;
  for (; count >= 1000 && unit + 1 < units.length; count /= 1000) ++unit;
  return `${count.toFixed(unit === 0 ? 0 : 1)} ${units[unit]}`;
}

function plural(count, noun, several = `${noun}s`) {
  return `${count.toLocaleString("en")} ${count === 1 ? noun : several}`;
}

// A name that may go on in the next line behind each part.
function breakable(name) {
  const parts = name.match(/[^./]*[./]?/g).filter((part) => part);
  return parts.flatMap((part, index) => (index === 0 ? [part] : [element("wbr"), part]));
}

// What all names begin with, up to a dot.
function commonStart(names) {
  if (names.length < 2) return "";
  let start = names[0];
  for (const name of names) while (!name.startsWith(start)) start = start.slice(0, -1);
  return start.slice(0, start.lastIndexOf(".") + 1);
}

function compare(a, b) {
  if (a === null || a === undefined) return b === null || b === undefined ? 0 : 1; // missing ones last
  if (b === null || b === undefined) return -1;
  return typeof a === "number" ? a - b : String(a).localeCompare(String(b), "en", { numeric: true });
}

// columns: {title, value(row), show(row) -> text or node, number, text}. The first column heads the rows.
// A column without `value` is not sorted by.
function table(caption, columns, rows) {
  const heads = columns.map((column) =>
    element(
      "th",
      { scope: "col", class: column.number && "number" },
      column.value ? element("button", { type: "button" }, column.title) : element("span", {}, column.title),
    ),
  );
  const bodyRows = rows.map((row) => {
    const made = element(
      "tr",
      {},
      columns.map((column, index) =>
        element(
          index === 0 ? "th" : "td",
          { scope: index === 0 && "row", class: (column.number && "number") || (column.text && "text") },
          column.show(row),
        ),
      ),
    );
    return { row, made };
  });
  const body = element(
    "tbody",
    {},
    bodyRows.map((one) => one.made),
  );
  columns.forEach((column, index) => {
    if (column.value) heads[index].firstChild.addEventListener("click", () => sort(column, heads[index]));
  });

  // Numbers: the largest first, then the smallest.
  function sort(column, head) {
    const first = column.number ? "descending" : "ascending";
    const second = column.number ? "ascending" : "descending";
    const order = head.getAttribute("aria-sort") === first ? second : first;
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", order);
    const sign = order === "ascending" ? 1 : -1;
    const isMissing = (value) => value === null || value === undefined;
    bodyRows.sort((a, b) => {
      const left = column.value(a.row),
        right = column.value(b.row);
      return isMissing(left) || isMissing(right) ? compare(left, right) : sign * compare(left, right);
    });
    body.append(...bodyRows.map((one) => one.made));
  }

  const whole = element(
    "table",
    {},
    element("caption", {}, element("span", {}, caption)),
    element("thead", {}, element("tr", {}, heads)),
    body,
  );
  const box = element(
    "div",
    { class: "scroll", tabindex: "0", role: "region", "aria-label": caption },
    whole,
  );
  const filter = (keeps) => {
    for (const { row, made } of bodyRows) made.hidden = !keeps(row);
    return bodyRows.filter(({ made }) => !made.hidden).length;
  };
  return { box, filter };
}

function chooser(id, label, choices, choose, nameOf) {
  const select = element(
    "select",
    { id },
    choices.map((choice, index) => element("option", { value: index }, nameOf(choice))),
  );
  select.addEventListener("change", () => choose(choices[select.value]));
  return element("div", { class: "choose" }, element("label", { for: id }, label), select);
}

// Hides the rows of a table whose name does not have what is typed.
function finder(noun, rows, filter) {
  const find = element("input", {
    id: "find",
    type: "search",
    placeholder: "part of a name",
    autocomplete: "off",
  });
  const found = element("output", { for: "find" }, plural(rows.length, noun));
  find.addEventListener("input", () => {
    const wanted = find.value.toLowerCase();
    found.textContent = plural(
      filter((row) => row.name.toLowerCase().includes(wanted)),
      noun,
    );
  });
  return element("div", { class: "choose" }, element("label", { for: "find" }, `Find a ${noun}`), find, found);
}
