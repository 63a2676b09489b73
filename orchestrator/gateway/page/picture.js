// Reads pictures of any size, turned the way they were taken, and makes files of them.
import { Problem } from "./problems.js";

const MILLION = 1024 * 1024;

class Picture {
  constructor(file, width, height) {
    Object.assign(this, { file, width, height });
  }

  get name() {
    return this.file.name || "picture";
  }

  get megapixels() {
    return (this.width * this.height) / MILLION;
  }

  // On a canvas of its own, at no more than so many megapixels.
  async drawn(most) {
    const bitmap = await decoded(this.file);
    const scale = Math.min(1, Math.sqrt(most / this.megapixels));
    const canvas = newCanvas(Math.round(this.width * scale), Math.round(this.height * scale));
    const context = canvas.getContext("2d");
    context.imageSmoothingQuality = "high";
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    bitmap.close();
    return canvas;
  }
}

export async function pictureOf(file) {
  const bitmap = await decoded(file);
  const picture = new Picture(file, bitmap.width, bitmap.height);
  bitmap.close();
  return picture;
}

async function decoded(file) {
  try {
    return await createImageBitmap(file, { imageOrientation: "from-image" });
  } catch {
    const detail = `${file.name || "That"} is no picture that this browser can read. Choose a PNG, JPEG or WebP.`;
    throw new Problem({ code: "IMAGE_INVALID", detail });
  }
}

export function newCanvas(width, height) {
  return Object.assign(document.createElement("canvas"), { width: Math.max(1, width), height: Math.max(1, height) });
}

export function fileOf(canvas, type, quality) {
  return new Promise((resolve, reject) => {
    const detail = "This browser has no memory left for a picture of that size. Choose a smaller one.";
    const made = (blob) => (blob ? resolve(blob) : reject(new Problem({ code: "OUT_OF_MEMORY", detail })));
    canvas.toBlob(made, type, quality);
  });
}
