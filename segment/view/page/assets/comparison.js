// The page of a comparison: arms, verdicts, figure, scores, paired differences and runs. A reason that many rows share
// is stated once, and the rows refer to its number.

function comparisonPage(data) {
  return [
    heading(data),
    section('Arms', [armsTable(data)]),
    section('Verdict', verdicts(data)),
    section('Figure', [comparisonFigure(data)]),
    section('Scores', [scoresTable(data)]),
    section('Paired differences', differences(data)),
    section('Runs', [comparedRuns(data)]),
    element('p', { class: 'faint' }, `${data.cases} test cases; ${levelWords(data)} intervals; ${data.settings.resamples} bootstrap`
      + ` samples, seed ${data.settings.seed}.`),
    footer(data),
  ];
}

function levelWords(data) {
  return `${Number((100 * (1 - data.settings.alpha)).toPrecision(6))} %`;
}

/** The arms, and all configuration keys in which they differ. */
function armsTable(data) {
  const rows = data.arms.map((arm) => [arm.arm, element('span', { class: 'name words' }, name(arm.recipe)), String(arm.runs.length),
    [...new Set(arm.runs.map((run) => run.seed).filter((seed) => seed !== null))].join(', '),
    arm.parameters === null ? '–' : arm.parameters.toLocaleString('en'), arm.hours === null ? '–' : digits(arm.hours, 2)]);
  const made = table(['arm', 'recipe', '>runs', 'seeds', '>parameters', '>hours per run'], rows, { class: 'compact' });
  const keys = [...new Set(data.arms.flatMap((arm) => Object.keys(arm.differs)))];
  if (!keys.length) return made;
  const values = keys.map((key) => [element('code', {}, name(key)), ...data.arms.map((arm) => element('code', {}, name(arm.differs[key] ?? '–')))]);
  return element('div', {}, made, element('details', {}, element('summary', {}, `all differences of the configurations (${keys.length})`),
    table(['key', ...data.arms.map((arm) => arm.arm)], values, { class: 'configuration' })));
}

function verdicts(data) {
  if (!data.verdicts.length && !data.remarks.length) return [];
  const pairs = data.verdicts.flatMap(({ first, second, sentences }) => [
    element('h3', {}, name(`${second} against ${first}`)), element('ul', {}, sentences.map((sentence) => element('li', {}, withReasons(sentence)))),
  ]);
  const reasons = data.reasons.map((reason, index) => element('li', { id: `reason-${index + 1}` }, `[${index + 1}] `, name(reason)));
  return [...pairs, reasons.length ? element('ul', { class: 'reasons' }, reasons) : null,
    data.remarks.length ? notesOf(data.remarks) : null];
}

/** Text in which each number like [1] is a link to the reason with this number. */
function withReasons(text) {
  return String(text).split(/(\[\d+\])/).map((part) => (/^\[\d+\]$/.test(part)
    ? element('a', { href: `#reason-${part.slice(1, -1)}` }, part) : part));
}

function comparisonFigure(data) {
  const words = `Dots are patients, each the mean of an arm’s seeds; lines join the dots of one patient. Diamonds are means over`
    + ` patients with their ${levelWords(data)} intervals, ticks the means of single seeds.`;
  return element('figure', { class: 'figure' }, element('img', {
    src: `data:image/png;base64,${document.getElementById(data.figure).textContent}`, alt: 'scores and paired differences of all arms',
  }), element('figcaption', { class: 'faint' }, words));
}

function scoresTable(data) {
  const organs = [...new Set(data.scores.map((row) => row.organ))];
  const rows = data.metrics.flatMap((metric) => organs.map((organ, index) => [
    index ? '' : metric.title, name(organWords(organ)), ...data.arms.map(({ arm }) => scoreCell(data, metric, organ, arm)),
  ]));
  const words = `Mean and ${levelWords(data)} interval; below, the standard deviation over patients and, with several seeds, of the`
    + ' seeds’ means.';
  return element('div', {}, element('p', { class: 'faint' }, words),
    table(['metric', 'organ', ...data.arms.map((arm) => `>${arm.arm}`)], rows, { class: 'scores' }));
}

