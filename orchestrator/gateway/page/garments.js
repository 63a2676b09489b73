// The garments to try on.
import { byId, h } from "./dom.js";
import { icon } from "./icons.js";
import { fileOf, pictureOf } from "./picture.js";
import { Problem } from "./problems.js";
import { speak } from "./speak.js";
import { count } from "./words.js";

// The text encoder looks at about one megapixel of it. What is no larger is sent as it is.
const MEGAPIXELS = 2;
const BYTES = 4e6;
const QUALITY = 0.95;
const SENT_AS_THEY_ARE = new Set(["image/png", "image/jpeg", "image/webp"]);

export class Garments extends EventTarget {
  all = [];
  most = 100;

  async add(files) {
    for (const file of files) {
      if (this.all.length >= this.most) {
        const detail = `The server takes ${count(this.most, "garment", "garments")} at once. Send these first.`;
        throw new Problem({ code: "INVALID_REQUEST", detail });
      }
      this.#show({ name: file.name || "garment.png", file: await prepared(file) });
    }
    speak(`${count(this.all.length, "garment", "garments")} chosen.`);
  }

  get bytes() {
    return this.all.reduce((sum, { file }) => sum + file.size, 0);
  }

  #show(garment) {
    const url = URL.createObjectURL(garment.file);
    const remove = () => {
      URL.revokeObjectURL(url);
      this.all.splice(this.all.indexOf(garment), 1);
      const next = item.nextElementSibling ?? item.previousElementSibling;
      item.remove();
      (next?.querySelector("button, input") ?? byId("garment-file")).focus();
      speak(`${garment.name} removed.`);
      this.dispatchEvent(new Event("change"));
    };
    const named = { type: "button", class: "remove", "aria-label": `Remove ${garment.name}` };
    const button = h("button", { ...named, onclick: remove }, icon("close"));
    const item = h("li", { class: "garment" }, h("img", { src: url, alt: garment.name }), button);
    byId("add-garment").before(item);
    this.all.push(garment);
    this.dispatchEvent(new Event("change"));
  }
}

async function prepared(file) {
  const picture = await pictureOf(file);
  const small = picture.megapixels <= MEGAPIXELS && file.size <= BYTES;
  if (small && SENT_AS_THEY_ARE.has(file.type)) return file;
  const drawn = await picture.drawn(MEGAPIXELS);
  const context = drawn.getContext("2d");
  // A JPEG has no holes: behind what is transparent it would be black.
  context.globalCompositeOperation = "destination-over";
  context.fillStyle = "white";
  context.fillRect(0, 0, drawn.width, drawn.height);
  return fileOf(drawn, "image/jpeg", QUALITY);
}
