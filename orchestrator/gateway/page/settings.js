// The form of the settings: filled with the server's defaults, read for what was changed.
import { byId, h } from "./dom.js";
import { GROUPS } from "./fields.js";
import { HIGHEST_SEED } from "./random.js";

export class Settings {
  #defaults = {};
  #inputs = new Map();

  // `info` is what GET /v1/info answers. What it does not know is not shown.
  show({ defaults, choices }) {
    const groups = GROUPS.map(([title, fields]) => [title, fields.filter(({ name }) => name in defaults)]);
    for (const { name, fallback } of groups.flatMap(([, fields]) => fields)) {
      this.#defaults[name] = String(defaults[name] ?? fallback ?? "");
    }
    byId("fields").replaceChildren(
      ...groups.filter(([, fields]) => fields.length).map(([title, fields]) =>
        h("fieldset", {}, h("legend", {}, title), fields.map((field) => this.#row(field, choices[field.name]))),
      ),
    );
    this.reset();
  }

  reset() {
    for (const [name, input] of this.#inputs) input.value = this.#defaults[name];
    for (const input of this.#inputs.values()) this.#check(input);
  }

  // Text by name, of those that differ from the server's defaults.
  changed() {
    const given = [...this.#inputs].map(([name, input]) => [name, input.value.trim()]);
    return Object.fromEntries(given.filter(([name, value]) => value !== this.#defaults[name]));
  }

  get megapixels() {
    return Number(this.#inputs.get("megapixels")?.value ?? 1);
  }

  // The first that can't be sent, shown and with the focus; null if there is none.
  wrong() {
    const found = [...this.#inputs.values()].find((input) => !this.#check(input)) ?? null;
    if (!found) return null;
    byId("settings").open = true;
    found.focus();
    return found;
  }

  #row(field, options) {
    const id = `field-${field.name}`;
    const input = this.#input(field, options);
    const described = [field.help ? `${id}-help` : "", `${id}-wrong`].join(" ").trim();
    input.setAttribute("aria-describedby", described);
    Object.assign(input, { id, name: field.name });
    input.addEventListener("input", () => this.#check(input));
    this.#inputs.set(field.name, input);
    return h(
      "div",
      { class: `field ${field.kind}` },
      h("label", { htmlFor: id }, field.label),
      input,
      field.help && h("p", { class: "help", id: `${id}-help` }, field.help),
      h("p", { class: "wrong", id: `${id}-wrong` }),
    );
  }

  #input({ kind, min, max, step = "any" }, options) {
    if (kind === "lines") return h("textarea", { rows: 3, maxLength: 8192 });
    if (kind === "number") return h("input", { type: "number", min, max, step, required: true, inputMode: "decimal" });
    if (kind === "choice" && options) return h("select", {}, options.map((each) => h("option", { value: each }, each)));
    const text = { type: "text", spellcheck: false, autocomplete: "off" };
    if (kind === "seed") return h("input", { ...text, inputMode: "numeric", placeholder: "random" });
    return h("input", { ...text, required: true });
  }

  #check(input) {
    if (input.name === "seed") {
      const text = input.value.trim();
      const right = !text || (/^\d{1,20}$/.test(text) && BigInt(text) <= HIGHEST_SEED);
      input.setCustomValidity(right ? "" : `A seed is a whole number from 0 to ${HIGHEST_SEED}.`);
    }
    byId(`${input.id}-wrong`).textContent = input.validationMessage;
    input.setAttribute("aria-invalid", !input.validity.valid);
    return input.validity.valid;
  }
}
