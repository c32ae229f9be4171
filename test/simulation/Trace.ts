/**
 * What a run says of itself: what was done, and what the nodes logged, in simulated time and with names instead of
 * ids. The newest lines are kept. A log of an error is kept apart: in a simulation nothing may go wrong in a node.
 */
import * as Cause from "effect/Cause"
import * as Logger from "effect/Logger"
import * as References from "effect/References"

/** Lines kept. */
const linesMax = 20_000

export class Trace {
  readonly #names = new Map<string, string>()
  readonly #now: () => number
  #lines: Array<string> = []
  /** What was logged as an error. */
  readonly errors: Array<string> = []

  /** `now`: simulated microseconds. */
  constructor(now: () => number) {
    this.#now = now
  }

  /** What this id, of a peer or of a transfer, is called. */
  call(id: string, name: string): void {
    this.#names.set(id, name)
    // As people see it.
    this.#names.set(id.slice(0, 8), name)
  }

  add(who: string, text: string): void {
    const line = `${(this.#now() / 1e6).toFixed(3).padStart(9)} ${who.padEnd(4)} ${text}`
    this.#lines.push(line)
    if (this.#lines.length > 2 * linesMax) this.#lines = this.#lines.slice(-linesMax)
  }

  get lines(): ReadonlyArray<string> {
    return this.#lines.map((line) => this.readable(line))
  }

  /** With names for ids. */
  readable(text: string): string {
    return text.replace(/\b(?:[a-z2-7]{52}|[a-z2-7]{26}|[a-z2-7]{8})\b/g, (id) => this.#names.get(id) ?? id)
  }

  /** Hears what nodes log; each says who it is by the annotation `node`. */
  readonly logger: Logger.Logger<unknown, void> = Logger.make(({ cause, fiber, logLevel, message }) => {
    const annotations: Readonly<Record<string, unknown>> = fiber.getRef(References.CurrentLogAnnotations)
    const { node, ...rest } = annotations
    const fields = Object.entries(rest).map(([key, value]) => `${key}=${String(value)}`)
    const texts = (Array.isArray(message) ? message : [message]).map((each) =>
      each instanceof Error ? each.message : String(each)
    )
    const because = cause.reasons.length === 0 ? "" : `\n${Cause.pretty(cause)}`
    const text = `${texts.join(" ")}${fields.length === 0 ? "" : ` (${fields.join(" ")})`}${because}`
    const who = typeof node === "string" ? node : "?"
    this.add(who, logLevel === "Info" ? text : `${logLevel.toUpperCase()} ${text}`)
    if (logLevel === "Error" || logLevel === "Fatal") this.errors.push(`${who} logged an error: ${this.readable(text)}`)
  })
}
