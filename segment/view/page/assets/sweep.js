// The page of a sweep: the best trial, values over trials, importance, parallel coordinates, and the trials as a table.

function sweepPage(data) {
  const opened = element('div', { id: 'trial' });
  const open = (trial) => openTrial(data, opened, trial);
  const table = trialsTable(data, open);
  const parallel = data.parameters.length && data.trials.some((trial) => trial.value !== null)
    ? new ParallelCoordinates(data, (shown) => table.choose(shown), open) : null;
  return [
    heading(data), notesOf(data.notes),
    section('Best', best(data, open)),
    section(data.importance.length ? 'Values and importance' : 'Values', [element('div', { class: 'charts' }, [history(data, open), importanceChart(data)].filter(Boolean))]),
    section('Parameters', parallel ? [element('p', { class: 'faint' },
      `Each line is a ${data.what}, from blue (worst ${data.metric}) to orange (best); dashed: not finished. Drag on an axis to`
      + ' choose a range, which also filters the table. A click on a line opens it.'), parallel.element] : []),
    section(data.what === 'job' ? 'Jobs' : 'Trials', [opened, table.element]),
    footer(data),
  ];
}

/** The trial with the best value among those that finished; null if none has. */
function bestTrial(data) {
  const done = data.trials.filter((trial) => trial.state === 'finished' && trial.value !== null);
  const better = (a, b) => (data.higher ? b.value > a.value : b.value < a.value);
  return done.reduce((found, trial) => (!found || better(found, trial) ? trial : found), null);
}

function best(data, open) {
  const trial = bestTrial(data);
  if (!trial) return [element('p', {}, `No ${data.what} has finished yet.`)];
  const words = element('p', {}, trialButton(data, trial, open), `: ${data.metric} `, element('strong', {}, trial.value.toFixed(4)), pageLinks(trial));
  const again = data.command ? [element('p', { class: 'faint' }, 'To train it again:'), element('pre', { class: 'command' }, data.command)] : [];
  return [words, paramsTable(data, trial), ...again];
}

function trialButton(data, trial, open) {
  return element('button', { type: 'button', class: 'link trial-link', onclick: () => open(trial) }, `${data.what} ${trial.number}`);
}

/** Links to the pages of the runs of a trial; the run of a trial with one run is called "page". */
function pageLinks(trial) {
  const links = trial.pages.map((page) => element('a', { href: page.path }, trial.pages.length > 1 ? name(page.name) : 'page of the run'));
  return links.length ? element('span', {}, links.flatMap((link) => [' · ', link])) : null;
}

function paramsTable(data, trial) {
  if (!data.parameters.length) return null;
  const rows = data.parameters.map((parameter, index) => [element('code', {}, name(parameter.name)), name(cellWords(trial.params[index]))]);
  return table(['parameter', 'value'], rows);
}

/** A parameter as text: numbers with at most four digits, "–" if the trial does not have it. */
function cellWords(value) {
  if (value === null || value === undefined) return '–';
  return typeof value === 'number' ? tickWords(value) : value;
}

function openTrial(data, place, trial) {
  const title = element('h3', { tabindex: -1 }, `${data.what} ${trial.number}`);
  const value = trial.value === null ? null : `; ${data.metric} ${trial.value.toFixed(4)}`;
  const facts = Object.entries(trial.facts).filter(([, fact]) => fact !== '').map(([word, fact]) => `${word} ${fact}`).join(' · ');
  place.replaceChildren(element('article', { class: 'opened' }, title,
    element('p', {}, trial.state, value, pageLinks(trial)), trial.why ? element('p', { class: 'warning' }, name(trial.why)) : null,
    paramsTable(data, trial), facts ? element('p', { class: 'faint' }, facts) : null));
  title.focus({ preventScroll: true });
  place.scrollIntoView({ block: 'start' });
}

