// Charts, by uPlot on canvases. Each is drawn anew when the colours or its width change.

const charts = [];

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

function axis(label, more) {
  return {
    label,
    labelSize: 18,
    labelFont: "12px system-ui, sans-serif",
    font: "12px system-ui, sans-serif",
    stroke: colour("soft"),
    grid: {
      stroke: colour("line"),
      width: 1,
      filter: (drawn, ticks, index) => (index === 1 && isLog(drawn) ? ticks.map(powerOf10) : ticks),
    },
    ticks: { stroke: colour("line"), width: 1 },
    ...more,
  };
}

// options(): uPlot's options in the present colours. `label` says what the chart shows to those who do not see it.
function chart(label, options, data) {
  const box = element("div", { class: "chart", role: "img", "aria-label": label });
  const one = { box, options, data, drawn: null };
  charts.push(one);
  return one;
}

function draw(one) {
  if (one.drawn) one.drawn.destroy();
  const { clientWidth: width, clientHeight: height } = one.box;
  if (width === 0) return;
  one.drawn = new uPlot(
    { width, height, legend: { show: false }, cursor: { show: false }, ...one.options() },
    one.data,
    one.box,
  );
}

function show(one, label, data) {
  one.box.setAttribute("aria-label", label);
  one.data = data;
  draw(one);
}

function drawAll() {
  charts.forEach(draw);
}

// Numbers that a log scale can take; it is used where they span much.
function lossScale(series) {
  const seen = series.flat().filter((value) => value > 0);
  return seen.length > 0 && Math.max(...seen) / Math.min(...seen) > 30 ? 3 : 1;
}

const WHOLE = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 20000, 50000];

const isLog = (drawn) => drawn.scales.y.distr === 3;
const powerOf10 = (tick) =>
  tick > 0 && Math.abs(Math.log10(tick) - Math.round(Math.log10(tick))) < 1e-6 ? tick : null;

function positive(values) {
  return values.map((value) => (value > 0 ? value : null));
}

function lines(label, xTitle, yTitle, series, data) {
  const made = chart(
    label,
    () => ({
      scales: {
        x: { time: false, range: (_, low, high) => (low === high ? [low - 1, high + 1] : [low, high]) },
        y: { distr: lossScale(made.data.slice(1)) },
      },
      axes: [
        axis(xTitle, { size: 32, incrs: WHOLE }),
        axis(yTitle, {
          size: 64,
          values: (_, ticks) =>
            ticks.map((tick) =>
              tick === null
                ? ""
                : significant(tick, 2)
                    .replace(/(\.\d*?)0+(?=e|$)/, "$1")
                    .replace(/\.(?=e|$)/, ""),
            ),
        }),
      ],
      series: [
        {},
        ...series.map(({ name, dashed }) => ({
          stroke: colour(name),
          width: 2,
          dash: dashed ? [6, 4] : undefined,
          points: { show: made.data[0].length * 14 < made.box.clientWidth, size: 5, fill: colour(name) },
        })),
      ],
    }),
    data,
  );
  return made;
}

function bars(label, xTitle, name, data, more) {
  const made = chart(
    label,
    () => {
      const step = made.data[0].length > 1 ? made.data[0][1] - made.data[0][0] : 1;
      return {
        scales: {
          x: { time: false, range: (_, low, high) => [low - step, high + step] },
          y: { range: (_, low, high) => [0, high * 1.05] },
        },
        axes: [
          axis(xTitle, { size: 32, ...more }),
          axis(null, {
            size: 56,
            values: (_, ticks) => ticks.map((tick) => `${+(100 * tick).toPrecision(3)} %`),
          }),
        ],
        series: [
          {},
          {
            stroke: colour(name),
            fill: colour(name),
            width: 0,
            points: { show: false },
            paths: uPlot.paths.bars({ size: [0.9, 60] }),
          },
        ],
      };
    },
    data,
  );
  return made;
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
matchMedia("print").addEventListener("change", drawAll);
addEventListener("resize", drawAll);

// What the lines are; the charts' labels say it to those who do not see them.
function key(entries) {
  return element(
    "ul",
    { class: "key", "aria-hidden": "true" },
    entries.map(([name, text, dashed]) =>
      element(
        "li",
        {},
        element("i", { class: dashed && "dashed", style: `border-top-color:var(--${name})` }),
        text,
      ),
    ),
  );
}
