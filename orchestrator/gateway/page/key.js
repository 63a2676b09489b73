// The API key, for as long as the tab is open, and the dialog that asks for it.
import { byId } from "./dom.js";

const NAME = "vtryon-api-key";
let asking = null;

export const apiKey = () => sessionStorage.getItem(NAME);

// Resolves to whether one was given. Whoever asks while the dialog is open waits for the same answer.
export function askForKey(reason) {
  asking ??= ask(reason).finally(() => (asking = null));
  return asking;
}

function ask(reason) {
  const dialog = byId("key-dialog");
  const field = byId("key");
  byId("key-reason").textContent = reason;
  field.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(kept(dialog.returnValue === "use" && field.value.trim())), {
      once: true,
    });
  });
}

function kept(key) {
  if (key) sessionStorage.setItem(NAME, key);
  return Boolean(key);
}
