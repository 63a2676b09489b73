// The list of cards, newest first.
import { Card } from "./card.js";
import { byId } from "./dom.js";
import { notice } from "./notice.js";
import { randomSeed } from "./random.js";
import { isOver, phase, seedOf } from "./records.js";
import { speak } from "./speak.js";
import { count } from "./words.js";

const TOLD = {
  succeeded: () => "is ready.",
  failed: ({ view }) => `failed. ${view.problem?.message ?? ""}`,
  cancelled: () => "is cancelled.",
  lost: ({ problem }) => `is not there any more. ${problem.message}`,
  stuck: ({ problem }) => `is out of reach. ${problem.message}`,
  unsent: ({ problem }) => `is not sent. ${problem.message} ${problem.advice}`,
};

export class History {
  #cards = new Map();
  #phases = new Map();
  #quiet = true;

  constructor(tryons, photos) {
    Object.assign(this, { tryons, photos });
    this.list = byId("cards");
    tryons.addEventListener("change", ({ detail }) => this.#changed(detail));
    byId("forget-all").addEventListener("click", () => this.#forgetAll());
    this.#count();
  }

  // From now on what happens is told; what was kept is not news.
  listen() {
    this.#quiet = false;
  }

  #changed(record) {
    if (!this.tryons.records.has(record.id)) this.#remove(record);
    else if (this.#cards.has(record.id)) this.#cards.get(record.id).show();
    else this.#add(record);
    this.#tell(record);
    this.#count();
  }

  #add(record) {
    const card = new Card(record, this.photos, this.#actions());
    this.#cards.set(record.id, card);
    this.list.prepend(card.element);
  }

  #remove({ id }) {
    const card = this.#cards.get(id);
    if (!card) return;
    const focused = card.element.contains(document.activeElement);
    const next = card.element.nextElementSibling ?? card.element.previousElementSibling;
    card.element.remove();
    this.#cards.delete(id);
    if (focused) (next?.querySelector("h3") ?? byId("history-title")).focus();
  }

  #tell(record) {
    const now = this.tryons.records.has(record.id) ? phase(record) : null;
    const before = this.#phases.get(record.id);
    this.#phases.set(record.id, now);
    if (!this.#quiet && now !== before && now in TOLD) speak(`${record.name} ${TOLD[now](record)}`);
  }

  #count() {
    const all = [...this.tryons.records.values()];
    byId("none").hidden = all.length > 0;
    byId("forget-all").hidden = !all.some(isOver);
  }

  #actions() {
    const { tryons } = this;
    const again = async (record, fields) => {
      try {
        const [made] = await tryons.again(record, { ...record.fields, ...fields });
        this.reveal(made);
      } catch (problem) {
        notice(problem);
      }
    };
    return {
      cancel: (record) => !record.cancelling && tryons.cancel(record).catch(notice),
      again: (record) => again(record, { seed: randomSeed() }),
      same: (record) => again(record, seedOf(record) ? { seed: seedOf(record) } : {}),
      resend: (record) => tryons.resend(record),
      take: (record) => tryons.take(record),
      forget: (record) => tryons.forget(record).then(() => speak(`${record.name} forgotten.`)),
    };
  }

  // A card that has just come, where a person looks for it: on a phone it is below the form.
  reveal(record) {
    const { element } = this.#cards.get(record.id);
    element.scrollIntoView({ block: "nearest" });
    element.querySelector("h3").focus({ preventScroll: true });
  }

  async #forgetAll() {
    const dialog = byId("forget-dialog");
    const over = [...this.tryons.records.values()].filter(isOver);
    byId("forget-count").textContent = count(over.length, "try-on", "try-ons");
    dialog.returnValue = "";
    dialog.showModal();
    await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
    if (dialog.returnValue !== "forget") return;
    for (const record of over) await this.tryons.forget(record);
    byId("history-title").focus();
    speak(`${count(over.length, "try-on", "try-ons")} forgotten.`);
  }
}
