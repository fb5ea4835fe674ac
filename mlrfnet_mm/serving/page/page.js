// The page of mlrfnet serve. All that comes from files or the server enters by textContent.
import { View, canvasOf, decode, heatColors } from './view.js';

const $ = id => document.getElementById(id);
const images = []; // {name, file, record, picture, pixels, heats}
const views = [];
let token = '', model = null, finding = '';

function say(text) { $('status').textContent = text; }

function make(tag, text = '', parent = null, properties = {}) {
  const element = Object.assign(document.createElement(tag), properties);
  element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

const wait = seconds => new Promise(done => setTimeout(done, 1000 * seconds));

async function ask(path, options = {}) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  for (;;) {
    const answer = await fetch(path, { ...options, headers });
    if (answer.ok) return answer;
    if (answer.status === 429) {
      const seconds = Number(answer.headers.get('Retry-After')) || 1;
      say(`The server is busy. Asking again in ${seconds} s …`);
      await wait(seconds);
      continue;
    }
    if (answer.status === 401) $('token-form').hidden = false;
    let why = `status ${answer.status}`;
    try { why = (await answer.json()).detail; } catch { /* not of this server */ }
    throw new Error(why);
  }
}

async function start() {
  model = await (await ask('model')).json();
  $('token-form').hidden = true;
  $('model').textContent = `${model.stamp.model}, trained on ${model.stamp.trained_on}`;
  $('stamp').replaceChildren();
  const rows = { ...model.stamp, 'heat maps': model.heatmaps };
  for (const [key, value] of Object.entries(rows)) {
    make('dt', key, $('stamp'));
    make('dd', value, $('stamp'));
  }
  say('Ready.');
}

// -- files ---------------------------------------------------------------------------------------

function form(file) {
  const content = new FormData();
  content.append('files', file, file.name);
  return { method: 'POST', body: content };
}

function notRead(name, why) { make('li', `${name}: ${why}`, $('errors')); }

async function add(files) {
  const most = model.limits.megabytes * 1e6;
  let good = 0;
  for (const [i, file] of files.entries()) {
    say(`Reading ${i + 1} of ${files.length}: ${file.name} …`);
    try {
      if (file.size > most) throw new Error(`more than ${model.limits.megabytes} MB`);
      const answer = await (await ask('predict', form(file))).json();
      const record = answer.predictions[0], picture = (answer.pictures || [])[0];
      if (!picture) throw new Error(record.error);
      const pixels = await decode(picture.image);
      images.push({ name: file.name, file, record, picture, pixels, heats: {} });
      if (!good++) choose(images.length - 1);
      else refill();
    } catch (error) { notRead(file.name, error.message); }
  }
  say(`${good} of ${files.length} files read.`);
}

async function heatOf(image, name) {
  const text = name && image.picture.heats[name];
  if (!text) return null;
  image.heats[name] ??= canvasOf(await decode(text), heatColors());
  return image.heats[name];
}

// -- what is chosen ------------------------------------------------------------------------------

function refill() { // both lists of images
  for (const view of views) {
    view.select.replaceChildren();
    if (view.none) make('option', view.none, view.select, { value: '' });
    for (const [i, image] of images.entries())
      make('option', `${i + 1}: ${image.name}`, view.select, { value: i });
    view.select.value = images.indexOf(view.image) < 0 ? '' : images.indexOf(view.image);
  }
  views[1].root.hidden = images.length < 2;
}

function choose(number) { // the current image
  $('work').hidden = false;
  views[0].show(images[number]);
  refill();
  fill();
}

const number = value => value == null ? '–' : value.toFixed(3);
const shownValue = row => row.probability ?? row.score;

