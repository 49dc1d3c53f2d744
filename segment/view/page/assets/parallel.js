// Parallel coordinates: an axis for each parameter and one for the value, and a line for each trial.

const PARALLEL = { height: 330, top: 46, bottom: 24, left: 70, right: 60 };
const WORST = [0x00, 0x72, 0xb2]; // the palette of segment/view/colors.py
const MIDDLE = [0x99, 0x99, 0x99];
const BEST = [0xd5, 0x5e, 0x00];

/** Colour of a rank: blue for the worst (0), grey, vermillion for the best (1). */
function valueColor(share) {
  const [from, to, part] = share < 0.5 ? [WORST, MIDDLE, share * 2] : [MIDDLE, BEST, share * 2 - 1];
  return `rgb(${from.map((low, index) => Math.round(low + part * (to[index] - low))).join(' ')})`;
}

/** Where values of a column lie: `place(value)` in 0 to 1, or null; and the labels of the axis. */
function columnScale(values, log) {
  const known = values.filter((value) => value !== null && value !== undefined);
  if (known.every((value) => typeof value === 'number')) return numberScale(known, log);
  const names = [...new Set(known.map(String))].sort((a, b) => a.localeCompare(b, 'en', { numeric: true }));
  const place = (value) => (value === null ? null : names.length === 1 ? 0.5 : names.indexOf(String(value)) / (names.length - 1));
  return { place, ticks: names.map((label) => ({ at: place(label), label })) };
}

function numberScale(known, log) {
  const low = Math.min(...known);
  const high = Math.max(...known);
  const logarithmic = log && low > 0;
  const of = (value) => (logarithmic ? Math.log(value) : value);
  const place = (value) => (value === null ? null : high === low ? 0.5 : (of(value) - of(low)) / (of(high) - of(low)));
  const label = (value) => ({ at: place(value), label: tickWords(Number(value.toPrecision(3))) });
  const few = [...new Set(known)].sort((a, b) => a - b);
  if (few.length <= 6) return { place, ticks: apart(few.map(label)) };
  const inner = logarithmic ? [0.25, 0.5, 0.75].map((share) => Number(Math.exp(of(low) + share * (of(high) - of(low))).toPrecision(2)))
    : ticksOf(low, high, 4).filter((tick) => place(tick) > 0.08 && place(tick) < 0.92);
  return { place, ticks: apart([low, ...inner, high].map(label)) };
}

/** Ticks, from the lowest, without those whose labels would touch another one; both ends stay. */
function apart(ticks) {
  const last = ticks.at(-1);
  return ticks.reduce((kept, tick) => {
    const isClear = !kept.length || tick === last || (tick.at - kept.at(-1).at > 0.06 && last.at - tick.at > 0.06);
    return isClear ? [...kept, tick] : kept;
  }, []);
}

class ParallelCoordinates {
  /** `filter(trials)` is called with the trials within the chosen ranges, `open(trial)` with a clicked one. */
  constructor(data, filter, open) {
    Object.assign(this, { data, filter, open, ranges: new Map() });
    this.trials = data.trials.filter((trial) => trial.value !== null);
    const columns = data.parameters.map(({ name: title, log }, index) => ({ title, log, value: (trial) => trial.params[index] }));
    columns.push({ title: data.metric, log: false, value: (trial) => trial.value });
    this.columns = columns.map((column) => ({ ...column, ...columnScale(this.trials.map(column.value), column.log) }));
    this.step = Math.min(300, Math.max(150, 900 / (this.columns.length - 1))); // between two axes
    this.width = PARALLEL.left + PARALLEL.right + this.step * (this.columns.length - 1);
    this.svg = svg('svg', { viewBox: `0 0 ${this.width} ${PARALLEL.height}`, role: 'img', 'aria-label': 'parallel coordinates' },
      this.drawLines(), this.columns.map((column, index) => this.drawAxis(column, index)));
    this.svg.style.minWidth = `${Math.round(this.width * 0.8)}px`;
    this.svg.style.maxWidth = `${Math.round(this.width * 1.2)}px`;
    // Many lines are paler, so that they do not hide each other.
    this.svg.style.setProperty('--opacity', Math.min(0.75, Math.max(0.15, 60 / this.trials.length)));
    this.readout = element('p', { class: 'faint readout' }, ' ');
    this.svg.addEventListener('pointermove', (event) => this.point(event));
    this.svg.addEventListener('pointerleave', () => this.highlight(null));
    this.svg.addEventListener('click', (event) => { const found = this.nearest(event); if (found) this.open(found); });
    this.clear = element('button', { type: 'button', hidden: true, onclick: () => this.reset() }, 'show all lines');
    this.element = element('figure', { class: 'parallel' }, element('div', { class: 'scroll' }, this.svg), this.readout, this.clear);
  }

  x(index) { return PARALLEL.left + this.step * index; }

  y(share) { return PARALLEL.height - PARALLEL.bottom - share * (PARALLEL.height - PARALLEL.top - PARALLEL.bottom); }

  /** Place of a trial on an axis; a trial without this parameter lies below it. */
  at(trial, index) {
    const share = this.columns[index].place(this.columns[index].value(trial));
    return share === null ? this.y(-0.06) : this.y(share);
  }

