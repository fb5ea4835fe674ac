// An X-ray on a canvas: window and level, zoom, inversion, millimeters, a heat map over it.
const FULL = 255; // window width and greatest gray level of an image as it comes
const RAMP = [[0, 0, 4], [66, 10, 104], [147, 38, 103], [221, 81, 58], [252, 165, 10],
  [252, 255, 164]]; // inferno: grows in lightness

export async function decode(text) { // PNG → gray levels
  const bytes = Uint8Array.from(atob(text), letter => letter.charCodeAt(0));
  const bitmap = await createImageBitmap(new Blob([bytes], { type: 'image/png' }),
    { colorSpaceConversion: 'none', premultiplyAlpha: 'none' });
  const canvas = new OffscreenCanvas(bitmap.width, bitmap.height);
  const context = canvas.getContext('2d');
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const gray = new Uint8Array(data.length / 4);
  for (let i = 0; i < gray.length; i++) gray[i] = data[4 * i];
  return { gray, width: bitmap.width, height: bitmap.height };
}

export function canvasOf({ gray, width, height }, table) { // table: gray level → 0xAABBGGRR
  const canvas = new OffscreenCanvas(width, height), data = new ImageData(width, height);
  const words = new Uint32Array(data.data.buffer);
  for (let i = 0; i < gray.length; i++) words[i] = table[gray[i]];
  canvas.getContext('2d').putImageData(data, 0, 0);
  return canvas;
}

export function heatColors() { // 0: veil where the network saw nothing; else clear where it is low
  const table = new Uint32Array(256);
  for (let level = 0; level < 256; level++) {
    const t = Math.max(level - 1, 0) / 254, place = Math.min(t * 5, 4.999), low = Math.floor(place);
    const color = RAMP[low].map((v, c) => Math.round(v + (RAMP[low + 1][c] - v) * (place - low)));
    const [r, g, b, a] = level ? [...color, 255 * t] : [128, 128, 128, 150];
    table[level] = (a << 24 | b << 16 | g << 8 | r) >>> 0;
  }
  return table;
}

