// Makes the files that are sent of the painted photo: the person with the area in pure green, and the area alone, which
// the default prompt calls Picture 3.
import { drawAll, GREEN } from "./ink.js";
import { fileOf, newCanvas } from "./picture.js";

// As many as are asked for, so that no detail is lost, but no fewer than these: the painting's edge shows.
const FEWEST_MEGAPIXELS = 4;
const MOST_MEGAPIXELS = 16;
const ORIGINAL_MEGAPIXELS = 2;
const ORIGINAL_QUALITY = 0.9;
const SMALLER = 0.7;

// A pixel's four bytes at once.
const wordsOf = ({ data }) => new Uint32Array(data.buffer);
const [INSIDE, OUTSIDE] = wordsOf({ data: new Uint8Array([...GREEN, 255, 0, 0, 0, 255]) });

// { person, mask, original }, together no more than `bytes`.
export async function compose(picture, strokes, { megapixels, most, bytes }) {
  const wanted = Math.min(Math.max(megapixels, FEWEST_MEGAPIXELS), MOST_MEGAPIXELS, most);
  const original = await fileOf(await picture.drawn(ORIGINAL_MEGAPIXELS), "image/jpeg", ORIGINAL_QUALITY);
  for (let size = wanted; ; size *= SMALLER) {
    const { person, mask } = paint(await picture.drawn(size), strokes);
    const files = { person: await fileOf(person, "image/png"), mask: await fileOf(mask, "image/png"), original };
    if (files.person.size + files.mask.size <= bytes || size < 1) return files;
  }
}

// A photo that comes with a green area needs no painting.
export async function hasGreen(picture) {
  const { data } = pixelsOf(await picture.drawn(0.25));
  let green = 0;
  for (let at = 0; at < data.length; at += 4) if (isGreen(data, at)) green += 1;
  return green > data.length / 4 / 500;
}

function paint(person, strokes) {
  const area = newCanvas(person.width, person.height);
  drawAll(area, strokes);
  const [photo, painted] = [pixelsOf(person), pixelsOf(area)];
  const [whole, mask] = [wordsOf(photo), wordsOf(painted)];
  for (let pixel = 0; pixel < whole.length; pixel += 1) {
    // Either green or not: no half-green edge, which would be a colour of its own to the model.
    const inside = painted.data[4 * pixel + 3] > 127 || isGreen(photo.data, 4 * pixel);
    if (inside) whole[pixel] = INSIDE;
    mask[pixel] = inside ? INSIDE : OUTSIDE;
  }
  person.getContext("2d").putImageData(photo, 0, 0);
  area.getContext("2d").putImageData(painted, 0, 0);
  return { person, mask: area };
}

const pixelsOf = (canvas) => canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);

// JPEG moves colours a little.
const isGreen = (data, at) => data[at] < 70 && data[at + 1] > 190 && data[at + 2] < 70;
