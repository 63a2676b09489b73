// The form: a photo, the green area on it, garments, settings; and sending them.
import { compose, hasGreen } from "./compose.js";
import { byId } from "./dom.js";
import { Garments } from "./garments.js";
import { takeAnywhere, takeFiles } from "./incoming.js";
import { paintByKeyboard } from "./keyboard.js";
import { closeNotice, notice } from "./notice.js";
import { Painter } from "./painter.js";
import { pictureOf } from "./picture.js";
import { paintByPointer } from "./pointer.js";
import { Problem } from "./problems.js";
import { randomName } from "./random.js";
import { Settings } from "./settings.js";
import { Tools } from "./tools.js";

export class Ask {
  limits = { max_upload_mb: 32, max_image_megapixels: 100, max_garments: 100 };
  #painter = new Painter();
  #garments = new Garments();
  #settings = new Settings();
  #green = false;
  #busy = false;

  // `send` gets what tryons.ask wants.
  constructor(photos, send) {
    Object.assign(this, { photos, send });
    paintByPointer(this.#painter);
    paintByKeyboard(this.#painter, new Tools(this.#painter));
    const take = (files, zone) => this.#try(() => this.#take(files, zone));
    for (const zone of document.querySelectorAll("[data-photo]")) takeFiles(zone, (files) => take(files, "photo"));
    takeFiles(byId("add-garment"), (files) => take(files, "garments"));
    takeAnywhere(take);
    this.#garments.addEventListener("change", () => this.#named());
    byId("defaults").addEventListener("click", () => this.#settings.reset());
    byId("ask").addEventListener("submit", (event) => {
      event.preventDefault();
      this.#try(() => this.#submit());
    });
  }

  // What GET /v1/info answers.
  show(info) {
    this.limits = info.limits;
    this.#garments.most = info.limits.max_garments;
    this.#settings.show(info);
  }

  async #try(work) {
    closeNotice();
    try {
      await work();
    } catch (problem) {
      notice(problem);
    }
  }

  // The first picture is the person, unless it was dropped on the garments.
  async #take(files, zone) {
    const [first, ...others] = files;
    const photo = zone === "photo" || (zone !== "garments" && !this.#painter.picture);
    if (photo) await this.#takePhoto(first);
    const garments = photo ? others : files;
    if (garments.length) await this.#garments.add(garments);
  }

  async #takePhoto(file) {
    const picture = await pictureOf(file);
    await this.#painter.show(picture);
    this.#green = await hasGreen(picture);
    byId("choose-photo").hidden = true;
    byId("painter").hidden = byId("other-photo").hidden = false;
    byId("has-green").hidden = !this.#green;
    byId("stage").focus({ preventScroll: true });
  }

  #named() {
    const { length } = this.#garments.all;
    byId("submit-label").textContent = length > 1 ? `Try on ${length} garments` : "Try it on";
  }

  async #submit() {
    if (this.#busy || !this.#complete()) return;
    this.#working(true);
    try {
      await this.send({ ...(await this.#kept()), fields: this.#settings.changed() });
    } finally {
      this.#working(false);
    }
  }

  #complete() {
    const missing = (detail, id) => {
      byId(id).focus();
      throw new Problem({ code: "MISSING", detail });
    };
    if (!this.#painter.picture) missing("Choose a photo of a person first.", "photo-file");
    if (this.#painter.strokes.empty && !this.#green) missing("Paint the area to dress green first.", "stage");
    if (!this.#garments.all.length) missing("Add a garment first.", "garment-file");
    return !this.#settings.wrong();
  }

  // The pictures as they are sent, kept in this browser.
  async #kept() {
    const { max_upload_mb, max_image_megapixels } = this.limits;
    const bytes = max_upload_mb * 1e6 - this.#garments.bytes;
    const size = { megapixels: this.#settings.megapixels, most: max_image_megapixels, bytes };
    const files = await compose(this.#painter.picture, this.#painter.strokes.done, size);
    this.#fit(files.person.size + files.mask.size + this.#garments.bytes);
    const keep = (blob) => this.photos.keep(randomName(), blob);
    const [person, mask, original] = await Promise.all([files.person, files.mask, files.original].map(keep));
    const garments = await Promise.all(
      this.#garments.all.map(async ({ name, file }) => ({ name, key: await keep(file) })),
    );
    return { person, mask, original, lying: this.#painter.height < 1, garments };
  }

  // A server that breaks off an upload can't always say so to a browser: better not to begin.
  #fit(bytes) {
    const { max_upload_mb: most } = this.limits;
    if (bytes <= most * 1e6) return;
    const detail = `The pictures have ${(bytes / 1e6).toFixed(1)} MB together, and the server takes ${most} MB.`;
    throw new Problem({ code: "REQUEST_TOO_LARGE", detail });
  }

  #working(busy) {
    this.#busy = busy;
    byId("submit").setAttribute("aria-disabled", busy);
    if (busy) byId("submit-label").textContent = "Preparing the pictures";
    else this.#named();
  }
}