export class View {
  constructor(root, title) {
    const find = selector => root.querySelector(selector);
    [this.canvas, this.select, this.drag] = [find('canvas'), find('select'), find('.drag')];
    [this.width, this.level, this.invert] = [find('.width'), find('.level'), find('[data-key=i]')];
    Object.assign(this, { root, title, image: null, ruler: null, pointers: new Map() });
    this.select.id = find('.which').htmlFor = `image-${title}`;
    find('.which').textContent = title;
    for (const button of root.querySelectorAll('button'))
      button.onclick = () => this.key(button.dataset.key);
    this.width.oninput = this.level.oninput = () => this.windowed();
    this.canvas.onkeydown = event => { if (this.key(event.key)) event.preventDefault(); };
    this.canvas.addEventListener('wheel', event => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY / 400), event.offsetX, event.offsetY);
    }, { passive: false });
    for (const kind of ['down', 'move', 'up', 'cancel'])
      this.canvas.addEventListener(`pointer${kind}`, event => this.pointer(kind, event));
    new ResizeObserver(() => this.fit()).observe(this.canvas);
  }

  show(image) {
    Object.assign(this, { image, ruler: null, heat: null });
    for (const part of this.root.querySelectorAll('canvas, .row:not(:first-child)'))
      part.hidden = !image;
    if (image) this.key('0');
  }

  cover(heat, name, opacity) {
    Object.assign(this, { heat, heatName: name, opacity });
    this.paint();
  }

  fit() { // the whole image, in the middle
    const { clientWidth: w, clientHeight: h } = this.canvas, dense = window.devicePixelRatio || 1;
    if (!this.image || !w) return;
    [this.canvas.width, this.canvas.height] = [w * dense, h * dense];
    const { width, height } = this.image.pixels;
    this.scale = this.least = Math.min(w / width, h / height);
    [this.x, this.y] = [(w - width * this.scale) / 2, (h - height * this.scale) / 2];
    this.paint();
  }

  zoom(factor, x = this.canvas.clientWidth / 2, y = this.canvas.clientHeight / 2) {
    const scale = Math.min(Math.max(this.scale * factor, this.least / 2), 40);
    this.x = x - (x - this.x) * scale / this.scale;
    this.y = y - (y - this.y) * scale / this.scale;
    this.scale = scale;
    this.paint();
  }

  key(key) { // of the keyboard or a button; whether it has a meaning
    const step = { ArrowLeft: [40, 0], ArrowRight: [-40, 0], ArrowUp: [0, 40],
      ArrowDown: [0, -40] }[key];
    const shift = { w: [-15, 0], s: [15, 0], a: [0, -8], d: [0, 8] }[key];
    if (!this.image) return false;
    if (key === '+' || key === '=') this.zoom(1.25);
    else if (key === '-') this.zoom(0.8);
    else if (key === 'i') this.setInverted(!this.inverted);
    else if (key === '0') {
      [this.width.value, this.level.value, this.ruler] = [FULL, 128, null];
      this.setInverted(false);
      this.fit();
    } else if (step) { this.x += step[0]; this.y += step[1]; this.paint(); }
    else if (shift) this.windowed(...shift);
    else return false;
    return true;
  }

  setInverted(inverted) {
    this.inverted = inverted;
    this.invert.ariaPressed = String(inverted);
    this.windowed();
  }

  windowed(width = 0, level = 0) {
    this.width.value = Number(this.width.value) + width;
    this.level.value = Number(this.level.value) + level;
    this.shown = null;
    this.paint();
  }

  pointer(kind, event) {
    const now = [event.offsetX, event.offsetY], last = this.pointers.get(event.pointerId);
    if (kind === 'down') {
      this.canvas.setPointerCapture(event.pointerId);
      if (this.drag.value === 'measure') this.ruler = [this.inImage(now), this.inImage(now)];
    }
    if (kind === 'up' || kind === 'cancel') { this.pointers.delete(event.pointerId); return; }
    if (kind === 'move' && !last) return;
    this.pointers.set(event.pointerId, now);
    if (kind !== 'move') return;
    const [dx, dy] = [now[0] - last[0], now[1] - last[1]];
    const other = [...this.pointers].find(([id]) => id !== event.pointerId)?.[1];
    if (other) { // two fingers
      const reach = point => Math.hypot(point[0] - other[0], point[1] - other[1]);
      this.zoom(reach(now) / Math.max(reach(last), 1), ...other);
    } else if (this.drag.value === 'window') this.windowed(dx, -dy / 2);
    else if (this.drag.value === 'move') { this.x += dx; this.y += dy; this.paint(); }
    else { this.ruler[1] = this.inImage(now); this.paint(); }
  }

  inImage([x, y]) { return [(x - this.x) / this.scale, (y - this.y) / this.scale]; }

  paint() { // with the next frame, once
    this.frame ??= requestAnimationFrame(() => { this.frame = null; this.draw(); });
  }

  draw() {
    if (!this.image) return;
    const { pixels, record } = this.image, context = this.canvas.getContext('2d');
    const width = Number(this.width.value), level = Number(this.level.value);
    const dense = window.devicePixelRatio || 1;
    this.shown ??= canvasOf(pixels, Uint32Array.from({ length: 256 }, (_, v) => {
      const gray = Math.min(Math.max((v - level + width / 2) / width, 0), 1) * 255;
      const g = Math.round(this.inverted ? 255 - gray : gray);
      return (0xff << 24 | g << 16 | g << 8 | g) >>> 0;
    }));
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, this.canvas.width, this.canvas.height);
    const scale = this.scale * dense;
    context.setTransform(scale, 0, 0, scale, this.x * dense, this.y * dense);
    context.imageSmoothingEnabled = this.scale < 4;
    context.drawImage(this.shown, 0, 0);
    context.imageSmoothingEnabled = true;
    context.globalAlpha = this.heat ? this.opacity : 1;
    if (this.heat) context.drawImage(this.heat, 0, 0, pixels.width, pixels.height);
    context.globalAlpha = 1;
    context.setTransform(dense, 0, 0, dense, 0, 0);
    const mm = record.spacing_mm?.map((side, i) => // of a pixel that is shown: down, across
      side * record.size[1 - i] / [pixels.height, pixels.width][i]);
    this.scaleBar(context, mm);
    if (this.ruler) this.drawRuler(context, mm);
    const heat = this.heat ? `, heat map of ${this.heatName}` : '';
    this.canvas.ariaLabel = `${this.title}: ${this.image.name}${heat}`;
  }

  line(context, from, to, text) { // white on black: seen on any gray
    context.font = '14px system-ui, sans-serif';
    for (const [color, thick] of [['#000', 5], ['#fff', 2]]) {
      Object.assign(context, { strokeStyle: color, lineWidth: thick, fillStyle: color });
      context.beginPath();
      context.moveTo(...from);
      context.lineTo(...to);
      context.stroke();
      const place = [(from[0] + to[0]) / 2 + 6, Math.min(from[1], to[1]) - 8];
      if (color === '#000') context.strokeText(text, ...place);
      else context.fillText(text, ...place);
    }
  }

  scaleBar(context, mm) {
    if (!mm) return;
    const perMm = this.scale / mm[1], room = this.canvas.clientWidth / 3;
    const length = [200, 100, 50, 20, 10, 5, 2, 1].find(n => n * perMm <= room) ?? 1;
    const y = this.canvas.clientHeight - 14;
    this.line(context, [14, y], [14 + length * perMm, y], `${length} mm`);
  }

  drawRuler(context, mm) {
    const [a, b] = this.ruler, [down, across] = mm ?? [1, 1];
    const length = Math.hypot((b[0] - a[0]) * across, (b[1] - a[1]) * down);
    const unit = mm ? 'mm' : 'pixels', place = ([x, y]) => [x * this.scale + this.x,
      y * this.scale + this.y];
    this.line(context, place(a), place(b), `${length.toFixed(1)} ${unit}`);
  }
}
