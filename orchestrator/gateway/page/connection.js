// Whether the server can be reached. While it can't be, the page says so and looks for it.
import { byId } from "./dom.js";
import { speak } from "./speak.js";

const FIRST_WAIT = 500;
const LONGEST_WAIT = 5000;
let looking = null;

// Resolves when the server answers again.
export function serverBack() {
  looking ??= look().finally(() => (looking = null));
  return looking;
}

async function look() {
  byId("away").hidden = false;
  for (let wait = FIRST_WAIT; !(await answers()); wait = Math.min(2 * wait, LONGEST_WAIT)) await pause(wait);
  byId("away").hidden = true;
  speak("The server answers again.");
}

async function answers() {
  try {
    return (await fetch("/health/live", { cache: "no-store" })).ok;
  } catch {
    return false;
  }
}

// That long, or until the machine is back on its network.
export function pause(milliseconds) {
  return new Promise((resolve) => {
    const waited = new AbortController();
    const over = () => {
      waited.abort();
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(over, milliseconds);
    window.addEventListener("online", over, { signal: waited.signal });
  });
}
