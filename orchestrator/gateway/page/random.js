// Not crypto.randomUUID: that one is missing where the page is not served from localhost or by https.
export function randomName() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

// A seed goes to 2^64 - 1, more digits than a number holds here: it is text throughout.
export const HIGHEST_SEED = 2n ** 64n - 1n;

export function randomSeed() {
  return crypto.getRandomValues(new BigUint64Array(1))[0].toString();
}
