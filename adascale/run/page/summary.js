// The summary on top: did it work, how big is it, what did not improve, how is it loaded.

// Of a run with a target: the widths that its layers got.
function chosenBits() {
  if (!report.bits) return null;
  const { choices, mean_bits: mean, most_bits: most } = report.bits;
  const counts = new Map();
  let given = 0;
  for (const choice of choices)
    if (choice.fixed) given += choice.layers.length;
    else counts.set(choice.bits, (counts.get(choice.bits) || 0) + choice.layers.length);
  const widths = [...counts].sort((a, b) => a[0] - b[0]).map(([bits, count]) => `${count} × ${bits} bits`);
  if (given > 0) widths.push(`${given} with bits of their own`);
  return element(
    "p",
    {},
    `Chosen for a target: ${fixed(mean, 2)} bits a weight on average, of at most ${fixed(most, 2)}, scales counted (${widths.join(", ")}).`,
  );
}

function sizeCard() {
  const size = report.size;
  if (!size) return null;
  const share = size.after / size.before;
  return element(
    "div",
    { class: "card" },
    element("h3", {}, "How big is it?"),
    element(
      "div",
      { class: "figure" },
      bytes(size.after),
      element("small", {}, ` from ${bytes(size.before)}`),
    ),
    element(
      "div",
      { class: "bar", role: "img", "aria-label": `${percent(share)} of the size before` },
      element("span", { style: `width:${100 * share}%` }),
    ),
    element(
      "p",
      {},
      `Quantized layers: ${bytes(size.layers_before)} → ${bytes(size.layers_after)}, ` +
        "codes packed at their bits. Formats that store wider numbers (hf, safetensors, pt2, onnx-float) take more on disk.",
    ),
    chosenBits(),
  );
}

function qualityCard() {
  const { change: typical, held_out_change: held } = report.summary;
  const figure =
    typical === null ? MISSING : typical === 0 ? "No change" : typical < 0 ? `${percent(-typical)} less` : `${percent(typical)} more`;
  return element(
    "div",
    { class: "card" },
    element("h3", {}, "Did training help?"),
    element("div", { class: "figure" }, figure, element("small", {}, typical === 0 ? " of block error" : " block error")),
    element(
      "p",
      {},
      "Median over the blocks, against round-to-nearest." +
        (held === null
          ? ""
          : ` On batches that were not trained on: ${percent(Math.abs(held))} ${held <= 0 ? "less" : "more"}.`),
    ),
  );
}

function worstCard() {
  const unhelped = trained.filter((block) => !isBetter(block));
  const weakest = layers
    .filter((layer) => layer.sqnr_db !== null) // exact
    .reduce((least, layer) => (least === null || layer.sqnr_db < least.sqnr_db ? layer : least), null);
  const items = [];
  if (weakest)
    items.push(["Noisiest weight: ", breakable(weakest.name), `, ${fixed(weakest.sqnr_db, 1)} dB.`]);
  if (leftOut.length) items.push(`${plural(leftOut.length, "layer")} in full precision.`);
  return element(
    "div",
    { class: "card" },
    element("h3", {}, "What did not improve?"),
    element(
      "div",
      { class: "figure" },
      unhelped.length === 0 ? "No block" : plural(unhelped.length, "block"),
    ),
    unhelped.length
      ? element(
          "p",
          {},
          "Not better than before: " +
            unhelped
              .slice(0, 4)
              .map((block) => block.name)
              .join(", ") +
            (unhelped.length > 4 ? ` and ${unhelped.length - 4} more` : "") +
            ".",
        )
      : null,
    items.map((text) => element("p", {}, text)),
  );
}

function copyButton(text, format) {
  if (!navigator.clipboard) return null;
  const button = element(
    "button",
    { type: "button", class: "copy", "aria-label": `Copy the line for ${format}` },
    "Copy",
  );
  button.addEventListener("click", () =>
    navigator.clipboard.writeText(text).then(
      () => {
        button.textContent = "Copied";
      },
      () => {
        button.textContent = "Not copied";
      },
    ),
  );
  return button;
}

function loadBox() {
  if (!report.formats || report.formats.length === 0) return null;
  return element(
    "div",
    { class: "load" },
    element("h2", {}, "How do I load it?"),
    element("p", { class: "about" }, "In the folder of this page:"),
    element(
      "dl",
      {},
      report.formats.flatMap((format) => {
        const files =
          format.files.length > 3
            ? `${format.files.slice(0, 3).join(", ")} and ${format.files.length - 3} more`
            : format.files.join(", ");
        return [
          element(
            "dt",
            {},
            format.name + (format.target ? `:${format.target}` : ""),
            " ",
            element("span", {}, files),
          ),
          element(
            "dd",
            {},
            element("code", {}, format.how_to_load),
            copyButton(format.how_to_load, format.name),
          ),
        ];
      }),
    ),
  );
}
