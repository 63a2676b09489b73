// The photo with the green area over it: keeps strokes and canvas together, whatever the strokes come from.
import { byId } from "./dom.js";
import { drawAll, drawStroke } from "./ink.js";
import { Strokes } from "./strokes.js";

// More is not seen on any screen.
const SHOWN_MEGAPIXELS = 2;

export class Painter extends EventTarget {
  tool = "brush";
  size = 0.1;
  picture = null;
  strokes = new Strokes();
  #stroke = null;

  constructor() {
    super();
    this.stage = byId("stage");
    this.photo = byId("photo");
    this.area = byId("area");
    this.ring = byId("ring");
  }

  async show(picture) {
    const drawn = await picture.drawn(SHOWN_MEGAPIXELS);
    for (const canvas of [this.photo, this.area]) Object.assign(canvas, { width: drawn.width, height: drawn.height });
    this.photo.getContext("2d").drawImage(drawn, 0, 0);
    this.stage.style.setProperty("--shape", `${drawn.width} / ${drawn.height}`);
    this.picture = picture;
    this.strokes = new Strokes();
    this.#stroke = null;
    this.#changed();
  }

  // Height of the photo, where its width is 1.
  get height() {
    return this.photo.height / this.photo.width;
  }

  begin(point, tool = this.tool) {
    this.#stroke = { tool, size: this.size, points: [point] };
    drawStroke(this.area, this.#stroke);
  }

  extend(points) {
    if (!this.#stroke) return;
    const drawn = this.#stroke.points.length;
    this.#stroke.points.push(...points);
    drawStroke(this.area, this.#stroke, drawn);
  }

  end() {
    if (!this.#stroke) return;
    this.strokes.add(this.#stroke);
    this.#stroke = null;
    // Drawn piece by piece its edge differs by a hair from what is sent.
    this.#redraw();
  }

  // The stroke was not meant: two fingers were about to zoom.
  drop() {
    this.#stroke = null;
    this.#redraw();
  }

  undo() {
    return this.strokes.undo() && this.#redraw();
  }

  redo() {
    return this.strokes.redo() && this.#redraw();
  }

  clear() {
    this.strokes.clear();
    this.#redraw();
  }

  // The ring shows what the brush would cover.
  point([x, y]) {
    const { style } = this.ring;
    style.setProperty("--x", x);
    style.setProperty("--y", y / this.height);
    style.setProperty("--size", this.size);
    this.ring.hidden = false;
  }

  #redraw() {
    drawAll(this.area, this.strokes.done);
    this.#changed();
    return true;
  }

  #changed() {
    this.dispatchEvent(new Event("change"));
  }
}
