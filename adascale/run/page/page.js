// The other sections, and the page. What the report lacks is left out.

function leftOutSection() {
  const known = new Set(leftOut.map((layer) => layer.name));
  const rounded = report.not_trained
    .map((line) => ({ line, name: line.split(": ")[0] }))
    .filter(({ name }) => !known.has(name))
    .map(({ line, name }) => ({ name, kind: "", state: "not trained", reason: line.slice(name.length + 2) }));
  const rows = [...leftOut.map((layer) => ({ ...layer, state: "full precision" })), ...rounded];
  if (rows.length === 0) return null;
  return section(
    "left",
    "Left out",
    true,
    element("p", { class: "about" }, "Layers in full precision, and layers that no training touched."),
    table(
      "Layers that were not trained, with the reason.",
      [
        { title: "Layer", value: (row) => row.name, show: (row) => breakable(row.name) },
        { title: "Kind", value: (row) => row.kind, show: (row) => row.kind || MISSING },
        { title: "State", value: (row) => row.state, show: (row) => row.state },
        { title: "Reason", text: true, value: (row) => row.reason, show: (row) => row.reason },
      ],
      rows,
    ).box,
  );
}

function lastStageSection() {
  const stage = report.last_stage;
  if (!stage) return null;
  const text =
    stage.iterations === 0
      ? `It did not run: ${stage.note}`
      : `${plural(stage.iterations, "iteration")} of the scales on the model's own output. Held-out loss ` +
        `${significant(stage.held_out_before, 4)} → ${significant(stage.held_out_after, 4)}; ` +
        (stage.kept ? "the result is kept." : "the scales from before are kept.");
  return section("last", "Last stage", false, element("p", {}, text));
}

function rangeSection() {
  const ranges = report.activations || [];
  if (ranges.length === 0) return null;
  const number = (title, field) => ({
    title,
    number: true,
    value: (row) => row[field],
    show: (row) => significant(row[field], 4),
  });
  return section(
    "ranges",
    "Activations",
    true,
    element("p", { class: "about" }, "The range that each quantizer covers, found on the calibration data."),
    table(
      "Ranges of the activations' quantizers.",
      [
        {
          title: "Value",
          value: (row) => row.module,
          show: (row) => breakable(`${row.part ? `${row.part}: ` : ""}${row.module || row.value}`),
        },
        { title: "Port", value: (row) => row.port, show: (row) => row.port },
        {
          title: "Bits",
          number: true,
          value: (row) => row.bits,
          show: (row) => (row.off ? MISSING : String(row.bits)),
        },
        number("Least", "min"),
        number("Largest", "max"),
        ...(ranges.some((row) => row.off)
          ? [{ title: "Turned off", text: true, show: (row) => row.off }]
          : []),
      ],
      ranges,
    ).box,
  );
}

function runFacts() {
  const facts = [
    ["Recipe", report.recipe],
    ["Weights", grids().join("; ")],
    ["Device", report.device],
    ["Precision of training", report.precision],
    ["Version", `adascale ${report.adascale}, torch ${report.torch}`],
  ];
  if (!plan) return facts;
  const { training, data } = plan;
  const on = plan.model.activations.length;
  facts.splice(
    2,
    0,
    ["Activations", on ? `${on} on grids` : "in full precision"],
    [
      "Budget",
      `${training.iterations.toLocaleString("en")} iterations a block` +
        (training.accumulate > 1 ? ` of ${training.accumulate} batches` : "") +
        (training.last_stage_iterations
          ? `, then ${training.last_stage_iterations.toLocaleString("en")} of the last stage`
          : ""),
    ],
    [
      "Data",
      `${report.data.join(", ") || "in memory"}: ${plural(data.samples, "sample")}${data.batch_size ? ` in batches of ${data.batch_size}` : ""}` +
        (data.first_batch.some(Array.isArray)
          ? `; the first batch ${data.first_batch
              .filter(Array.isArray)
              .map((sizes) => sizes.join(" × "))
              .join(", ")}`
          : ""),
    ],
    [
      "Held out",
      training.held_out_batches ? plural(training.held_out_batches, "batch", "batches") : "nothing",
    ],
    ["Seed", String(training.seed)],
  );
  facts.push(["Range scheme", plan.model.scheme], ["Plan", report["adascale.plan"]]);
  return facts;
}

function runSection() {
  return section(
    "run",
    "The run",
    false,
    facts(runFacts()),
  );
}

function noteSection() {
  const notes = report.notes || [];
  if (notes.length === 0) return null;
  return section(
    "notes",
    "Notes",
    false,
    element(
      "ul",
      { class: "notes" },
      notes.map((note) => element("li", {}, note)),
    ),
  );
}

function build() {
  const { good, verdict } = report.summary;
  const kind = good ? "good" : "warn";
  const used = grids();
  layOut({
    kind: "report",
    name: report.model || "Training report",
    lead:
      `${plural(layers.length, "layer")} in ${plural(blocks.length, "block")}, ` +
      `${used.slice(0, 3).join("; ") || "no grid"}${used.length > 3 ? " and others" : ""}, recipe ${report.recipe}.`,
    above: [
      element("div", { class: `verdict ${kind}`, role: "status" }, icon(kind), element("p", {}, verdict)),
      cards(qualityCard(), sizeCard(), worstCard()),
      loadBox(),
    ],
    sections: [
      noteSection(),
      blockSection(),
      layerSection(),
      lastStageSection(),
      leftOutSection(),
      rangeSection(),
      runSection(),
    ],
  });
}

build();