/** The table of the trials, the best first; `choose(set)` shows some of them, `choose(null)` all. */
function trialsTable(data, open) {
  const columns = [
    { title: data.what, value: (trial) => trial.number, cell: (trial) => trialButton(data, trial, open) },
    { title: data.metric, right: true, value: (trial) => trial.value, cell: (trial) => fixed(trial.value, 4) },
    ...data.parameters.map((parameter, index) => ({
      title: parameter.name, right: data.trials.every((trial) => typeof trial.params[index] !== 'string'),
      value: (trial) => trial.params[index], cell: (trial) => name(cellWords(trial.params[index])),
    })),
    { title: 'state', value: (trial) => trial.state, cell: (trial) => element('span', { class: 'state' }, trial.state) },
    { title: 'page', value: (trial) => trial.pages.length, cell: (trial) => pageCell(trial) },
    { title: 'why', words: true, value: (trial) => trial.why, cell: (trial) => name(trial.why) },
  ].filter(({ title }) => title !== 'why' || data.trials.some((trial) => trial.why));
  const top = bestTrial(data);
  const sorted = new SortableTable(columns, data.trials, {
    by: 1, down: data.higher, mark: (trial) => trial === top, what: `${data.what}s`, class: 'trials compact',
  });
  let [chosen, words] = [null, ''];
  const text = (trial) => `${trial.number} ${trial.state} ${trial.params.join(' ')} ${trial.why}`.toLowerCase();
  const show = () => sorted.show(data.trials.filter((trial) => (!chosen || chosen.has(trial)) && text(trial).includes(words)));
  const field = filterField(`find a ${data.what}`, (typed) => { words = typed; show(); });
  return { element: element('div', {}, field, sorted.element), choose: (set) => { chosen = set; show(); } };
}

function pageCell(trial) {
  const links = trial.pages.map((page) => element('a', { href: page.path }, trial.pages.length > 1 ? name(page.name) : 'open'));
  return element('span', {}, links.flatMap((link) => [link, ' ']));
}

/** Values over trials: a dot for a finished one, a ring for one that was stopped, a cross for one without a value. */
function history(data, open) {
  const scored = data.trials.filter((trial) => trial.value !== null);
  if (!scored.length) return null;
  const [low, high] = [Math.min(...scored.map((trial) => trial.value)), Math.max(...scored.map((trial) => trial.value))];
  const margin = (high - low || Math.abs(high) || 1) * 0.06;
  const numbers = data.trials.map((trial) => trial.number);
  const { x, y, axes } = axesOf([Math.min(...numbers) - 0.5, Math.max(...numbers) + 0.5], [low - margin, high + margin], data.what, 1);
  const marks = data.trials.map((trial) => {
    const title = svg('title', {}, `${data.what} ${trial.number}: ${fixed(trial.value, 4)}, ${trial.state}`);
    const at = { cx: x(trial.number), cy: trial.value === null ? CHART.height - CHART.bottom - 5 : y(trial.value), 'data-trial': trial.number };
    if (trial.value === null) return svg('path', { ...at, class: 'cross', d: `M${at.cx - 4},${at.cy - 4}l8,8m0,-8l-8,8` }, title);
    return svg('circle', { ...at, r: 4.5, class: trial.state === 'finished' ? 'mark dot' : 'ring dot' }, title);
  });
  const box = `0 0 ${CHART.width} ${CHART.height}`;
  const chart = svg('svg', { viewBox: box, role: 'img', 'aria-label': `${data.metric} of each ${data.what}` }, axes,
    data.what === 'trial' ? bestSoFar(data, x, y) : [], marks);
  chart.addEventListener('click', (event) => {
    const dot = nearestDot(chart, marks, event);
    if (dot) open(data.trials.find((trial) => trial.number === Number(dot.dataset.trial)));
  });
  const rule = data.what === 'trial' ? 'Dots are finished trials, rings those that were stopped; the line is the best so far.' : 'A dot for each job.';
  const words = data.trials.length > scored.length ? ' Crosses have no value.' : '';
  return element('figure', { class: 'chart' }, element('figcaption', {}, data.metric),
    element('p', { class: 'faint' }, `${rule}${words}`), chart);
}

function bestSoFar(data, x, y) {
  let found = null;
  const points = [];
  for (const trial of data.trials.filter(({ state, value }) => state === 'finished' && value !== null)) {
    const value = found === null || (data.higher ? trial.value > found : trial.value < found) ? trial.value : found;
    if (found !== null) points.push(`${x(trial.number)},${y(found)}`);
    found = value;
    points.push(`${x(trial.number)},${y(found)}`);
  }
  return svg('polyline', { points: points.join(' '), class: 'curve best' });
}

function importanceChart(data) {
  if (!data.importance.length) return null;
  const most = data.importance[0][1] || 1;
  const rows = data.importance.map(([parameter, share]) => [
    element('code', {}, name(parameter)), element('span', { class: 'bar' }, barOf(share / most), ` ${share.toFixed(2)}`),
  ]);
  return element('figure', { class: 'chart' }, element('figcaption', {}, 'Importance'),
    element('p', { class: 'faint' }, 'Share of each parameter in the difference between the best trials and the others (PED-ANOVA).'),
    table(['parameter', 'share'], rows));
}

function barOf(share) {
  return svg('svg', { viewBox: '0 0 100 12', class: 'range', 'aria-hidden': 'true', preserveAspectRatio: 'none' },
    svg('rect', { x: 0, y: 1, width: 100 * share, height: 10, class: 'mark' }));
}
