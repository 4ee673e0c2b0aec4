// The page of `adascale evaluate`: metrics of each output and of each program that ran the quantized model.

// The last runner is the one that will be used: a runtime, if there was one.
const shown = withTokens[withTokens.length - 1] || report.outputs[report.outputs.length - 1];

function tokenCards({ tokens, same_top }) {
  const { fp_perplexity: before, quant_perplexity: after } = tokens;
  const worse = before === null || after === null ? null : after / before - 1;
  return cards(
    card(
      "How far apart are they?",
      significant(tokens.kl, 3),
      "nats a token",
      "Mean KL divergence of the next token from the full-precision model's; 0: the same.",
    ),
    card(
      "Do they go on alike?",
      percent(same_top, 1),
      "of tokens",
      "After these, both models have the same most likely next token.",
    ),
    card(
      "Is the text less likely?",
      fixed(after, 2),
      `from ${fixed(before, 2)}`,
      worse === null
        ? "No token follows another in this data."
        : `Perplexity of the data: ${percent(Math.abs(worse), 1)} ${worse < 0 ? "lower" : "higher"} than in full precision.`,
    ),
  );
}

function outputCards({ name, sqnr_db, cosine, same_top }) {
  return cards(
    card(
      "How much noise is there?",
      sqnr_db === null ? "None" : fixed(sqnr_db, 1),
      sqnr_db === null ? "" : "dB",
      `Signal-to-noise ratio of ${name}; 6 dB are about one bit.`,
    ),
    card(
      "Does it point the same way?",
      fixed(cosine, 4),
      "cosine",
      `Mean over the vectors of ${name}; 1: the same direction.`,
    ),
    same_top === null
      ? null
      : card(
          "Is the largest the same?",
          percent(same_top, 1),
          "of vectors",
          "Their largest element is at the same place.",
        ),
  );
}

function outputSection() {
  if (report.outputs.length === 0) return null;
  const tokens =
    (field) =>
    ({ tokens: of }) =>
      of ? of[field] : null;
  return section(
    "outputs",
    "Outputs",
    true,
    element(
      "p",
      { class: "about" },
      "Each floating-point output over all samples, against the full-precision model's.",
    ),
    table(
      "Metrics of each output and of each program that ran the quantized model.",
      [
        { title: "Output", value: (row) => row.name, show: (row) => breakable(row.name) },
        { title: "Run by", value: (row) => row.runner, show: (row) => row.runner },
        numberColumn(
          "SQNR dB",
          (row) => row.sqnr_db,
          (value) => fixed(value, 2),
        ),
        numberColumn(
          "Cosine",
          (row) => row.cosine,
          (value) => fixed(value, 5),
        ),
        numberColumn(
          "Same top",
          (row) => row.same_top,
          (value) => percent(value, 1),
        ),
        ...(withTokens.length
          ? [
              numberColumn("KL divergence", tokens("kl"), (value) => significant(value, 3)),
              numberColumn("Perplexity", tokens("fp_perplexity"), (value) => fixed(value, 3)),
              numberColumn("Quantized perplexity", tokens("quant_perplexity"), (value) => fixed(value, 3)),
            ]
          : []),
      ],
      report.outputs,
    ).box,
  );
}

function taskSection() {
  if (report.tasks.length === 0) return null;
  const score = (title, value) => numberColumn(title, value, (shown) => fixed(shown, 4));
  return section(
    "tasks",
    "Tasks",
    true,
    element(
      "p",
      { class: "about" },
      "Scores by lm-eval, the same samples for both. The standard error is the quantized score's own." +
        (report.activations_not_held
          ? ` The weights alone are quantized here: the run also put ${plural(report.activations_not_held, "activation")} ` +
            "on grids, which the folder does not hold."
          : ""),
    ),
    table(
      "Each metric of each task, of the model and of the quantized folder.",
      [
        { title: "Task", value: (row) => row.task, show: (row) => breakable(row.task) },
        { title: "Metric", value: (row) => row.metric, show: (row) => row.metric },
        score("Model", (row) => row.model),
        score("Quantized", (row) => row.quantized),
        score("Change", (row) => row.quantized - row.model),
        score("Standard error", (row) => row.standard_error),
      ],
      report.tasks,
    ).box,
  );
}

function differenceSection() {
  const lines = [
    ...report.differences.map(
      (one) =>
        `${report.runners[report.runners.length - 1]} from the simulation, ${one.name}: at most ` +
        `${significant(one.largest, 3)}, where the largest value is ${significant(one.largest_value, 3)}.`,
    ),
    ...report.missing.map((line) => `${line}.`),
  ];
  if (lines.length === 0) return null;
  return section(
    "runtime",
    "The runtime",
    false,
    element(
      "ul",
      { class: "notes" },
      lines.map((line) => element("li", {}, line)),
    ),
  );
}

function evaluationFacts() {
  const speeds = report.speed.of.map(({ name, per_second }) => `${name} ${per_second < 100 ? fixed(per_second, 1) : Math.round(per_second).toLocaleString("en")}`);
  const compared = report.samples > 0;
  return [
    ["Model", report.model],
    ["Quantized", report.folder],
    ...(compared
      ? [
          ["Simulation", report.simulation || "none: no .pt2 in the folder"],
          ["Data", `${report.data.join(", ") || "in memory"}: ${plural(report.samples, "sample")}`],
          [`${report.speed.unit === "tokens" ? "Tokens" : "Samples"} a second`, speeds.join(", ")],
        ]
      : []),
    ["Version", `adascale ${report.adascale}, torch ${report.torch}`],
  ];
}

const on = [
  report.samples > 0 && plural(report.samples, "sample"),
  report.tasks.length > 0 && plural(new Set(report.tasks.map(({ task }) => task)).size, "task"),
].filter(Boolean);

layOut({
  kind: "evaluation",
  name: report.folder,
  lead: `Against ${report.model}, the full-precision model, on ${on.join(" and ")}.`,
  above: [
    shown
      ? element("div", { class: "spaced" }, shown.tokens ? tokenCards(shown) : outputCards(shown))
      : null,
  ],
  sections: [
    taskSection(),
    divergenceSection(),
    outputSection(),
    worstSection(),
    differenceSection(),
    section("about", "The evaluation", false, facts(evaluationFacts())),
  ],
});