function scoreCell(data, metric, organ, arm) {
  const row = data.scores.find((one) => one.metric === metric.key && one.organ === organ && one.arm === arm);
  if (!row) return '–';
  const shown = (value, more = 0) => fixed(value, metric.digits + more);
  return element('span', {}, `${shown(row.mean)} [${shown(row.low)}, ${shown(row.high)}]`, element('br'),
    element('span', { class: 'faint' }, `${shown(row.sd_patients)} / ${shown(row.sd_seeds, 1)}`));
}

/** The tests as a table that can be sorted, and reduced to those that show a difference. */
function differences(data) {
  if (!data.differences.length) return [];
  const metric = (row) => data.metrics.find(({ key }) => key === row.metric);
  const p = (row) => (row.p_wilcoxon === null && row.p_seeds === null ? null : Math.max(row.p_wilcoxon ?? 0, row.p_seeds ?? 0));
  const amount = (key) => ({ value: (row) => inUnit(metric(row), row[key]), right: true });
  const columns = [
    { title: 'pair', value: (row) => `${row.second} minus ${row.first}` },
    { title: 'organ', value: (row) => organWords(row.organ), cell: (row) => name(organWords(row.organ)) },
    { title: 'metric', value: (row) => metric(row).title.split(' ')[0] },
    { title: 'patients', value: (row) => row.patients, right: true },
    { title: 'difference', ...amount('difference'), cell: (row) => `${differenceWords(metric(row), row.difference, true)} ${metric(row).unit}` },
    { title: 'interval', ...amount('low'), cell: (row) => `[${differenceWords(metric(row), row.low)}, ${differenceWords(metric(row), row.high)}]` },
    { title: 'p', value: p, right: true, cell: (row) => chanceWords(p(row)) },
    { title: 'p (Holm)', value: (row) => row.p_holm, right: true, cell: (row) => chanceWords(row.p_holm) },
    { title: 'detectable', ...amount('detectable'), cell: (row) => differenceWords(metric(row), row.detectable) },
    { title: 'better', value: (row) => row.better, cell: (row) => row.better || '–' },
    { title: 'note', value: (row) => row.note, cell: (row) => element('span', {}, withReasons(row.note)) },
  ];
  const sorted = new SortableTable(columns, data.differences, { mark: (row) => row.better !== '', what: 'tests', first: 100, class: 'tests compact' });
  const only = toggle(false, ['only tests that show a difference'], (on) => sorted.show(data.differences.filter((row) => !on || row.better)));
  const words = 'Between scores of the same patients, in points (hundredths) or mm. p: the p-value of Wilcoxon’s test over patients. If an'
    + ' arm has several seeds, a second test also takes the variation between seeds into account, and the larger p-value is shown.'
    + ' p (Holm): corrected for all tests in this table. Detectable: the smallest true difference that this test set would reveal'
    + ' with a probability of 80 %.';
  return [element('p', { class: 'faint' }, words), element('div', { class: 'controls' }, only), sorted.element];
}

/** A difference in the unit in which it is shown, to sort by. */
function inUnit(metric, value) {
  return value === 'infinite' ? Infinity : value === null ? null : value * metric.scale;
}

/** A difference without its unit; two decimals if one decimal would show zero. The same as in the tables on the terminal. */
function differenceWords(metric, value, signed = false) {
  if (value === null) return '–';
  if (value === 'infinite') return '∞';
  const size = value * metric.scale;
  const text = Math.abs(size).toFixed(Math.abs(size) >= 0.095 || size === 0 ? 1 : 2);
  if (Number(text) === 0) return text;
  return `${size < 0 ? '-' : signed ? '+' : ''}${text}`;
}

function chanceWords(p) {
  if (p === null) return '–';
  if (p < 0.0001) return '<0.0001';
  return p < 0.001 ? p.toFixed(4) : p.toFixed(p < 0.1 ? 3 : 2);
}

function comparedRuns(data) {
  const rows = data.arms.flatMap((arm) => arm.runs.map((run) => [arm.arm, run.page ? element('a', { href: run.page }, name(run.name)) : name(run.name), String(run.seed ?? '–'),
    element('code', {}, name(run.code || '–')), run.seen ? String(run.seen) : '–']));
  return table(['arm', 'run', '>seed', 'code', '>training and validation cases'], rows, { class: 'compact' });
}
