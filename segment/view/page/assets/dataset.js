// The page of a data set: findings to filter by, a picture of each case, and a case with all its findings.

const FIRST_TILES = 60; // pictures before "show more"
const SIGNS = { error: '✖', warning: '▲', note: '●', none: '✓' }; // beside the colour

function datasetPage(data) {
  const opened = element('div', { id: 'case' });
  const gallery = new Gallery(data, (one) => openFound(data, opened, one));
  return [
    heading(data), notesOf(data.notes),
    section('Findings of the whole set', wholeSet(data)),
    section('Cases', data.cases.length ? [gallery.controls(), legendOf(data), opened, gallery.element] : []),
    footer(data),
  ];
}

/** Findings that belong to no case, e.g. to a source. */
function wholeSet(data) {
  const ofCases = new Set(data.cases.flatMap((one) => one.findings));
  const found = data.findings.filter((_, index) => !ofCases.has(index));
  return found.length ? [findingsList(found, null)] : [];
}

/** Findings with their remedies. Those of several cases say which, except the one that is shown. */
function findingsList(findings, shown) {
  return element('ul', { class: 'findings' }, findings.map((finding) => {
    const others = finding.case.split(', ').filter((other) => other !== shown);
    const more = others.length > 3 ? ` and ${others.length - 3} more` : '';
    const where = others.length ? element('p', { class: 'faint' }, shown ? 'also: ' : 'in: ', name(others.slice(0, 3).join(', ')), more) : null;
    return element('li', {}, element('p', {}, severityMark(finding.severity), ' ', element('strong', {}, name(checkWords(finding)))),
      element('p', {}, name(finding.what)), element('p', { class: 'faint' }, 'Remedy: ', name(finding.remedy)), where);
  }));
}

/** Organ and check of a finding. */
function checkWords({ organ, check }) {
  return `${organWords(organ ?? '')} ${check}`.trim();
}

function severityMark(severity) {
  return element('span', { class: `severity ${severity}` }, `${SIGNS[severity]} ${severity === 'none' ? 'nothing found' : severity}`);
}

function legendOf(data) {
  if (!data.organs.length) return null;
  return element('p', { class: 'legend' }, data.organs.map((organ) => element('span', {}, swatch(organ.color), name(organWords(organ.name)))));
}

/** The worst severity of a case: error, warning, note or none. */
function worstOf(data, one) {
  const found = new Set(one.findings.map((index) => data.findings[index].severity));
  return ['error', 'warning', 'note'].find((severity) => found.has(severity)) ?? 'none';
}

class Gallery {
  constructor(data, open) {
    Object.assign(this, { data, open, chosen: null, words: '', all: false });
    this.count = element('p', { class: 'faint', role: 'status' });
    this.place = element('div', { class: 'gallery' });
    this.more = element('button', { type: 'button', onclick: () => { this.all = true; this.draw(); } });
    this.element = element('div', {}, this.count, this.place, this.more);
    this.draw();
  }

  /** A button for each kind of finding, with its number of cases, and a search field. */
  controls() {
    const kinds = new Map();
    for (const one of this.data.cases) {
      const own = new Set(one.findings.map((index) => kindOf(this.data.findings[index])));
      for (const kind of own.size ? own : ['none']) kinds.set(kind, (kinds.get(kind) ?? 0) + 1);
    }
    const order = ['error', 'warning', 'note', 'none'];
    const sorted = [...kinds].sort(([a, m], [b, n]) => order.indexOf(a.split(' ')[0]) - order.indexOf(b.split(' ')[0]) || n - m);
    const buttons = sorted.map(([kind, count]) => this.kindButton(kind, count, () => buttons));
    const field = filterField('find a case or a finding', (words) => { this.words = words; this.draw(); });
    return element('div', {}, element('div', { class: 'controls kinds', role: 'group', 'aria-label': 'findings' }, buttons), field);
  }

  kindButton(kind, count, all) {
    const [severity, check] = [kind.split(' ')[0], kind.split(' ').slice(1).join(' ')];
    const button = element('button', { type: 'button', 'aria-pressed': 'false', onclick: () => {
      this.chosen = this.chosen === kind ? null : kind;
      for (const other of all()) other.setAttribute('aria-pressed', String(other === button && this.chosen === kind));
      this.draw();
    } }, element('span', { class: `severity ${severity}` }, SIGNS[severity]), ' ', name(check || 'nothing found'), element('span', { class: 'faint' }, ` ${count}`));
    return button;
  }

  matches(one) {
    const findings = one.findings.map((index) => this.data.findings[index]);
    if (this.chosen === 'none' && findings.length) return false;
    if (this.chosen && this.chosen !== 'none' && !findings.some((finding) => kindOf(finding) === this.chosen)) return false;
    const text = [one.name, ...findings.flatMap(({ check, what, organ }) => [check, what, organ])].join(' ').toLowerCase();
    return text.includes(this.words);
  }

  draw() {
    const found = this.data.cases.filter((one) => this.matches(one));
    const shown = found.slice(0, this.all ? undefined : FIRST_TILES);
    this.count.textContent = `${found.length} of ${this.data.cases.length} cases`;
    this.place.replaceChildren(...shown.map((one) => this.tile(one)));
    this.more.hidden = shown.length === found.length;
    this.more.textContent = `show all ${found.length} cases`;
  }

  tile(one) {
    const worst = worstOf(this.data, one);
    const checks = one.findings.map((index) => checkWords(this.data.findings[index]));
    return element('button', { type: 'button', class: `tile ${worst}`, onclick: () => this.open(one) }, pictureOf(one),
      element('span', { class: 'tile-name' }, name(one.name)),
      element('span', { class: `severity ${worst}` }, `${SIGNS[worst]} `, name([...new Set(checks)].join(', ') || 'nothing found')));
  }
}

function kindOf(finding) {
  return `${finding.severity} ${finding.check}`;
}

function pictureOf(one) {
  if (!one.picture) return element('span', { class: 'no-picture' }, 'no picture');
  return element('img', { src: `data:image/webp;base64,${document.getElementById(one.picture).textContent}`, decoding: 'async',
    alt: 'a coronal and an axial plane with the contours of the organs' });
}

function openFound(data, place, one) {
  const title = element('h3', { tabindex: -1 }, name(one.name));
  const findings = one.findings.map((index) => data.findings[index]);
  const words = 'Left: coronal, right: axial, through the organs, all cases at one scale. The patient’s right is on the left.';
  place.replaceChildren(element('article', { class: 'opened' }, title,
    findings.length ? findingsList(findings, one.name) : element('p', {}, severityMark('none')),
    one.picture ? element('p', { class: 'faint' }, words) : null, element('div', { class: 'large' }, pictureOf(one))));
  title.focus({ preventScroll: true });
  place.scrollIntoView({ block: 'start' });
}
