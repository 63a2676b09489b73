// Follows try-ons until they end: some by their event streams, the others by asking for the list now and then.
import { call, read, tryOnPath } from "./api.js";
import { pause, serverBack } from "./connection.js";
import { SERVER_AWAY } from "./problems.js";
import { events } from "./sse.js";

// A browser keeps no more than six connections to a server over all its tabs.
const STREAMS = 3;
const LIST_EVERY = 4000;
const RETRY_AFTER = 1000;
// One of several gateways may hear a moment later of what another has taken.
const PATIENCE = 3;
const UNENDED = new Set(["waiting", "running"]);

export const hasEnded = (view) => !UNENDED.has(view.state);

export class Follower {
  // told: { view(id, view), progress(id, progress), problem(id, problem) }
  constructor(told) {
    this.told = told;
    this.followed = new Map();
    this.listing = false;
    // A tab that nobody looks at leaves its connections to the others, and takes the streams up where it left them.
    document.addEventListener("visibilitychange", () => (document.hidden ? this.#rest() : this.#fill()));
  }

  follow(id) {
    if (this.followed.has(id)) return;
    this.followed.set(id, { id, cursor: null, stream: null, unknown: 0 });
    this.#fill();
  }

  leave(id) {
    this.followed.get(id)?.stream?.abort();
    this.followed.delete(id);
    this.#fill();
  }

  #rest() {
    for (const each of this.followed.values()) each.stream?.abort();
  }

  #fill() {
    if (document.hidden) return;
    const all = [...this.followed.values()];
    const free = STREAMS - all.filter((each) => each.stream).length;
    for (const each of all.filter((each) => !each.stream).slice(0, Math.max(free, 0))) this.#stream(each);
    if (this.followed.size > STREAMS && !this.listing) this.#list();
  }

  async #stream(each) {
    const stream = (each.stream = new AbortController());
    while (this.followed.has(each.id) && !stream.signal.aborted) {
      try {
        await this.#listen(each, stream.signal);
        if (this.followed.has(each.id)) await pause(RETRY_AFTER);
      } catch (problem) {
        if (stream.signal.aborted) break;
        await this.#recover(each, problem);
      }
    }
    each.stream = null;
    this.#fill();
  }

  async #listen(each, signal) {
    const headers = each.cursor ? { "Last-Event-ID": each.cursor } : {};
    const response = await call(`${tryOnPath(each.id)}/events`, { headers, signal });
    if (response.status === 204) return this.#view(each.id, await read(tryOnPath(each.id), { signal }));
    for await (const { event, data, id } of events(response.body)) {
      if (signal.aborted) return;
      each.cursor = id ?? each.cursor;
      const fields = JSON.parse(data);
      if (event === "status") this.#view(each.id, fields);
      else if (event === "progress") this.told.progress(each.id, fields);
    }
  }

  async #recover(each, problem) {
    // A stream that breaks in the middle is an error of the network's too, of another type.
    if (problem.code === SERVER_AWAY || problem instanceof TypeError) await serverBack();
    else if (problem.code === "TRYON_UNKNOWN" && each.unknown++ < PATIENCE) await pause(RETRY_AFTER);
    else if (problem.status === 503 || problem.status === 429) await pause((problem.retryAfter ?? 1) * 1000);
    else {
      this.leave(each.id);
      this.told.problem(each.id, problem);
    }
  }

  // For those that have no stream: one answer for all of them.
  async #list() {
    this.listing = true;
    while (this.followed.size > STREAMS && !document.hidden) {
      await pause(LIST_EVERY);
      try {
        const { try_ons } = await read("/v1/try-ons?limit=200");
        for (const view of try_ons) if (this.followed.get(view.id)?.stream === null) this.#view(view.id, view);
      } catch (problem) {
        if (problem.code === SERVER_AWAY) await serverBack();
      }
    }
    this.listing = false;
  }

  #view(id, view) {
    // Its stream, if it has one, is ended by the server.
    if (hasEnded(view)) this.followed.delete(id);
    this.told.view(id, view);
  }
}
