// Charts: axes, lines over steps, and a dot for each case and organ.

// A chart is shown 400 to 560 pixels wide, so that its text has about 12 pixels.
const CHART = { width: 480, height: 230, left: 50, right: 12, top: 12, bottom: 34 };

/** Round numbers from `low` to `high`, about `count` of them, at least `least` apart. */
function ticksOf(low, high, count, least = 0) {
  const rough = Math.max((high - low) / count, least) || 1;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((factor) => factor * power >= rough * 0.999);
  const ticks = [];
  for (let tick = Math.ceil(low / step - 1e-9) * step; tick <= high + step * 1e-9; tick += step) ticks.push(tick);
  return ticks;
}

function tickWords(value) {
  if (Math.abs(value) < 1e-12) return '0';
  const small = Math.abs(value) < 1e-3 || Math.abs(value) >= 1e6;
  return small ? value.toExponential(1) : String(Number(value.toPrecision(4)));
}

/** Functions from values to places of the chart, and its axes; ticks of the horizontal one are at least `least` apart. */
function axesOf(xRange, yRange, xLabel, least = 0) {
  const { width, height, left, right, top, bottom } = CHART;
  const scale = ([low, high], from, to) => (value) => from + ((value - low) / (high - low || 1)) * (to - from);
  const x = scale(xRange, left, width - right);
  const y = scale(yRange, height - bottom, top);
  const lines = ticksOf(...yRange, 5).map((tick) => [
    svg('line', { class: 'grid', x1: left, x2: width - right, y1: y(tick), y2: y(tick) }),
    svg('text', { class: 'tick', x: left - 6, y: y(tick) + 4, 'text-anchor': 'end' }, tickWords(tick)),
  ]);
  const marks = ticksOf(...xRange, 8, least).map((tick) => svg(
    'text', { class: 'tick', x: x(tick), y: height - bottom + 16, 'text-anchor': 'middle' }, tickWords(tick),
  ));
  const label = svg('text', { class: 'tick', x: (left + width - right) / 2, y: height - 2, 'text-anchor': 'middle' }, xLabel);
  return { x, y, axes: [...lines.flat(), ...marks, label] };
}

/**
 * Lines over steps. `series` are {name, color, dash, points: [[step, value], …]}; `range` fixes the vertical axis.
 * Pointing at the chart states the values at the nearest step.
 */
function lineChart(title, series, range = null) {
  const drawn = series.filter(({ points }) => points.length);
  if (!drawn.length) return null;
  const steps = drawn.flatMap(({ points }) => points.map(([step]) => step));
  const values = drawn.flatMap(({ points }) => points.map(([, value]) => value));
  const bounds = (numbers) => numbers.reduce(([low, high], n) => [Math.min(low, n), Math.max(high, n)], [Infinity, -Infinity]);
  const [least, high] = range ?? bounds(values);
  const low = Math.min(least, 0); // so that the height of a line is its value
  const yRange = low === high ? [low - (Math.abs(low) || 1) * 0.1, high + (Math.abs(high) || 1) * 0.1] : [low, high];
  const { x, y, axes } = axesOf(bounds(steps), yRange, 'step');
  const lines = drawn.flatMap(({ color, dash, points }) => {
    const place = points.map(([step, value]) => `${x(step).toFixed(1)},${y(value).toFixed(1)}`);
    const line = svg('polyline', { points: place.join(' '), stroke: color, 'stroke-dasharray': dash, class: 'curve' });
    // A single value has no line, so few values have dots.
    const dots = points.length > 30 ? [] : points.map(([step, value]) => svg('circle', { cx: x(step), cy: y(value), r: 2.5, fill: color }));
    return [line, ...dots];
  });
  const box = `0 0 ${CHART.width} ${CHART.height}`;
  const chart = svg('svg', { viewBox: box, role: 'img', 'aria-label': title }, axes, lines);
  const readout = element('p', { class: 'faint readout' }, ' ');
  chart.addEventListener('pointermove', (event) => {
    const bounding = chart.getBoundingClientRect();
    readout.textContent = valuesAt(drawn, ((event.clientX - bounding.left) / bounding.width) * CHART.width, x);
  });
  const legend = element('p', { class: 'legend' }, drawn.map((one) => element(
    'span', {}, lineSample(one), name(one.name), ` ${tickWords(one.points.at(-1)[1])} `,
  )));
  return element('figure', { class: 'chart' }, element('figcaption', {}, title), legend, chart, readout);
}

