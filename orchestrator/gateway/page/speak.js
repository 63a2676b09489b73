// Tells what has happened to whoever listens to the page rather than looks at it: in one sentence, and only when it
// was not they who saw it happen under their fingers.
import { byId } from "./dom.js";

export function speak(sentence) {
  const region = byId("said");
  // The same sentence twice is said twice only if the text changes in between.
  region.textContent = region.textContent === sentence ? `${sentence}\u00a0` : sentence;
}
