// The steps of a try-on as a list that is kept up to date in place.
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { seconds, STEP_NAMES, STEP_STATES } from "./words.js";

const ICONS = { waiting: "waiting", running: "again", done: "done", failed: "failed", stopped: "stop" };

export class Steps {
  element = h("ol", { class: "steps" });
  #shown = [];

  show(steps) {
    steps.forEach((step, index) => {
      const told = JSON.stringify(step);
      if (this.#shown[index] === told) return;
      this.#shown[index] = told;
      const row = line(step);
      const old = this.element.children[index];
      if (!old) this.element.append(row);
      // A turning sign that is put in anew would start over.
      else if (old.dataset.state !== step.state) old.replaceWith(row);
      else old.querySelector(".detail").replaceWith(row.querySelector(".detail"));
    });
  }
}

function line(step) {
  const name = STEP_NAMES[step.name] ?? step.name;
  return h(
    "li",
    { class: "step", "data-state": step.state },
    h("span", { class: "mark" }, icon(ICONS[step.state])),
    h("span", { class: "step-name" }, name, h("span", { class: "unseen" }, `: ${STEP_STATES[step.state]}`)),
    h("span", { class: "detail" }, detail(step), bar(step, name)),
  );
}

function detail({ state, attempt, done, total, processing_time_ms: took }) {
  const parts = [];
  if (attempt > 1) parts.push(`attempt ${attempt}`);
  if (state === "running" && total > 1) parts.push(`${done} of ${total}`);
  if (state === "done" && took !== null && took !== undefined) parts.push(seconds(took));
  return h("span", {}, parts.join(", "));
}

function bar({ name, state, done, total }, label) {
  if (state !== "running" || name !== "sampling") return null;
  const progress = h("progress", { max: total || 1, "aria-label": label });
  progress.value = total ? done : 0;
  return progress;
}
