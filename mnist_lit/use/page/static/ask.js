// Questions to the server: images in, answers out, never more than one on its way; and what went wrong, by one word.

const PAUSE = 40; // milliseconds between two questions while somebody draws

/** An answer that did not come; `code` finds the sentence in the reader's language. */
export class Refusal extends Error {
  constructor(code, message = "") {
    super(message);
    this.code = code;
  }
}

const sleep = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** POST an image; try once more where the server is busy. */
export async function post(path, image, patience = 1) {
  let response;
  try {
    response = await fetch(path, {
      method: "POST",
      body: image,
      headers: { "Content-Type": image.type || "application/octet-stream" },
    });
  } catch {
    throw new Refusal("network");
  }
  if (response.status === 503 && patience > 0) {
    await sleep(1000 * (Number(response.headers.get("Retry-After")) || 1));
    return post(path, image, patience - 1);
  }
  const answer = await response.json().catch(() => ({}));
  if (!response.ok) throw new Refusal(answer.code ?? "other", answer.error);
  return answer;
}

/** Asks about the latest state only: what came in between is left out. */
export class Latest {
  #ask;
  #done;
  #failed;
  #wanted = false;
  #busy = false;
  #round = 0;

  constructor({ ask, done, failed }) {
    this.#ask = ask;
    this.#done = done;
    this.#failed = failed;
  }

  /** Forget what is on its way. */
  drop() {
    this.#wanted = false;
    this.#round += 1;
  }

  async request() {
    this.#wanted = true;
    if (this.#busy) return;
    this.#busy = true;
    while (this.#wanted) {
      this.#wanted = false;
      const round = this.#round;
      try {
        const answer = await this.#ask();
        if (round === this.#round) this.#done(answer);
      } catch (error) {
        if (round === this.#round) this.#failed(error);
      }
      await sleep(PAUSE);
    }
    this.#busy = false;
  }
}
