// Asks the server for the try-ons of one click. Resolves to its word on each, in the order of the records.
import { read } from "./api.js";

export async function post(batch, records, photos) {
  const [first] = records;
  const form = new FormData();
  form.append("person", await photos.file(first.photos.person), "person.png");
  form.append("mask", await photos.file(first.photos.mask), "mask.png");
  for (const { photos: keys, name } of records) form.append("garment", await photos.file(keys.garment), name);
  for (const [name, value] of Object.entries(first.fields)) form.append(name, value);
  const headers = { "Idempotency-Key": batch };
  return (await read("/v1/try-ons", { method: "POST", headers, body: form })).try_ons;
}
