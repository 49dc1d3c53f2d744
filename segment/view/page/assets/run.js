// The page of a run: scores, curves, cases, configuration and provenance.

const FIRST_CASES = 50; // rows of the table before "show all"

function runPage(data) {
  const shown = element('div', { id: 'case' });
  const open = (index) => openCase(data, shown, index);
  return [
    heading(data), notesOf(data.notes),
    section('Scores', [summaryTable(data)]),
    section('Curves', curves(data)),
    section('Cases, worst first', data.cases.length ? [charts(data, open), shown, casesTable(data, open)] : []),
    section('Confusion', [confusionTable(data)]),
    section('Configuration', data.configuration.length ? [configurationTable(data)] : []),
    section('Provenance', provenance(data)),
    footer(data),
  ];
}

/** A section with a heading; null if it has no content. */
function section(title, content) {
  const parts = content.filter((part) => part !== null);
  return parts.length ? element('section', {}, element('h2', {}, title), parts) : null;
}

function organLabel(data, organ) {
  const found = data.organs.find((one) => one.name === organ);
  return element('span', {}, found ? swatch(found.color) : null, name(organWords(organ)));
}

function summaryTable(data) {
  if (!data.summary.length) return null;
  const headings = ['organ', ...data.metrics.map((metric) => `>${metric.title}`), '>lowest Dice', '>cases'];
  const rows = data.summary.map((row) => [
    organLabel(data, row.organ), ...data.metrics.map(({ key, digits: decimals }) => fixed(row[key], decimals)),
    fixed(row.lowest_dice, 3), String(row.cases),
  ]);
  return element('div', {}, table(headings, rows), element('p', { class: 'faint' }, data.summary_note));
}

function curves(data) {
  const { curves: known } = data;
  const color = (organ) => data.organs.find((one) => one.name === organ)?.color ?? 'currentColor';
  const organs = data.organs.map((organ) => ({
    name: organWords(organ.name), color: color(organ.name), points: known[`val/dice/${organ.name}`] ?? [],
  }));
  const mean = { name: 'mean', color: 'currentColor', dash: '5 3', points: known['val/dice/mean'] ?? [] };
  const losses = [
    { name: 'training', color: '#0072b2', points: known['train/loss_step'] ?? known['train/loss'] ?? [] },
    { name: 'validation', color: '#d55e00', dash: '6 3', points: known['val/loss'] ?? [] },
  ];
  const rate = [{ name: 'learning rate', color: '#009e73', points: known['train/lr'] ?? [] }];
  const all = [lineChart('Loss', losses), lineChart('Dice in validation', [...organs, mean], [0, 1]), lineChart('Learning rate', rate)];
  const drawn = all.filter((chart) => chart !== null);
  return drawn.length ? [element('div', { class: 'charts' }, drawn)] : [];
}

function charts(data, open) {
  const metrics = data.metrics.map((metric) => ({ ...metric, high: metric.high ?? null }));
  const words = 'Each dot is a case; in each column the worst case is on the left. A click opens the case.';
  return element('div', {}, element('p', { class: 'faint' }, words),
    element('div', { class: 'charts' }, metrics.map((metric) => scoreChart(data.organs, data.cases, metric, open))));
}

function casesTable(data, open) {
  const headings = ['case', '>mean Dice', ...data.organs.map((organ) => `>${organWords(organ.name)}`)];
  const rows = data.cases.map((one, index) => [
    element('button', { type: 'button', class: 'link', onclick: () => open(index) }, name(one.name)), fixed(one.mean, 3),
    ...data.organs.map((organ) => fixed(one.scores[organ.name]?.dice, 3)),
  ]);
  const place = element('div', {});
  const show = (chosen) => place.replaceChildren(table(headings, chosen.slice(0, place.all ? undefined : FIRST_CASES)),
    chosen.length > FIRST_CASES && !place.all ? more(chosen) : '');
  const more = (chosen) => element('button', {
    type: 'button', onclick: () => { place.all = true; show(chosen); },
  }, `show all ${chosen.length} cases`);
  const field = filterField('find a case', (words) => show(rows.filter((_, index) =>
    data.cases[index].name.toLowerCase().includes(words))));
  show(rows);
  return element('div', {}, field, place);
}