function fill() { // table and notes of the current image
  const current = views[0].image, prior = views[1].image;
  const found = Object.entries(current.record.findings).sort(([, a], [, b]) =>
    (a.probability == null) - (b.probability == null) || shownValue(b) - shownValue(a));
  const calibrated = found.some(([, row]) => row.probability != null);
  const heads = ['Finding', calibrated ? 'Probability' : 'Score, not calibrated',
    ...prior ? ['Prior'] : [], 'Threshold', 'Decision'];
  $('columns').replaceChildren(...heads.map(text => make('th', text, null, { scope: 'col' })));
  $('findings').replaceChildren();
  for (const [name, row] of [['', null], ...found]) {
    const line = make('tr', '', $('findings')), label = make('label', '',
      make('th', '', line, { scope: 'row' }));
    const radio = make('input', '', label, { type: 'radio', name: 'finding', value: name });
    radio.checked = name === finding;
    radio.disabled = Boolean(name) && !current.picture.heats[name];
    radio.onchange = () => { finding = name; heats(); };
    make('span', name ? name.replaceAll('_', ' ') : 'no heat map', label);
    if (!row) { make('td', '', line, { colSpan: heads.length - 1 }); continue; }
    const mark = row.probability == null && calibrated ? ' (score)' : '';
    make('td', number(shownValue(row)) + mark, line);
    if (prior) make('td', number(shownValue(prior.record.findings[name])), line);
    make('td', number(row.threshold), line);
    make('td', row.decision ?? 'none', line, { className: row.decision ?? '' });
  }
  const { size, spacing_mm: mm, notes } = current.record, [w, h] = size;
  const extent = mm ? `, ${(w * mm[1]).toFixed(0)} × ${(h * mm[0]).toFixed(0)} mm` : ', mm unknown';
  $('notes').replaceChildren(...[`${w} × ${h} pixels${extent}`, ...notes].map(t => make('li', t)));
  heats();
}

async function heats() { // of the finding that is chosen now, over both images
  const name = finding;
  for (const view of views) {
    const image = view.image, heat = image && await heatOf(image, name);
    if (name !== finding || image !== view.image) return; // another was chosen meanwhile
    view.cover(heat, name.replaceAll('_', ' '), $('opacity').value / 100);
  }
}

function save(blob, name) {
  const link = make('a', '', null, { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

function saveJson() {
  const { notice, stamp } = model, predictions = images.map(image => image.record);
  const text = JSON.stringify({ notice, stamp, predictions }, null, 1);
  save(new Blob([text], { type: 'application/json' }), 'predictions.json');
}

async function saveReport() {
  say('Drawing the report …');
  save(await (await ask('report', form(views[0].image.file))).blob(), 'report.html');
  say('Report of the current image saved.');
}

async function example() {
  const files = [];
  for (const name of ['current', 'prior']) {
    const blob = await (await ask(`example/${name}.png`)).blob();
    files.push(new File([blob], `phantom_${name}.png`, { type: 'image/png' }));
  }
  await add(files);
}

const tried = work => work().catch(error => say(error.message));

const template = $('view').content.firstElementChild;
for (const [title, none] of [['Current', ''], ['Prior', 'none']]) {
  const view = new View(template.cloneNode(true), title);
  $('views').append(view.root);
  view.none = none;
  view.select.onchange = () => { view.show(images[view.select.value] ?? null); fill(); };
  view.show(null);
  views.push(view);
}
$('files').onchange = () => tried(async () => {
  const files = [...$('files').files];
  $('files').value = '';
  await add(files);
});
$('example').onclick = () => tried(example);
$('json').onclick = saveJson;
$('report').onclick = () => tried(saveReport);
$('opacity').oninput = () => {
  $('opacity-value').textContent = `${$('opacity').value} %`;
  heats();
};
$('token-form').onsubmit = event => {
  event.preventDefault();
  token = $('token').value;
  $('token').value = '';
  say('Asking …');
  tried(start);
};
addEventListener('dragover', event => { event.preventDefault(); $('drop').classList.add('over'); });
addEventListener('dragleave', () => $('drop').classList.remove('over'));
addEventListener('drop', event => {
  event.preventDefault();
  $('drop').classList.remove('over');
  tried(() => add([...event.dataTransfer.files]));
});
tried(start);
