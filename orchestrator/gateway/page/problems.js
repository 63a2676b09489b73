// An answer of the server that is not what was asked for, in words: what happened, and what to do.
export class Problem extends Error {
  constructor({ code, detail, status = 0, retryable = false, retryAfter = null }) {
    super(detail);
    Object.assign(this, { code, status, retryable, retryAfter });
  }
}

export const SERVER_AWAY = "SERVER_AWAY";
export const SERVER_BEGINS = "GATEWAY_NOT_READY";
export const serverAway = () =>
  new Problem({ code: SERVER_AWAY, detail: "The server can't be reached.", retryable: true });

const ADVICE = {
  CANCELLED: "",
  [SERVER_BEGINS]: "The server is still starting: try again in a moment.",
  IDEMPOTENCY_KEY_REUSED: "Send it again as a new try-on.",
  IMAGE_GONE: "Make it again with the same seed.",
  IMAGE_INVALID: "Choose another picture: PNG, JPEG or WebP, not animated.",
  INTERNAL_ERROR: "The server's log says more.",
  INVALID_REQUEST: "Change the setting and send it again.",
  PAGE_FAILED: "Reload the page and try again.",
  PATH_NOT_ALLOWED: "Whoever runs the server can allow it.",
  REQUEST_TOO_LARGE: "Send fewer or smaller pictures.",
  REQUEST_TOO_SLOW: "The connection was too slow: try again, or send fewer pictures.",
  SERVER_AWAY: "Look whether it runs, then try again.",
  TRYON_UNKNOWN: "It may have been restarted since. Send the same pictures again.",
  UNAUTHORIZED: "Give a key that the server takes.",
};

export function advice({ code, retryable, retryAfter }) {
  if (retryAfter) return `Try again in ${retryAfter === 1 ? "a second" : `${retryAfter} seconds`}.`;
  if (code in ADVICE) return ADVICE[code];
  if (code.endsWith("_MODEL_NOT_FOUND")) return "Put the model's file where it is looked for, or name another one.";
  return retryable ? "Try again in a while." : "";
}

// What to store of it, and show: plain fields.
export function described(problem) {
  const { message, retryable = false, retryAfter = null } = problem;
  // What the browser itself throws has no code of ours.
  const code = problem instanceof Problem ? problem.code : "PAGE_FAILED";
  return { code, message: sentence(message), advice: advice({ code, retryable, retryAfter }), retryable };
}

function sentence(text) {
  const trimmed = text.trim();
  return /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`;
}
