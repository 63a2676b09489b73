// Talks to the server. An answer that is an error is thrown as a Problem.
import { apiKey, askForKey } from "./key.js";
import { Problem, serverAway } from "./problems.js";

// A key that the server does not take is asked for, then the same is asked again.
export async function call(path, { headers = {}, ...options } = {}) {
  for (;;) {
    const key = apiKey();
    const authorized = key ? { ...headers, Authorization: `Bearer ${key}` } : headers;
    const response = await reach(path, { ...options, headers: authorized });
    if (response.ok) return response;
    const problem = await problemOf(response);
    // Another call may have asked for it and got one meanwhile.
    const reason = key ? "The server does not take this API key." : "The server asks for an API key.";
    if (response.status !== 401 || (key === apiKey() && !(await askForKey(reason)))) throw problem;
  }
}

export const read = async (path, options) => (await call(path, options)).json();

async function reach(path, options) {
  try {
    return await fetch(path, { ...options, cache: "no-store" });
  } catch (failed) {
    if (failed.name === "AbortError") throw failed;
    throw serverAway();
  }
}

async function problemOf(response) {
  const { status } = response;
  const retryAfter = Number(response.headers.get("Retry-After")) || null;
  const fields = await response.json().catch(() => ({}));
  const { code = "INTERNAL_ERROR", detail = `The server answered ${status} without saying why.`, retryable } = fields;
  return new Problem({ code, detail, status, retryable: retryable ?? status >= 500, retryAfter });
}

export const tryOnPath = (id) => `/v1/try-ons/${encodeURIComponent(id)}`;