function lineSample({ color, dash }) {
  const line = svg('line', { x1: 1, x2: 23, y1: 6, y2: 6, stroke: color, 'stroke-width': 3, 'stroke-dasharray': dash });
  return svg('svg', { width: 24, height: 12, 'aria-hidden': 'true', class: 'sample' }, line);
}

function valuesAt(series, place, x) {
  const nearest = ({ points }) => points.reduce((best, point) =>
    (Math.abs(x(point[0]) - place) < Math.abs(x(best[0]) - place) ? point : best));
  return series.map((one) => {
    const [step, value] = nearest(one);
    return `${one.name} ${tickWords(value)} (step ${step})`;
  }).join(' · ');
}

/** A dot for each case and organ, in a column for each organ; `open(index)` is called with the case of a clicked dot. */
function scoreChart(organs, cases, metric, open) {
  const found = cases.flatMap((one, index) => organs.map((organ, column) => ({
    index, column, value: one.scores[organ.name]?.[metric.key] ?? null, organ,
  })).filter(({ value }) => value !== null));
  if (!found.length) return null;
  const high = metric.high ?? Math.max(...found.map(({ value }) => value), 1e-9);
  const { y, axes } = axesOf([0, 1], [0, high], '');
  const wide = (CHART.width - CHART.left - CHART.right) / organs.length;
  const dots = found.map(({ index, column, value, organ }) => {
    // Cases lie side by side in the order of the table, the worst one on the left.
    const x = CHART.left + wide * (column + 0.12 + 0.76 * ((index + 0.5) / cases.length));
    const title = `${cases[index].name}: ${organWords(organ.name)} ${value.toFixed(metric.digits)}`;
    return svg('circle', {
      cx: x, cy: y(value), r: cases.length > 200 ? 2.2 : 4.5, fill: organ.color, class: 'dot', 'data-case': index,
    }, svg('title', {}, title));
  });
  const names = organs.map((organ, column) => svg('text', {
    class: 'tick', x: CHART.left + wide * (column + 0.5), y: CHART.height - CHART.bottom + 16, 'text-anchor': 'middle',
  }, shortened(organWords(organ.name), wide / 7)));
  const chart = svg('svg', { viewBox: `0 0 ${CHART.width} ${CHART.height}`, role: 'img', 'aria-label': metric.title },
    axes.filter((part) => part.tagName === 'line' || part.getAttribute('text-anchor') === 'end'), names, dots);
  chart.addEventListener('click', (event) => {
    const dot = nearestDot(chart, dots, event);
    if (dot) open(Number(dot.dataset.case));
  });
  return element('figure', { class: 'chart' }, element('figcaption', {}, metric.title), chart);
}

/** The dot that is nearest to a click, at most 12 units of the chart away; dots may cover each other. */
function nearestDot(chart, dots, event) {
  const box = chart.getBoundingClientRect();
  const x = ((event.clientX - box.left) / box.width) * CHART.width;
  const y = ((event.clientY - box.top) / box.height) * CHART.height;
  const distance = (dot) => Math.hypot(dot.getAttribute('cx') - x, dot.getAttribute('cy') - y);
  const nearest = dots.reduce((best, dot) => (distance(dot) < distance(best) ? dot : best));
  return distance(nearest) <= 12 ? nearest : null;
}

function shortened(text, length) {
  return text.length > length ? `${text.slice(0, Math.max(1, Math.floor(length) - 1))}…` : text;
}
