// Brush and eraser, their size, undo, redo and clear.
import { byId } from "./dom.js";
import { speak } from "./speak.js";

// The slider goes by eye: as many steps between small sizes as between large ones.
const SMALLEST = 0.01;
const LARGEST = 0.4;
const STEP = 10;

export class Tools {
  constructor(painter) {
    this.painter = painter;
    this.size = byId("size");
    this.size.addEventListener("input", () => this.#sized());
    for (const tool of ["brush", "eraser"]) byId(tool).addEventListener("change", () => (painter.tool = tool));
    for (const [id, [, act]] of Object.entries(this.#acts())) byId(id).addEventListener("click", act);
    byId("painter").addEventListener("keydown", (event) => this.#shortcut(event));
    painter.addEventListener("change", () => this.#show());
    this.#sized();
  }

  choose(tool) {
    byId(tool).checked = true;
    this.painter.tool = tool;
    speak(tool === "brush" ? "Brush." : "Eraser.");
  }

  resize(steps) {
    this.size.value = Number(this.size.value) + steps * STEP;
    this.#sized();
    speak(`Brush size ${this.size.value}.`);
  }

  #acts() {
    const { painter } = this;
    const told = (done, sentence) => done && speak(sentence);
    return {
      undo: ["z", () => told(painter.undo(), "Undone.")],
      redo: ["y", () => told(painter.redo(), "Redone.")],
      clear: [null, () => painter.clear()],
    };
  }

  #shortcut(event) {
    if (!(event.ctrlKey || event.metaKey)) return;
    const key = event.key.toLowerCase();
    const wanted = key === "z" && event.shiftKey ? "y" : key;
    for (const [letter, act] of Object.values(this.#acts())) {
      if (letter !== wanted) continue;
      event.preventDefault();
      act();
    }
  }

  #sized() {
    this.painter.size = SMALLEST * (LARGEST / SMALLEST) ** (this.size.value / this.size.max);
    this.painter.ring.style.setProperty("--size", this.painter.size);
  }

  #show() {
    const { strokes } = this.painter;
    // Not disabled: a button that has the focus would lose it.
    const idle = { undo: !strokes.done.length, redo: !strokes.undone.length, clear: strokes.empty };
    for (const [id, nothing] of Object.entries(idle)) byId(id).setAttribute("aria-disabled", nothing);
  }
}
