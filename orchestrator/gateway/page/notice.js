// A sentence across the page on what did not go as it should, until it is closed or the next one comes.
import { byId } from "./dom.js";
import { described } from "./problems.js";

export function notice(problem) {
  const { message, advice } = described(problem);
  byId("notice-text").textContent = [message, advice].filter(Boolean).join(" ");
  byId("notice").hidden = false;
}

export function closeNotice() {
  byId("notice").hidden = true;
}
