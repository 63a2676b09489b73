// A try-on on the page. What it shows of its phase is built once, and then kept up to date in place, so that nobody
// loses the focus under their fingers.
import { comparison } from "./compare.js";
import { h } from "./dom.js";
import { icon } from "./icons.js";
import { advice } from "./problems.js";
import { isOver, phase, seedOf } from "./records.js";
import { Steps } from "./steps.js";
import { listed, moment, place, seconds } from "./words.js";

const ENDED_WITHOUT = new Set(["failed", "cancelled", "lost", "stuck"]);
const UNDER_WAY = new Set(["waiting", "running"]);
const STATES = {
  unsent: "Not sent",
  sending: "Sending",
  running: "Under way",
  succeeded: "Ready",
  failed: "Failed",
  cancelled: "Cancelled",
  lost: "Not there any more",
  stuck: "Out of reach",
};

export class Card {
  // actions: { cancel, again, same, resend, take, forget }, each gets the record
  constructor(record, photos, actions) {
    Object.assign(this, { record, photos, actions });
    this.garment = h("img", { class: "garment-small", alt: "" });
    this.title = h("h3", { id: `title-${record.id}`, tabIndex: -1, title: record.name }, listed(record.name));
    this.seed = h("span");
    const forget = () => actions.forget(record);
    this.forget = h("button", { type: "button", class: "bare", onclick: forget }, icon("clear"), "Forget");
    this.state = h("span", { class: "state" });
    this.about = h("p", { class: "about" });
    this.picture = h("div", { class: "picture" });
    this.body = h("div", { class: "body" });
    const words = h("div", { class: "words" }, this.title, this.about);
    const head = h("header", { class: "card-head" }, this.garment, words, this.state);
    const foot = h("footer", { class: "foot" }, this.seed, this.forget);
    const parts = [head, this.picture, this.body, foot];
    this.article = h("article", { class: "card", "aria-labelledby": this.title.id }, parts);
    this.article.dataset.shape = record.lying ? "lying" : "standing";
    this.element = h("li", {}, this.article);
    photos.url(record.photos.garment).then((url) => (url ? (this.garment.src = url) : this.garment.remove()));
    this.show();
  }

  show() {
    const { record } = this;
    const now = phase(record);
    const kind = UNDER_WAY.has(now) ? "under way" : now;
    const shown = `${kind} ${record.photos.result} ${record.problem?.code}`;
    this.state.textContent = stateOf(record, now);
    this.about.textContent = about(record);
    const seed = seedOf(record);
    this.seed.textContent = seed ? `Seed ${seed}` : "";
    this.forget.hidden = !isOver(record);
    this.article.dataset.phase = now;
    if (shown !== this.shown) {
      this.shown = shown;
      this.#build(now);
    }
    this.#update();
  }

  #build(now) {
    const focused = this.body.contains(document.activeElement);
    this.steps = null;
    this.body.replaceChildren(...this.#content(now), this.#buttons(now));
    this.#show(now);
    if (focused) this.title.focus();
  }

  #content(now) {
    const { view, problem } = this.record;
    if (view) this.steps = new Steps();
    return [
      problem && sentences(problem),
      now === "failed" && sentences({ ...view.problem, advice: advice(view.problem) }),
      this.steps?.element,
    ].filter(Boolean);
  }

  #buttons(now) {
    const { record } = this;
    const button = (act, label, drawing, kind = "quiet") =>
      h("button", { type: "button", class: kind, onclick: () => this.actions[act](record) }, icon(drawing), label);
    const problem = record.problem ?? record.view?.problem;
    const worthIt = problem?.retryable ? "main" : "quiet";
    const buttons = {
      sending: [],
      waiting: [button("cancel", "Cancel", "stop")],
      running: [button("cancel", "Cancel", "stop")],
      succeeded: [record.photos.result && this.#download(), button("again", "Again with another seed", "again")],
      failed: [button("same", "Try again", "again", worthIt)],
      cancelled: [button("again", "Again with another seed", "again")],
      unsent: [button("resend", "Try again", "again", worthIt)],
      stuck: [button("take", "Try again", "again", "main")],
      lost: [button("same", "Send again", "again", "main")],
    };
    return h("div", { class: "buttons" }, buttons[now]);
  }

  #download() {
    const link = h("a", { class: "button main" }, icon("download"), "Download");
    const { photos, remote } = this.record;
    this.photos.file(photos.result).then((file) => {
      link.download = `tryon_${remote}.${file.type.split("/")[1]?.replace("jpeg", "jpg") ?? "png"}`;
    });
    this.photos.url(photos.result).then((url) => (link.href = url));
    return link;
  }

  async #show(now) {
    const { photos, name } = this.record;
    const original = await this.photos.url(photos.original);
    const result = photos.result && (await this.photos.url(photos.result));
    // Meanwhile it may have gone on.
    if (phase(this.record) !== now) return;
    if (result) return this.picture.replaceChildren(comparison(original, result, name));
    if (this.preview) return;
    this.preview = h("img", { class: "preview", alt: "The picture forming", hidden: true });
    const ground = original && h("img", { class: "ground", src: original, alt: "" });
    this.picture.replaceChildren(...[ground, this.preview].filter(Boolean));
    this.#update();
  }

  #update() {
    const { view, preview, cancelling } = this.record;
    this.steps?.show(view.steps);
    const stop = this.body.querySelector(".buttons button");
    if (cancelling && stop && !isOver(this.record)) {
      stop.setAttribute("aria-disabled", "true");
      stop.lastChild.textContent = "Cancelling";
    }
    if (!this.preview) return;
    if (preview) this.preview.src = preview;
    this.preview.hidden = !preview || ENDED_WITHOUT.has(phase(this.record));
  }
}

function stateOf({ held, view }, now) {
  if (now === "sending" && held) return "Waits for the server";
  return now === "waiting" ? place(view.position) : STATES[now];
}

function about(record) {
  const { created, view } = record;
  const parts = [moment(new Date(created))];
  const ended = view?.steps.map(({ finished }) => finished).filter(Boolean);
  if (phase(record) === "succeeded" && ended.length) {
    parts.push(`took ${seconds(Math.max(...ended.map(Date.parse)) - Date.parse(view.submitted))}`);
  }
  return parts.join(" · ");
}

function sentences({ message, advice: todo }) {
  return h("p", { class: "problem" }, icon("failed"), h("span", {}, [message, todo].filter(Boolean).join(" ")));
}
