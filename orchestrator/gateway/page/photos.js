// The pictures that this browser keeps, as addresses that an <img> can show.
export class Photos {
  #urls = new Map();

  constructor(store) {
    this.store = store;
  }

  async keep(key, blob) {
    await this.store.put("photos", key, blob);
    return key;
  }

  file(key) {
    return this.store.get("photos", key);
  }

  // The same address however often it is asked for; null if the picture is gone.
  url(key) {
    if (!this.#urls.has(key)) {
      this.#urls.set(key, this.file(key).then((blob) => (blob ? URL.createObjectURL(blob) : null)));
    }
    return this.#urls.get(key);
  }

  async forget(key) {
    const url = await this.#urls.get(key);
    if (url) URL.revokeObjectURL(url);
    this.#urls.delete(key);
    await this.store.delete("photos", key);
  }
}
