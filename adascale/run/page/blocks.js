// Each block: its error before and after training, and while it was trained.

const OUTCOMES = [
  { is: (block) => block.layers.length === 0, text: "nothing to train", kind: "muted" },
  { is: (block) => block.diverged, text: "diverged", kind: "warn" },
  { is: (block) => !block.kept, text: "kept the start", kind: "warn" },
  { is: isBetter, text: "better", kind: "good" },
  { is: isWorse, text: "worse", kind: "warn" },
  { is: () => true, text: "the same", kind: "muted" },
];

const outcome = (block) => OUTCOMES.find(({ is }) => is(block));

function blockTable() {
  const print = evenly(
    blocks.flatMap((block) => [
      block.loss_before,
      block.loss_after,
      block.held_out_before,
      block.held_out_after,
    ]),
    3,
  );
  const loss = (title, field) => numberColumn(title, (block) => block[field], print);
  const columns = [
    { title: "Block", value: (block) => block.name, show: (block) => short(block.name, blockStart) },
    loss("Rounded", "loss_before"),
    loss("Trained", "loss_after"),
    numberColumn(
      "Change",
      (block) => change(block.loss_before, block.loss_after),
      (value) => percent(value),
    ),
    ...(hasHeldOut
      ? [
          loss("Held-out rounded", "held_out_before"),
          loss("Held-out trained", "held_out_after"),
          numberColumn(
            "Held-out change",
            (block) => change(block.held_out_before, block.held_out_after),
            (value) => percent(value),
          ),
        ]
      : []),
    {
      title: "Result",
      value: (block) => outcome(block).text,
      show: (block) => element("span", { class: `tag ${outcome(block).kind}` }, outcome(block).text),
    },
    ...(blocks.some((block) => block.note)
      ? [{ title: "Note", text: true, show: (block) => block.note }]
      : []),
  ];
  return table(
    "Error of each block's output on at most 32 of the batches trained on: rounded to nearest, and trained." +
      (hasHeldOut ? " Then the same on batches held out." : "") +
      withoutStart(blockStart),
    columns,
    blocks,
  ).box;
}

function curveChooser() {
  const withCurve = blocks.filter((block) => block.curve.length > 1);
  if (withCurve.length === 0) return [];
  const describe = (block) =>
    `Loss of ${block.name} while it was trained: from ` +
    `${significant(block.curve[0][1], 3)} to ${significant(block.curve[block.curve.length - 1][1], 3)}`;
  const data = (block) => [
    block.curve.map(([iteration]) => iteration),
    positive(block.curve.map(([, loss]) => loss)),
  ];
  const drawn = lines(describe(withCurve[0]), "iteration", "loss", [{ name: "accent" }], data(withCurve[0]));
  return [
    element("h3", { style: "margin-top:1.5rem" }, "While training"),
    element(
      "p",
      { class: "about" },
      "The loss of the batches that each step took, so it also moves with the batch. " +
        "Long runs are averaged to 64 points.",
    ),
    chooser(
      "curve",
      "Block",
      withCurve,
      (block) => show(drawn, describe(block), data(block)),
      (block) => block.name,
    ),
    drawn.box,
  ];
}

function blockSection() {
  const after = blocks.map((block) => (block.kept ? block.loss_after : null));
  const data = [
    blocks.map((_, index) => index),
    positive(blocks.map((block) => block.loss_before)),
    positive(after),
  ];
  const drawn = lines(
    `Error of ${plural(blocks.length, "block")}, rounded to nearest and trained; the table below has the numbers`,
    "block, in the order of the model",
    "error",
    [{ name: "before", dashed: true }, { name: "accent" }],
    data,
  );
  return section(
    "blocks",
    "Blocks",
    true,
    element(
      "p",
      { class: "about" },
      "How far the output of each quantized block is from that of the full-precision block. Lower is better; " +
        "compare a block with itself, not with others.",
    ),
    blocks.length > 1
      ? [
          key([
            ["before", "rounded to nearest", true],
            ["accent", blocks.every((block) => block.kept) ? "trained" : "trained (a gap: not kept)"],
          ]),
          drawn.box,
        ]
      : null,
    curveChooser(),
    blockTable(),
  );
}
