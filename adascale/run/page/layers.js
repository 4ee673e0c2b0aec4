// Each layer: its weights' error, its weights and codes.

function layerTable() {
  const decibels = (value) => fixed(value, 1);
  return table(
    "Each weight against the original: signal-to-noise ratio in decibels, and the share of codes that training moved." +
      withoutStart(layerStart),
    [
      { title: "Layer", value: (layer) => layer.name, show: (layer) => short(layer.name, layerStart) },
      numberColumn("SQNR rounded", (layer) => layer.sqnr_rtn_db, decibels),
      numberColumn("SQNR result", (layer) => layer.sqnr_db, decibels),
      numberColumn(
        "Codes moved",
        (layer) => layer.codes_moved,
        (value) => percent(value, 1),
      ),
      { title: "Grid", text: true, value: (layer) => layer.grid, show: (layer) => layer.grid },
    ],
    layers,
  );
}

function histograms() {
  const shares = (counts) => {
    const all = counts.reduce((sum, count) => sum + count, 0);
    return counts.map((count) => count / all);
  };
  const centres = ({ low, high, counts }) =>
    counts.map((_, index) => low + ((index + 0.5) * (high - low)) / counts.length);
  const codes = ({ first, counts }) => counts.map((_, index) => first + index);
  const weightText = (layer) =>
    `Histogram of the weights of ${layer.name}: from ${significant(layer.weights.low, 3)} ` +
    `to ${significant(layer.weights.high, 3)}`;
  const codeText = (layer) => {
    const used = layer.codes.counts.filter((count) => count > 0).length;
    return `Shares of the codes of ${layer.name}: ${used} of ${layer.codes.counts.length} are used`;
  };
  const weightData = (layer) => [centres(layer.weights), shares(layer.weights.counts)];
  const codeData = (layer) => [codes(layer.codes), shares(layer.codes.counts)];
  const first = layers[0];
  const weightChart = bars(weightText(first), "weight before quantization", "before", weightData(first));
  const codeChart = bars(codeText(first), "code", "accent", codeData(first), { incrs: WHOLE });
  const choose = (layer) => {
    show(weightChart, weightText(layer), weightData(layer));
    show(codeChart, codeText(layer), codeData(layer));
  };
  return [
    chooser("layer", "Weights and codes of", layers, choose, (layer) => layer.name),
    element("div", { class: "pair" }, weightChart.box, codeChart.box),
  ];
}

function layerSection() {
  if (layers.length === 0) return null;
  const { box, filter } = layerTable();
  return section(
    "layers",
    "Layers",
    true,
    element(
      "p",
      { class: "about" },
      "Training lowers the error of a block's output, and gives up closeness of single weights for it: " +
        "a result below round-to-nearest's SQNR is expected. Few codes moved means that rounding was right already, or that the budget was small.",
    ),
    histograms(),
    finder("layer", layers, filter),
    box,
  );
}
