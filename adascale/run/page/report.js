// What all sections take from the report.

const plan = report.plan;
const blocks = report.blocks;
const layers = blocks.flatMap((block) => block.layers.map((layer) => ({ ...layer, block: block.name })));
const blockStart = commonStart(blocks.map((block) => block.name));
const layerStart = commonStart(layers.map((layer) => layer.name));
const hasHeldOut = blocks.some((block) => block.held_out_before !== null);
const leftOut = report.left_out || [];

const change = (before, after) =>
  before === null || after === null || before === 0 ? null : after / before - 1;

const trained = blocks.filter((block) => block.layers.length > 0);
const isWorse = (block) => block.kept && block.loss_after > block.loss_before;
const isBetter = (block) => block.kept && block.loss_after < block.loss_before;

function grids() {
  const counts = new Map();
  for (const layer of layers) counts.set(layer.grid, (counts.get(layer.grid) || 0) + 1);
  return [...counts]
    .sort((a, b) => b[1] - a[1])
    .map(([grid, count]) => (counts.size === 1 ? grid : `${count} × ${grid}`));
}
