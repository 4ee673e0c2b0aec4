// The page of `adascale inspect`: blocks and layers as they would be quantized, and what a model of ours holds.

const { layers, blocks, size, stored } = report;
const layerStart = commonStart(layers.map((layer) => layer.name));
const trained = layers.filter((layer) => layer.block).length;
const rounded = layers.length - trained;
const blockStart = commonStart(blocks.map((block) => block.name));
// A size that the model leaves open has a symbol.
const times = (sizes) => sizes.map((size) => (typeof size === "number" ? size : "any")).join(" × ");

function counts(values) {
  const seen = new Map();
  for (const value of values) seen.set(value, (seen.get(value) || 0) + 1);
  return [...seen].sort((a, b) => b[1] - a[1]);
}

const sizeColumns = () => [
  numberColumn("Before", (row) => row.before, bytes),
  numberColumn("Packed", (row) => row.after, bytes),
];

function summaryCards() {
  const share = size.before === 0 ? 1 : size.after / size.before;
  const kinds = counts(layers.map((layer) => layer.kind))
    .map(([kind, count]) => `${count} ${kind}`)
    .join(", ");
  return cards(
    card(
      "What would be quantized?",
      plural(layers.length, "layer"),
      "",
      kinds ? `${kinds}.` : null,
      report.activations ? `${plural(report.activations, "activation")} on grids.` : "Activations in full precision.",
    ),
    card(
      "What would be trained?",
      plural(blocks.length, "block"),
      "",
      `${plural(trained, "layer")} in ${blocks.length === 1 ? "it" : "them"}.`,
      rounded ? `${plural(rounded, "layer")} rounded to nearest.` : null,
    ),
    card(
      "How big would it be?",
      bytes(size.after),
      `from ${bytes(size.before)}`,
      element(
        "div",
        { class: "bar", role: "img", "aria-label": `${percent(share)} of the size now` },
        element("span", { style: `width:${100 * share}%` }),
      ),
      `Quantized layers: ${bytes(size.layers_before)} → ${bytes(size.layers_after)}, codes packed at their bits.`,
    ),
  );
}

function storedSection() {
  if (!stored) return null;
  const start = commonStart(stored.weights.map((weight) => weight.name));
  const number = (title, field) =>
    numberColumn(
      title,
      (row) => row[field],
      (value) => significant(value, 4),
    );
  return section(
    "stored",
    "What it holds",
    true,
    element(
      "p",
      { class: "about" },
      (stored.by ? `adascale ${stored.by} wrote it${stored.recipe ? `, recipe ${stored.recipe}` : ""}. ` : "") +
        (stored.summary ? `${stored.summary.verdict} ` : "") +
        "Below is what is quantized in it already." +
        (stored.activations_not_held
          ? ` The run also put ${plural(stored.activations_not_held, "activation")} on grids, which are not in it.`
          : ""),
    ),
    stored.weights.length === 0
      ? null
      : table(
      `Weights and the grids they are on.${withoutStart(start)}`,
      [
        { title: "Weight", value: (row) => row.name, show: (row) => short(row.name, start) },
        { title: "Grid", text: true, value: (row) => row.grid, show: (row) => row.grid },
        ...(stored.weights.some((weight) => weight.sqnr_db !== null)
          ? [
              numberColumn(
                "SQNR dB",
                (row) => row.sqnr_db,
                (value) => fixed(value, 1),
              ),
            ]
          : []),
      ],
      stored.weights,
    ).box,
    stored.activations.length === 0
      ? null
      : [
          element("h3", { class: "next" }, "Activations"),
          table(
            "The range that each activation quantizer covers.",
            [
              {
                title: "Value",
                value: (row) => row.module || row.value,
                show: (row) => breakable(row.module || row.value),
              },
              { title: "Port", value: (row) => row.port, show: (row) => row.port },
              numberColumn("Bits", (row) => (row.off ? null : row.bits), (bits) => (bits === null ? MISSING : String(bits))),
              number("Least", "min"),
              number("Largest", "max"),
            ],
            stored.activations,
          ).box,
        ],
  );
}

function blockSection() {
  if (blocks.length === 0) return null;
  return section(
    "blocks",
    "Blocks",
    true,
    element("p", { class: "about" }, "Modules that are trained as a unit, in the order in which they run."),
    table(
      `Blocks with their layers and the bytes of their weights.${withoutStart(blockStart)}`,
      [
        { title: "Block", value: (row) => row.name, show: (row) => short(row.name, blockStart) },
        { title: "Class", value: (row) => row.type, show: (row) => row.type },
        numberColumn("Layers", (row) => row.layers, String),
        ...sizeColumns(),
      ],
      blocks,
    ).box,
  );
}

function layerSection() {
  if (layers.length === 0) return null;
  const { box, filter } = table(
    `Layers that would be quantized: the shape of the weight, its grid, and its bytes before and packed.${withoutStart(layerStart)}`,
    [
      { title: "Layer", value: (row) => row.name, show: (row) => short(row.name, layerStart) },
      { title: "Kind", value: (row) => row.kind, show: (row) => row.kind },
      { title: "Shape", show: (row) => times(row.sizes) },
      { title: "Grid", text: true, value: (row) => row.grid, show: (row) => row.grid },
      {
        title: "Trained in",
        value: (row) => row.block,
        show: (row) =>
          row.block ? short(row.block, blockStart) : element("span", { class: "muted" }, `no: ${row.not_trained}`),
      },
      ...sizeColumns(),
    ],
    layers,
  );
  return section(
    "layers",
    "Layers",
    true,
    element("p", { class: "about" }, "Sort by a column to find the largest."),
    finder("layer", layers, filter),
    box,
  );
}

function leftOutSection() {
  if (report.left_out.length === 0) return null;
  return section(
    "left",
    "In full precision",
    true,
    table(
      "Layers that would stay as they are, with the reason.",
      [
        { title: "Layer", value: (row) => row.name, show: (row) => breakable(row.name) },
        { title: "Kind", value: (row) => row.kind, show: (row) => row.kind || MISSING },
        { title: "Reason", text: true, value: (row) => row.reason, show: (row) => row.reason },
      ],
      report.left_out,
    ).box,
  );
}

function normSection() {
  if (report.batch_norms.length === 0) return null;
  return section(
    "norms",
    "Batch norms",
    true,
    table(
      "Batch norms, and what becomes of them.",
      [
        { title: "Batch norm", value: (row) => row.name, show: (row) => breakable(row.name) },
        { title: "State", text: true, value: (row) => row.state, show: (row) => row.state },
      ],
      report.batch_norms,
    ).box,
  );
}

function inputSection() {
  const described = ({ type, sizes }) => (sizes.length ? `${type}, ${times(sizes)}` : type);
  return section(
    "inputs",
    "Inputs",
    false,
    facts([
      ...report.inputs.map((input) => [input.name, described(input)]),
      ["Version", `adascale ${report.adascale}, torch ${report.torch}`],
    ]),
  );
}

layOut({
  kind: "inspection",
  name: report.model,
  lead:
    `${plural(layers.length, "layer")} to quantize, ${rounded ? trained : "all"} of them trained in ` +
    `${plural(blocks.length, "block")}: ` +
    `${counts(layers.map((layer) => layer.grid))
      .slice(0, 3)
      .map(([grid, count]) => `${count} × ${grid}`)
      .join("; ")}.`,
  above: [element("div", { class: "spaced" }, summaryCards())],
  sections: [
    storedSection(),
    blockSection(),
    layerSection(),
    leftOutSection(),
    normSection(),
    inputSection(),
  ],
});
