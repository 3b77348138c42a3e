// Calls the service's API, /v1, as the person who signed in.

export class ApiError extends Error {
  // `status` is 0 where no answer came.
  constructor(status, error = {}, retryAfterS = 0) {
    super(error.message || "");
    this.status = status;
    this.code = error.code || "";
    this.fields = error.fields || {};
    this.data = error.data || {};
    this.retryAfterS = retryAfterS;
  }

  // One sentence for people: what is wrong with which field says more than that something is.
  get text() {
    return Object.values(this.fields).flat().join(" ") || this.message;
  }
}

export function csrfToken() {
  return document.querySelector('meta[name="csrf-token"]').content;
}

// The answer as JSON; null if it is empty. Throws an ApiError.
export async function call(method, path, { body, headers = {}, signal } = {}) {
  const options = { method, headers: { "X-CSRFToken": csrfToken(), ...headers }, signal };
  if (body !== undefined) {
    options.body = JSON.stringify(body);
    options.headers["Content-Type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, options);
  } catch (problem) {
    if (problem.name === "AbortError") throw problem;
    throw new ApiError(0);
  }
  if (response.status === 204) return null;
  const answer = await response.json().catch(() => ({}));
  if (response.ok) return answer;
  throw new ApiError(response.status, answer.error, Number(response.headers.get("Retry-After")) || 0);
}
