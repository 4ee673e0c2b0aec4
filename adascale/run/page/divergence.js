// Logits over tokens: where in the data the divergence lies, by position and by size, and the worst samples.

const withTokens = report.outputs.filter((output) => output.tokens);
const runnerOf = ({ runner }) => (runner === "simulation" ? "the simulation" : runner);
const nameOf = (output) => `${output.name}, run by ${runnerOf(output)}`;

function positionData({ tokens }) {
  return [
    tokens.kl_by_position.map(([position]) => position),
    positive(tokens.kl_by_position.map(([, kl]) => kl)),
  ];
}

function positionText(output) {
  const all = output.tokens.kl_by_position.map(([, kl]) => kl);
  return (
    `Mean KL divergence by position in the sample, of ${nameOf(output)}: ` +
    `${significant(all[0], 3)} at the first, ${significant(all[all.length - 1], 3)} at the last, ` +
    `at most ${significant(Math.max(...all), 3)}`
  );
}

// Without the empty bins at both ends.
function sizeBins({ tokens }) {
  const { low, step, counts } = tokens.kl_histogram;
  const used = counts.flatMap((count, index) => (count > 0 ? [index] : []));
  const first = Math.max(0, used[0] - 1);
  const shown = counts.slice(first, used[used.length - 1] + 2);
  return { low: low + first * step, step, counts: shown, all: counts.reduce((sum, count) => sum + count, 0) };
}

function sizeData(output) {
  const { low, step, counts, all } = sizeBins(output);
  return [counts.map((_, index) => low + (index + 0.5) * step), counts.map((count) => count / all)];
}

// The upper end of the bin in which the share of the tokens is reached.
function below(output, share) {
  const { low, step, counts, all } = sizeBins(output);
  let seen = 0;
  const index = counts.findIndex((count) => (seen += count) >= share * all);
  return 10 ** (low + (index + 1) * step);
}

function sizeText(output) {
  return (
    `Histogram of the KL divergence of ${plural(sizeBins(output).all, "token")}, of ${nameOf(output)}: ` +
    `half are below ${significant(below(output, 0.5), 2)}, 99 % below ${significant(below(output, 0.99), 2)}`
  );
}

function divergenceSection() {
  if (withTokens.length === 0) return null;
  const first = withTokens[withTokens.length - 1];
  const byPosition = lines(
    positionText(first),
    "position in the sample",
    "KL divergence",
    [{ name: "accent" }],
    positionData(first),
  );
  const bySize = bars(sizeText(first), "KL divergence of a token", "accent", sizeData(first), {
    incrs: [0.5, 1, 2, 4],
    values: (_, ticks) => ticks.map((tick) => `${+(10 ** tick).toPrecision(1)}`.replace("e-", "e−")),
  });
  const inWords = element("output", { for: "output", class: "about" });
  const say = (output) => {
    inWords.textContent =
      `Half of the tokens are below ${significant(below(output, 0.5), 2)}, ` +
      `99 % below ${significant(below(output, 0.99), 2)}.`;
  };
  const choose = (output) => {
    show(byPosition, positionText(output), positionData(output));
    show(bySize, sizeText(output), sizeData(output));
    say(output);
  };
  say(first);
  return section(
    "tokens",
    "KL divergence per token",
    false,
    element(
      "p",
      { class: "about" },
      "How far the quantized model's idea of the next token is from the full-precision model's, in nats. ",
      inWords,
    ),
    withTokens.length > 1
      ? chooser("output", "Output", [...withTokens].reverse(), choose, nameOf)
      : null,
    element(
      "div",
      { class: "pair next" },
      element("div", {}, element("h3", {}, "By the token's place in its sample"), byPosition.box),
      element("div", {}, element("h3", {}, "How many tokens have which divergence"), bySize.box),
    ),
  );
}

// Tokens as text where there was a tokenizer, else their ids.
const tokenText = (text, id) => (text === null ? `token ${id}` : JSON.stringify(text));

function worstTokenTable(output) {
  const worst = output.tokens.worst;
  const before = ({ worst: token }) =>
    token.before_text === null ? token.before.join(" ") : `… ${token.before_text}`;
  return table(
    "Samples by their mean KL divergence, the furthest first; and in each the token after which the two models are furthest apart.",
    [
      { title: "Sample", value: (row) => row.sample, show: (row) => String(row.sample + 1) },
      numberColumn(
        "Mean KL",
        (row) => row.kl,
        (value) => significant(value, 3),
      ),
      numberColumn(
        "Worst KL",
        (row) => row.worst.kl,
        (value) => significant(value, 3),
      ),
      numberColumn("At token", (row) => row.worst.position + 1, String),
      { title: "After", text: true, show: before },
      {
        title: "Full precision goes on",
        show: ({ worst: token }) => tokenText(token.fp_next_text, token.fp_next),
      },
      {
        title: "Quantized goes on",
        show: ({ worst: token }) => tokenText(token.quant_next_text, token.quant_next),
      },
    ],
    worst,
  ).box;
}

function worstSampleTable(output) {
  return table(
    "Samples by their signal-to-noise ratio, the noisiest first.",
    [
      { title: "Sample", value: (row) => row.sample, show: (row) => String(row.sample + 1) },
      numberColumn(
        "SQNR dB",
        (row) => row.sqnr_db,
        (value) => fixed(value, 2),
      ),
    ],
    output.worst,
  ).box;
}

function worstSection() {
  const outputs = report.outputs.filter((output) => (output.tokens ? output.tokens.worst : output.worst).length > 0);
  if (outputs.length === 0) return null;
  const draw = (output) => (output.tokens ? worstTokenTable(output) : worstSampleTable(output));
  const reversed = [...outputs].reverse();
  let box = draw(reversed[0]);
  const choose = (output) => {
    const next = draw(output);
    box.replaceWith(next);
    box = next;
  };
  return section(
    "worst",
    "Worst samples",
    true,
    element("p", { class: "about" }, "Samples are counted from 1, in the order of the data."),
    reversed.length > 1 ? chooser("worst-output", "Output", reversed, choose, nameOf) : null,
    box,
  );
}
