// What this browser keeps: try-ons, and the pictures that they were made from. Where it may keep nothing (a private
// window, say), the same for as long as the page is open.
import { Problem } from "./problems.js";

const NAME = "vtryon";
const STORES = ["tryons", "photos"];

export async function openStore() {
  try {
    return new Kept(await opened());
  } catch {
    return new Held();
  }
}

function opened() {
  return new Promise((resolve, reject) => {
    const asked = indexedDB.open(NAME, 1);
    asked.onupgradeneeded = () => STORES.forEach((store) => asked.result.createObjectStore(store));
    asked.onsuccess = () => resolve(asked.result);
    asked.onerror = () => reject(asked.error);
    asked.onblocked = () => reject(new Error("another tab holds an older version open"));
  });
}

class Kept {
  lasting = true;

  constructor(database) {
    this.database = database;
  }

  put(store, key, value) {
    return this.#do(store, "readwrite", (found) => found.put(value, key));
  }

  get(store, key) {
    return this.#do(store, "readonly", (found) => found.get(key));
  }

  all(store) {
    return this.#do(store, "readonly", (found) => found.getAll());
  }

  delete(store, key) {
    return this.#do(store, "readwrite", (found) => found.delete(key));
  }

  // Resolves when it is written, not when it was asked for.
  #do(store, mode, work) {
    return new Promise((resolve, reject) => {
      const transaction = this.database.transaction(store, mode);
      const asked = work(transaction.objectStore(store));
      transaction.oncomplete = () => resolve(asked.result);
      transaction.onabort = () => reject(reasonOf(transaction.error));
    });
  }
}

function reasonOf(error) {
  if (error?.name !== "QuotaExceededError") return error;
  const detail = "This browser has no room left for more pictures. Forget some try-ons.";
  return new Problem({ code: "STORAGE_FULL", detail });
}

class Held {
  lasting = false;
  stores = Object.fromEntries(STORES.map((store) => [store, new Map()]));

  async put(store, key, value) {
    this.stores[store].set(key, value);
  }

  async get(store, key) {
    return this.stores[store].get(key);
  }

  async all(store) {
    return [...this.stores[store].values()];
  }

  async delete(store, key) {
    this.stores[store].delete(key);
  }
}