  drawLines() {
    // The best trials are drawn last, so that they lie above the others. Colours are of ranks, because a few bad trials
    // would leave the others one colour.
    const worstFirst = [...this.trials].sort((a, b) => (this.data.higher ? 1 : -1) * (a.value - b.value));
    const goodness = (trial) => (worstFirst.length > 1 ? worstFirst.indexOf(trial) / (worstFirst.length - 1) : 1);
    this.lines = new Map(worstFirst.map((trial) => {
      const points = this.columns.map((_, index) => `${this.x(index)},${this.at(trial, index).toFixed(1)}`).join(' ');
      const dash = trial.state === 'finished' ? null : '5 4';
      return [trial, svg('polyline', { points, class: 'trial', stroke: valueColor(goodness(trial)), 'stroke-dasharray': dash })];
    }));
    return [...this.lines.values()];
  }

  drawAxis(column, index) {
    const x = this.x(index);
    const labels = column.ticks.map(({ at, label }) => svg(
      'text', { class: 'tick', x: x - 6, y: this.y(at) + 4, 'text-anchor': 'end' }, shortened(label, 14)));
    const title = shortened(column.title.split('.').slice(-2).join('.'), 22);
    const odd = index % 2; // names of neighbours are at two heights, so that they do not collide
    const range = svg('rect', { class: 'chosen', x: x - 6, width: 12, y: 0, height: 0 });
    const handle = svg('rect', { class: 'axis-handle', x: x - 14, width: 28, y: this.y(1) - 6, height: this.y(0) - this.y(1) + 12 },
      svg('title', {}, 'drag to choose a range, click to remove it'));
    this.listen(handle, range, index);
    return svg('g', {}, svg('line', { class: 'axis', x1: x, x2: x, y1: this.y(0), y2: this.y(1) }), labels,
      svg('text', { class: 'tick axis-name', x, y: odd ? 30 : 14, 'text-anchor': 'middle' }, title, svg('title', {}, column.title)),
      range, handle);
  }

  /** Let the reader drag a range on an axis. */
  listen(handle, range, index) {
    const share = (event) => {
      const box = this.svg.getBoundingClientRect();
      const y = ((event.clientY - box.top) / box.height) * PARALLEL.height;
      return (this.y(0) - y) / (this.y(0) - this.y(1));
    };
    let start = null;
    handle.addEventListener('click', (event) => event.stopPropagation());
    handle.addEventListener('pointerdown', (event) => {
      start = share(event);
      handle.setPointerCapture(event.pointerId);
      this.choose(index, null, range);
    });
    handle.addEventListener('pointermove', (event) => {
      if (start === null || Math.abs(share(event) - start) < 0.02) return;
      this.choose(index, [Math.min(start, share(event)), Math.max(start, share(event))], range);
    });
    for (const end of ['pointerup', 'pointercancel']) handle.addEventListener(end, () => { start = null; });
  }

  choose(index, ends, range) {
    if (ends) this.ranges.set(index, { ends, range });
    else this.ranges.delete(index);
    range.setAttribute('y', ends ? this.y(ends[1]) : 0);
    range.setAttribute('height', ends ? this.y(ends[0]) - this.y(ends[1]) : 0);
    const within = (trial) => [...this.ranges].every(([column, { ends: [low, high] }]) => {
      const at = this.columns[column].place(this.columns[column].value(trial));
      return at !== null && at >= low - 1e-9 && at <= high + 1e-9;
    });
    this.shown = this.ranges.size ? new Set(this.trials.filter(within)) : null;
    for (const [trial, line] of this.lines) line.classList.toggle('off', Boolean(this.shown) && !this.shown.has(trial));
    this.clear.hidden = !this.ranges.size;
    this.filter(this.shown);
  }

  reset() {
    for (const [index, { range }] of [...this.ranges]) this.choose(index, null, range);
  }

  point(event) { this.highlight(this.nearest(event)); }

  highlight(trial) {
    for (const [own, line] of this.lines) line.classList.toggle('near', own === trial);
    this.readout.textContent = trial ? `${this.data.what} ${trial.number}: ${this.columns.map((column) =>
      `${column.title} ${column.value(trial) ?? '–'}`).join(' · ')}` : ' ';
  }

  /** The shown trial whose line is nearest to the pointer, at most 14 units away; null if there is none. */
  nearest(event) {
    const box = this.svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * this.width;
    const y = ((event.clientY - box.top) / box.height) * PARALLEL.height;
    const left = Math.max(0, Math.min(this.columns.length - 2, Math.floor((x - PARALLEL.left) / this.step)));
    const part = Math.max(0, Math.min(1, (x - this.x(left)) / this.step));
    let found = null;
    let best = 14;
    for (const trial of this.lines.keys()) {
      if (this.shown && !this.shown.has(trial)) continue;
      const right = Math.min(left + 1, this.columns.length - 1);
      const distance = Math.abs(this.at(trial, left) * (1 - part) + this.at(trial, right) * part - y);
      if (distance <= best) [found, best] = [trial, distance];
    }
    return found;
  }
}
