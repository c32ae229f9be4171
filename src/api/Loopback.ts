/** Where the API is and the secret that opens it, for the parts of the server and for who runs it. */
import * as Context from "effect/Context"
import type * as Redacted from "effect/Redacted"
import * as Schema from "effect/Schema"

/** The API could not be opened; the node does not start without it. */
export class LoopbackError extends Schema.TaggedError<LoopbackError>()("LoopbackError", {
  /** What was attempted, such as "listen on 127.0.0.1:9091". */
  action: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `cannot ${this.action}: ${this.detail}`
  }
}

export class Loopback extends Context.Service<
  Loopback,
  {
    /** `http://127.0.0.1:PORT`, without a path. */
    readonly url: string
    readonly port: number
    readonly token: Redacted.Redacted
  }
>()("kith/api/Loopback") {}
