// Tables whose headings sort their rows. Long ones show their first rows until all are asked for.

class SortableTable {
  /**
   * `columns` are {title, value, cell, right}: `value(row)` is the number or text to sort by, null if there is none;
   * `cell(row)` is the text or element to show, by default the value; `right` aligns numbers to the right; `words`
   * makes a column wide enough for a sentence.
   * Options: `first`, the number of rows to show; `by` and `down`, the order at the start (null: that of the rows);
   * `mark(row)`, whether to highlight a row; `what`, the word for rows.
   */
  constructor(columns, rows, options = {}) {
    const { first = 50, by = null, down = false, mark = () => false, what = 'rows', ...properties } = options;
    Object.assign(this, { columns, rows, first, by, down, mark, what, properties, all: false });
    this.element = element('div', {});
    this.draw();
  }

  /** Show other rows, in the same order. */
  show(rows) {
    this.rows = rows;
    this.draw();
  }

  sort(column) {
    this.down = this.by === column ? !this.down : Boolean(this.columns[column].right);
    this.by = column;
    this.draw();
    this.element.querySelectorAll('th button')[column].focus();
  }

  draw() {
    const shown = this.ordered().slice(0, this.all ? undefined : this.first);
    const body = shown.map((row) => element('tr', { class: this.mark(row) ? 'marked' : null }, this.columns.map((column) => element(
      'td', { class: column.right ? 'number' : column.words ? 'words' : null }, column.cell ? column.cell(row) : String(column.value(row) ?? '–'),
    ))));
    const head = element('tr', {}, this.columns.map((column, index) => this.heading(column, index)));
    const table = element('table', this.properties, element('thead', {}, head), element('tbody', {}, body));
    const more = element('button', { type: 'button', onclick: () => { this.all = true; this.draw(); } },
      `show all ${this.rows.length} ${this.what}`);
    this.element.replaceChildren(element('div', { class: 'scroll' }, table), shown.length < this.rows.length ? more : '');
  }

  heading(column, index) {
    const order = index !== this.by ? null : this.down ? 'descending' : 'ascending';
    const sign = { descending: ' ▼', ascending: ' ▲' }[order] ?? '';
    const button = element('button', { type: 'button', class: 'sort', onclick: () => this.sort(index) }, name(column.title), sign);
    return element('th', { class: column.right ? 'number' : null, 'aria-sort': order, scope: 'col' }, button);
  }

  /** The rows in the chosen order; those without a value come last in both directions. */
  ordered() {
    if (this.by === null) return this.rows;
    const { value } = this.columns[this.by];
    const known = (row) => value(row) !== null && value(row) !== undefined && value(row) !== '';
    const compare = (a, b) => (typeof a === 'number' && typeof b === 'number'
      ? a - b : String(a).localeCompare(String(b), 'en', { numeric: true }));
    const some = this.rows.filter(known).sort((a, b) => (this.down ? -1 : 1) * compare(value(a), value(b)));
    return [...some, ...this.rows.filter((row) => !known(row))];
  }
}
