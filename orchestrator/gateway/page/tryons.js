// All try-ons of this browser: asks the server for them, follows them, keeps them.
import { call, read, tryOnPath } from "./api.js";
import { pause, serverBack } from "./connection.js";
import { Follower, hasEnded } from "./follow.js";
import { post } from "./post.js";
import { described, SERVER_AWAY, SERVER_BEGINS } from "./problems.js";
import { randomName } from "./random.js";
import { newRecords, phase, stored, withProgress, withView } from "./records.js";

const MOST_SENT = 5;

// Dispatches "change" with a record as detail: new, changed, or forgotten.
export class TryOns extends EventTarget {
  records = new Map();

  constructor(store, photos) {
    super();
    Object.assign(this, { store, photos });
    this.follower = new Follower({
      view: (id, view) => this.#heard(id, (record) => this.#seen(record, view)),
      progress: (id, news) => this.#heard(id, (record) => this.#moved(record, news)),
      problem: (id, problem) => this.#heard(id, (record) => this.#change(record, { problem: described(problem) })),
    });
  }

  // What was kept from before is shown, and what was under way is taken up again.
  async restore() {
    const found = await this.store.all("tryons");
    // Oldest first; of one click the last garment first, since the list shows the newest on top.
    found.sort((one, other) => one.created - other.created || other.index - one.index);
    found.forEach((record) => this.#add(record));
    for (const record of found) if (record.remote && phase(record) !== "lost") this.take(record);
    const unsent = new Set(found.filter((record) => phase(record) === "sending").map(({ batch }) => batch));
    for (const batch of unsent) this.#send(batch);
  }

  // One for each garment. Kept before they are sent, so that nothing that happens in between loses them.
  async ask(wanted) {
    const records = newRecords(wanted);
    for (const record of records) await this.#keep(record);
    records.toReversed().forEach((record) => this.#add(record));
    this.#send(records[0].batch);
    return records;
  }

  again(record, fields) {
    const { photos, name, lying } = record;
    return this.ask({ ...photos, lying, garments: [{ key: photos.garment, name }], fields });
  }

  // The same click once more: the same key, so that it can't be made twice. Unless the key is what is wrong.
  resend({ batch, problem }) {
    const key = problem.code === "IDEMPOTENCY_KEY_REUSED" ? randomName() : batch;
    for (const record of this.#unsent(batch)) this.#change(record, { problem: null, batch: key });
    return this.#send(key);
  }

  // Follow it, or fetch its picture.
  take(record) {
    if (record.problem) this.#change(record, { problem: null });
    if (!hasEnded(record.view)) this.follower.follow(record.remote);
    else this.#fetchResult(record);
  }

  async cancel(record) {
    this.#change(record, { cancelling: true });
    try {
      this.#seen(record, await read(tryOnPath(record.remote), { method: "DELETE" }));
    } catch (problem) {
      this.#change(record, { cancelling: false });
      // It ended in the meantime: the stream says how.
      if (problem.code !== "TRYON_ENDED") throw problem;
    }
  }

  async forget(record) {
    if (record.remote) this.follower.leave(record.remote);
    this.records.delete(record.id);
    await this.store.delete("tryons", record.id);
    const used = new Set([...this.records.values()].flatMap(({ photos }) => Object.values(photos)));
    for (const key of Object.values(record.photos)) if (key && !used.has(key)) await this.photos.forget(key);
    this.#tell(record);
  }

  #unsent(batch) {
    const found = [...this.records.values()].filter((record) => record.batch === batch && !record.remote);
    return found.sort((one, other) => one.index - other.index);
  }

  // A server that is away is waited for, and one that has just begun and still reads what there is. One that answers,
  // but breaks off each time these pictures come, is not.
  async #send(batch) {
    for (let broken = 0; ; ) {
      const records = this.#unsent(batch);
      if (!records.length) return;
      try {
        const views = await post(batch, records, this.photos);
        return records.forEach((record, index) => this.#sent(record, views[index]));
      } catch (problem) {
        const begins = problem.code === SERVER_BEGINS;
        broken += problem.code === SERVER_AWAY;
        const last = broken === MOST_SENT || !(begins || problem.code === SERVER_AWAY);
        for (const record of records) this.#change(record, last ? { problem: described(problem) } : { held: true });
        if (last) return;
        await (begins ? pause((problem.retryAfter ?? 1) * 1000) : serverBack());
      }
    }
  }

  #sent(record, view) {
    this.#change(record, { remote: view.id, view });
    this.take(record);
  }

  #heard(remote, tell) {
    for (const record of this.records.values()) if (record.remote === remote) tell(record);
  }

  #seen(record, view) {
    // What was asked for may be answered after the stream has told more.
    if (record.view && hasEnded(record.view) && !hasEnded(view)) return;
    this.#change(record, { view: withView(record.view, view) });
    if (hasEnded(view)) this.#fetchResult(record);
  }

  #moved(record, news) {
    record.view = withProgress(record.view, news);
    if (news.preview) record.preview = `data:image/jpeg;base64,${news.preview}`;
    this.#tell(record);
  }

  async #fetchResult(record) {
    if (record.view.state !== "succeeded" || record.photos.result) return;
    try {
      const blob = await (await call(record.view.image_url)).blob();
      if (!this.records.has(record.id)) return;
      const result = await this.photos.keep(`${record.id}-result`, blob);
      this.#change(record, { photos: { ...record.photos, result } });
    } catch (problem) {
      if (problem.code === SERVER_AWAY) {
        await serverBack();
        return this.#fetchResult(record);
      }
      this.#change(record, { problem: described(problem) });
    }
  }

  #add(record) {
    this.records.set(record.id, record);
    this.#tell(record);
  }

  #change(record, news) {
    Object.assign(record, news);
    if (!this.records.has(record.id)) return;
    // That is only to remember how far it was: without it the server is asked again after a reload.
    this.#keep(record).catch(() => {});
    this.#tell(record);
  }

  #keep(record) {
    return this.store.put("tryons", record.id, stored(record));
  }

  #tell(record) {
    this.dispatchEvent(new CustomEvent("change", { detail: record }));
  }
}