function openCase(data, place, index) {
  const one = data.cases[index];
  const rows = data.organs.filter((organ) => one.scores[organ.name]).map((organ) => {
    const score = one.scores[organ.name];
    return [organLabel(data, organ.name), ...data.metrics.map(({ key, digits: decimals }) => fixed(score[key], decimals)),
      fixed(score.volume_ml_reference, 0), fixed(score.volume_ml_pred, 0)];
  });
  const headings = ['organ', ...data.metrics.map((metric) => `>${metric.title}`), '>reference mL', '>predicted mL'];
  const links = Object.entries(one.files).map(([label, path]) => element('a', { href: path }, label));
  const words = 'Solid: the prediction. White, dashed: the reference. The patient’s right is on the left.';
  const picture = one.picture ? [element('p', { class: 'faint' }, words), element('img', {
    src: `data:image/webp;base64,${document.getElementById(one.picture).textContent}`, class: 'overlay',
    alt: `planes through the organs of ${one.name}, with contours`,
  })] : [element('p', { class: 'faint' }, one.no_picture)];
  const title = element('h3', { tabindex: -1 }, name(one.name));
  place.replaceChildren(element('article', { class: 'opened' }, title, table(headings, rows), picture,
    links.length ? element('p', {}, 'Beside this page: ', links.flatMap((link) => [link, ' '])) : null));
  title.focus({ preventScroll: true });
  place.scrollIntoView({ block: 'start' });
}

function confusionTable(data) {
  if (!data.confusion) return null;
  const { classes, shares } = data.confusion;
  const headings = ['reference', ...classes.map((one) => `>${organWords(one)}`)];
  const rows = classes.map((one, row) => [organLabel(data, one), ...shares[row].map((share) => shade(share))]);
  const words = 'Share of the voxels of each reference class (row) by predicted class (column).';
  return element('div', {}, element('p', { class: 'faint' }, words), table(headings, rows, { class: 'confusion' }));
}

function shade(share) {
  const made = element('span', { class: 'share' }, share === null ? '–' : share.toFixed(3));
  made.style.setProperty('--share', `${Math.round(100 * (share ?? 0))}%`);
  return made;
}

function configurationTable(data) {
  const rows = data.configuration.map(({ key, value, standard, differs }) => ({
    differs, text: `${key} ${value}`.toLowerCase(),
    cells: [element('code', {}, name(key)), element('code', {}, name(value)), differs ? element('code', {}, name(standard)) : ''],
  }));
  const place = element('div', {});
  const state = { words: '', only: rows.some((row) => row.differs) };
  const show = () => {
    const chosen = rows.filter((row) => (!state.only || row.differs) && row.text.includes(state.words));
    place.replaceChildren(element('p', { class: 'faint' }, `${chosen.length} of ${rows.length} keys`),
      table(['key', 'value', 'default, if it differs'], chosen.map((row) => row.cells), { class: 'configuration' }));
  };
  const field = filterField('find a key or value', (words) => { state.words = words; show(); });
  const only = toggle(state.only, ['only what differs from the default'], (on) => { state.only = on; show(); });
  show();
  return element('div', {}, notesOf(data.configuration_notes), element('div', { class: 'controls' }, field, only), place);
}

function provenance(data) {
  const rows = data.provenance.map(([label, value]) => [label, name(value)]);
  const diff = data.diff ? element('details', {}, element('summary', {}, 'uncommitted changes'), element('pre', {}, data.diff)) : null;
  return rows.length ? [table(['fact', 'value'], rows), diff] : [];
}
